// SPDX-License-Identifier: Apache-2.0
// The verbs of the command line and their options.
import { Command, CommanderError } from 'commander';
import { attachValues } from './attached-values.ts';
import { addDo } from './cli-do.ts';
import { addOciCommands } from './cli-oci.ts';
import type { StatsOptions } from './commands/debug-stats.ts';
import type { InstallOptions } from './commands/install.ts';
import { Failure } from './failure.ts';
import { hintFor } from './foreign-options.ts';
import { type GlobalOptions, inContext } from './oci/context.ts';
import { NEWEST_VERSION } from './oci/spec/version.ts';
import { version } from './version.ts';

export async function run(args: readonly string[]): Promise<void> {
  const program = newProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exit(0);
    const text = error.message.replace(/^error: /, '');
    await refuseUsage(program, program.args[0] === 'do' ? `${text}${hintFor(text)}` : text);
  }
}

/** Those that no engine calls: what is wrong with them is nobody's but the user's. */
const ownVerbs: readonly (string | undefined)[] = [
  undefined,
  'do',
  'install',
  'uninstall',
  'debug',
  'help',
];

/**
 * An engine that is newer than we are may use an option that we do not know: it looks for the
 * reason in its log.
 */
async function refuseUsage(program: Command, text: string, failureCode = 1): Promise<void> {
  const isEngines = program.opts<GlobalOptions>().log !== undefined;
  if (!isEngines && ownVerbs.includes(program.args[0])) throw new Failure('RUNTS_E_USAGE', text);
  await inContext(
    program.opts<GlobalOptions>(),
    () => {
      throw new Failure('RUNTS_E_USAGE', text);
    },
    failureCode,
  );
}

/** runc's exit code for a verb that it does not know. */
const UNKNOWN_VERB = 3;

/** The whole command line, for run() and for its test. */
export function newProgram(): Command {
  const program = new Command('runts')
    .description('Runs untrusted Linux programs on a kernel of their own, written in TypeScript.')
    .version(`runts version ${version}\nspec: ${NEWEST_VERSION}`, '-v, --version')
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  addOciCommands(program);
  addDo(program);
  addInstall(program);
  addDebug(program);
  addHelp(program);
  program.allowExcessArguments().action(async () => {
    const verb = program.args[0];
    if (verb === undefined)
      throw new Failure('RUNTS_E_USAGE', "no command given; 'runts help' lists them");
    await refuseUsage(program, `no command '${verb}'; 'runts help' lists them`, UNKNOWN_VERB);
  });
  attachValues(program);
  return program;
}

/** Both take the same options. */
function addInstall(program: Command): void {
  const verbs = [
    ['install', "register with Docker, and print the lines for the other engines' configuration"],
    ['uninstall', "take the registration out of Docker's configuration"],
  ] as const;
  for (const [verb, description] of verbs) {
    program
      .command(verb)
      .description(description)
      .option('--docker-config <file>', "Docker's configuration (default: /etc/docker/daemon.json)")
      .option('--name <name>', 'what the runtime is called there', 'runts')
      .option('--path <file>', 'the executable (default: this one)')
      .option('--dry-run', 'change nothing, print what would be written')
      .action(async (options: InstallOptions) => {
        const { runInstall, runUninstall } = await import('./commands/install.ts');
        const { network, platform } = program.opts<GlobalOptions>();
        const told = {
          ...options,
          ...(network === undefined ? {} : { network }),
          ...(platform === undefined ? {} : { platform }),
        };
        (verb === 'install' ? runInstall : runUninstall)(told);
      });
  }
}

function addDebug(program: Command): void {
  const debug = program.command('debug').description('look into runts itself');
  debug.allowExcessArguments().action(() => {
    const [subject] = debug.args;
    throw new Failure(
      'RUNTS_E_USAGE',
      `debug: no subject ${subject === undefined ? 'given' : `'${subject}'`}; 'runts help debug' lists them`,
    );
  });
  debug
    .command('boot-timeline')
    .description('start sandboxes and print where the time went')
    .option('--runs <count>', 'how many', '9')
    .action(async (options: { runs: string }) => {
      const { printBootTimeline } = await import('./commands/debug-boot-timeline.ts');
      printBootTimeline(options);
    });
  debug
    .command('stack')
    .description("show the places in the source that a log's stacks name in the bundles")
    .argument('[file]', 'a file of --debug-log (standard input)', '-')
    .action(async (file: string) => {
      const { printStack } = await import('./commands/debug-stack.ts');
      printStack(file);
    });
  debug
    .command('profile')
    .description('show what took the time in a profile of `runts do --profile`')
    .argument('<file>', 'the profile')
    .option('-o, --output <file>', "write it with the source's names, for DevTools or speedscope")
    .option('--lines <count>', 'how many calls and functions', '30')
    .action(async (file: string, options: { output?: string; lines: string }) => {
      const { printProfile } = await import('./commands/debug-profile.ts');
      printProfile(file, options);
    });
  debug
    .command('stats')
    .description('count the system calls of a running container for a while')
    .argument('<container-id>')
    .option('--for <time>', 'how long', '5s')
    .action((id: string, options: StatsOptions) =>
      inContext(program.opts<GlobalOptions>(), async (context) => {
        const { printStats } = await import('./commands/debug-stats.ts');
        await printStats(context, id, options);
      }),
    );
  debug
    .command('seccomp')
    .description('print the host calls that the processes of a sandbox may make')
    .action(async () => {
      const { printFilters } = await import('./commands/debug-seccomp.ts');
      printFilters();
    });
}

/**
 * Commander's own help answers an unknown command with the general help: an exit code, but no word of
 * what is wrong.
 */
function addHelp(program: Command): void {
  program
    .command('help')
    .description('tell about a command')
    .argument('[command...]')
    .action((words: string[]) => {
      let command = program;
      for (const word of words) {
        const next = command.commands.find((each) => each.name() === word);
        if (next === undefined)
          throw new Failure(
            'RUNTS_E_USAGE',
            `help: no command '${words.join(' ')}'; 'runts help' lists them`,
          );
        command = next;
      }
      command.help();
    });
}
