// Entry of the command line.
import { run } from './cli.ts';
import { complain, describe, EXIT_OWN_FAILURE, Failure } from './failure.ts';

/** Whatever goes wrong, the user sees one line; RUNTS_TRACE=1 shows where it came from. */
function fail(error: unknown): never {
  // Who reads us has gone (`runts help | head`): end as SIGPIPE would have it.
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(141);
  complain(describe(error));
  if (process.env['RUNTS_TRACE'] === '1' && error instanceof Error) complain(String(error.stack));
  process.exit(error instanceof Failure ? error.code : EXIT_OWN_FAILURE);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
run(process.argv.slice(2)).catch(fail);
