// The verbs of the command line and their options.
import { Command, CommanderError } from 'commander';
import { Failure } from './failure.ts';
import { version } from './version.ts';

const collect = (value: string, list: string[]): string[] => [...list, value];

export async function run(args: readonly string[]): Promise<void> {
  const program = newProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exit(0);
    throw new Failure(error.message.replace(/^error: /, ''));
  }
}

function newProgram(): Command {
  const program = new Command('runts')
    .description('Runs untrusted Linux programs on a kernel of their own, written in TypeScript.')
    .version(`runts ${version}`, '-V, --version')
    .helpCommand('help [command]', 'tell about a command')
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  addDo(program);
  addDebug(program);
  program.action(() => {
    throw new Failure("no command given; 'runts help' lists them");
  });
  return program;
}

function addDo(program: Command): void {
  program
    .command('do')
    .summary('run a program in a new sandbox')
    .description(
      'Runs a program in a new sandbox. It sees the files of the host, or of --root, and its changes to them are kept in memory and forgotten at its end.',
    )
    .usage('[options] [--] COMMAND [ARGUMENTS...]')
    .argument('[command...]', 'the program and its arguments')
    .passThroughOptions()
    .option('--root <dir>', 'root directory of the guest', '/')
    .option(
      '--volume <src:dst[:ro]>',
      'show a host file or directory to the guest, for real',
      collect,
      [],
    )
    .option('--tmpfs <path>', 'an empty file system in memory', collect, [])
    .option('--cwd <dir>', 'working directory of the guest')
    .option('--env <name=value>', "set a variable, beside the caller's", collect, [])
    .option('--clear-env', "do not pass the caller's environment")
    .option('--user <uid[:gid]>', 'run as this user')
    .option('--hostname <name>', 'host name of the guest', 'runts')
    .option('--memory <size>', 'memory that the guest may use')
    .option('--pids <count>', 'processes and threads that the guest may have')
    .option('--timeout <time>', 'end the sandbox after this time (exit code 124)')
    .option('--network <kind>', 'network of the guest: none', 'none')
    .option('--platform <name>', 'how guest code runs: systrap', 'systrap')
    .option('--strace [file]', 'write the system calls of the guest to a file (standard error)')
    .option('--debug-log <file>', "write runts' own log to a file")
    .option('--debug-seccomp', 'log host calls outside the lists instead of dying of them')
    .action(async (command: string[], options: object) => {
      const { runDo } = await import('./commands/do.ts');
      await runDo(command, options);
    });
}

function addDebug(program: Command): void {
  const debug = program.command('debug').description('look into runts itself');
  debug.action(() => {
    throw new Failure("no subject given; 'runts help debug' lists them");
  });
  debug
    .command('seccomp')
    .description('print the host calls that the processes of a sandbox may make')
    .action(async () => {
      const { printFilters } = await import('./commands/debug-seccomp.ts');
      printFilters();
    });
}
