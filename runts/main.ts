// SPDX-License-Identifier: Apache-2.0
// Entry of the command line.
import { startCommandLine } from '../native/roles.ts';
import { run } from './cli.ts';
import { complain, complainOfOrigin, describe } from './failure.ts';

/** runts itself failed, as env(1), timeout(1) and docker(1) have it. */
const EXIT_OWN_FAILURE = 125;

/** Whatever goes wrong, the user sees one line; RUNTS_TRACE=1 shows where it came from. */
function fail(error: unknown): never {
  // Who reads us has gone (`runts help | head`): end as SIGPIPE would have it.
  if (error instanceof Error && 'code' in error && error.code === 'EPIPE') process.exit(141);
  complain(describe(error));
  complainOfOrigin(error);
  process.exit(EXIT_OWN_FAILURE);
}

startCommandLine(
  (args) => {
    process.on('uncaughtException', fail);
    process.on('unhandledRejection', fail);
    run(args).catch(fail);
  },
  async () => {
    await import('./commands/create.ts');
  },
);
