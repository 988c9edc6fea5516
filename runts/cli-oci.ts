// SPDX-License-Identifier: Apache-2.0
// The verbs of an OCI runtime and their options: what runc takes, so that engines can drive either.
import { type Command, InvalidArgumentError } from 'commander';
import { MAX_PRESERVED } from '../protocol/launcher-options.ts';
import type { CreateOptions } from './commands/create.ts';
import type { DeleteOptions } from './commands/delete.ts';
import type { EventsOptions } from './commands/events.ts';
import type { ExecOptions } from './commands/exec.ts';
import type { KillOptions } from './commands/kill.ts';
import type { ListOptions } from './commands/list.ts';
import type { PsOptions } from './commands/ps.ts';
import type { RunOptions } from './commands/run.ts';
import type { UpdateOptions } from './commands/update.ts';
import { type GlobalOptions, inContext, type OciContext } from './oci/context.ts';

/** --preserve-fds */
function preservedCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= MAX_PRESERVED) return count;
  throw new InvalidArgumentError(`It must be a number from 0 to ${MAX_PRESERVED}.`);
}

const collect = (value: string, list: readonly string[]): string[] => [...list, value];

export function addOciCommands(program: Command): void {
  addGlobalOptions(program);
  addMaking(program);
  addRunning(program);
  addLooking(program);
  addChanging(program);
  addDocuments(program);
}

function addGlobalOptions(program: Command): void {
  program
    .option('--root <dir>', 'where the state of containers is kept (/run/runts)')
    .option('--log <file>', 'write errors and warnings to this file')
    .option('--log-format <format>', 'form of that file: text or json', 'text')
    .option('--debug', 'write more to the log')
    .option('--systemd-cgroup', 'make cgroups with systemd: paths are slice:prefix:name')
    .option('--rootless <bool>', 'go on without cgroups that may not be made: true, false, auto')
    .option('--criu <path>', 'ignored')
    .option('--network <kind>', 'network of containers: none, host, sandbox')
    .option('--platform <name>', 'how guest code runs: auto, systrap, ptrace');
}

type Action = (context: OciContext) => Promise<void> | void;

/** Runs `action` with what the options before the verb say. */
function within(program: Command, action: Action, failureCode?: number): Promise<void> {
  return inContext(program.opts<GlobalOptions>(), action, failureCode);
}

function addMaking(program: Command): void {
  making(program.command('create').summary('make a container'))
    .description('Makes a container from a bundle, up to its first process being ready to start.')
    .action((id: string, options: CreateOptions) =>
      within(program, async (context) => {
        const { create } = await import('./commands/create.ts');
        await create(context, id, options);
      }),
    );
  making(program.command('run').summary('make a container and start it'))
    .description('Makes a container from a bundle and starts it.')
    .option('-d, --detach', 'do not wait for its end')
    .option('--keep', 'do not delete it at its end')
    .option('--no-subreaper', 'ignored')
    .action((id: string, options: RunOptions) =>
      within(program, async (context) => {
        const { run } = await import('./commands/run.ts');
        await run(context, id, options);
      }),
    );
}

function making(command: Command): Command {
  return command
    .argument('<container-id>', 'a name of your choice')
    .option('-b, --bundle <dir>', 'directory of config.json (the current one)')
    .option('--console-socket <path>', 'socket that takes the other side of its terminal')
    .option('--pid-file <path>', 'write the process id to this file')
    .option('--no-pivot', 'ignored: the root is never pivoted into')
    .option('--no-new-keyring', 'ignored: the host has no keyring for it')
    .option('--preserve-fds <count>', 'pass that many descriptors from 3 on', preservedCount);
}

function addRunning(program: Command): void {
  program
    .command('start')
    .description('Starts a container that was made.')
    .argument('<container-id>')
    .action((id: string) =>
      within(program, async (context) => {
        const { start } = await import('./commands/start.ts');
        await start(context, id);
      }),
    );
  program
    .command('kill')
    .description('Sends a signal to a container.')
    .argument('<container-id>')
    .argument('[signal]', 'a number or a name', 'SIGTERM')
    .option('-a, --all', 'to all of its processes')
    .action((id: string, signal: string, options: KillOptions) =>
      within(program, async (context) => {
        const { kill } = await import('./commands/kill.ts');
        kill(context, id, signal, options);
      }),
    );
  program
    .command('delete')
    .description('Removes what is left of a container that has stopped.')
    .argument('<container-id>')
    .option('-f, --force', 'kill it if it runs')
    .action((id: string, options: DeleteOptions) =>
      within(program, async (context) => {
        const { remove } = await import('./commands/delete.ts');
        await remove(context, id, options);
      }),
    );
  addExec(program);
}

function addExec(program: Command): void {
  program
    .command('exec')
    .description('Runs a further process in a container.')
    .usage('[options] CONTAINER-ID [COMMAND [ARGUMENTS...]]')
    .argument('<container-id>')
    .argument('[command...]', 'the program and its arguments')
    .passThroughOptions()
    .option('--console-socket <path>', 'socket that takes the other side of its terminal')
    .option('--cwd <dir>', 'its working directory')
    .option('-e, --env <name=value>', 'set a variable', collect, [])
    .option('-t, --tty', 'give it a terminal')
    .option('-u, --user <uid[:gid]>', 'run as this user')
    .option('-g, --additional-gids <gid>', 'a further group', collect, [])
    .option('-p, --process <file>', 'all of the process as JSON')
    .option('-d, --detach', 'do not wait for its end')
    .option('--pid-file <path>', 'write the process id to this file')
    .option('--process-label <label>', 'ignored')
    .option('--apparmor <profile>', 'ignored')
    .option('--no-new-privs', 'it gains no privileges')
    .option('-c, --cap <capability>', 'a further capability', collect, [])
    .option('--preserve-fds <count>', 'pass that many descriptors from 3 on', preservedCount)
    .option('--cgroup <path>', 'ignored')
    .option('--ignore-paused', 'also in a container that is paused')
    .action((id: string, command: string[], options: ExecOptions & { newPrivs?: boolean }) =>
      within(
        program,
        async (context) => {
          const { exec } = await import('./commands/exec.ts');
          exec(context, id, command, { ...options, noNewPrivs: options.newPrivs === false });
        },
        255,
      ),
    );
}

function addLooking(program: Command): void {
  program
    .command('state')
    .description('Prints the state of a container.')
    .argument('<container-id>')
    .action((id: string) =>
      within(program, async (context) => {
        const { state } = await import('./commands/state.ts');
        state(context, id);
      }),
    );
  program
    .command('list')
    .description('Lists the containers.')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'their ids only')
    .action((options: ListOptions) =>
      within(program, async (context) => {
        const { list } = await import('./commands/list.ts');
        list(context, options);
      }),
    );
  program
    .command('ps')
    .description('Shows the processes that stand for a container on the host.')
    .argument('<container-id>')
    .argument('[ps-options...]')
    .passThroughOptions()
    .option('-f, --format <format>', 'table or json', 'table')
    .action((id: string, args: string[], options: PsOptions) =>
      within(program, async (context) => {
        const { ps } = await import('./commands/ps.ts');
        ps(context, id, args, options);
      }),
    );
  program
    .command('events')
    .description('Prints what a container uses, again and again.')
    .argument('<container-id>')
    .option('--interval <time>', 'time between two reports', '5s')
    .option('--stats', 'one report only')
    .action((id: string, options: EventsOptions) =>
      within(program, async (context) => {
        const { events } = await import('./commands/events.ts');
        await events(context, id, options);
      }),
    );
}

function addDocuments(program: Command): void {
  program
    .command('spec')
    .description('Writes a config.json to start from.')
    .option('-b, --bundle <dir>', 'where to (the current directory)')
    .option('--rootless', 'for an ordinary user')
    .action((options: { bundle?: string; rootless?: boolean }) =>
      within(program, async () => {
        const { writeSpec } = await import('./commands/spec.ts');
        writeSpec(options);
      }),
    );
  program
    .command('features')
    .description('Prints what this runtime can do (the features document of the specification).')
    .action(() =>
      within(program, async () => {
        const { printFeatures } = await import('./commands/features.ts');
        printFeatures();
      }),
    );
}

function addChanging(program: Command): void {
  for (const verb of ['pause', 'resume'] as const) {
    program
      .command(verb)
      .description(
        verb === 'pause' ? 'Halts all processes of a container.' : 'Lets a paused one go on.',
      )
      .argument('<container-id>')
      .action((id: string) =>
        within(program, async (context) => {
          const commands = await import('./commands/pause.ts');
          await commands[verb](context, id);
        }),
      );
  }
  for (const verb of ['checkpoint', 'restore'] as const) {
    program
      .command(verb)
      .description('Not supported yet.')
      .allowUnknownOption()
      .allowExcessArguments()
      .action(() =>
        within(program, async () => {
          const { refuseCheckpoint } = await import('./commands/checkpoint.ts');
          refuseCheckpoint(verb);
        }),
      );
  }
  addUpdate(program);
}

function addUpdate(program: Command): void {
  program
    .command('update')
    .description('Changes the limits of a container.')
    .argument('<container-id>')
    .option('-r, --resources <file>', "all of them as JSON ('-': standard input)")
    .option('--cpu-period <us>')
    .option('--cpu-quota <us>')
    .option('--cpu-burst <us>')
    .option('--cpu-share <count>')
    .option('--cpu-rt-period <us>')
    .option('--cpu-rt-runtime <us>')
    .option('--cpuset-cpus <list>')
    .option('--cpuset-mems <list>')
    .option('--cpu-idle <0|1>')
    .option('--memory <bytes>')
    .option('--memory-reservation <bytes>')
    .option('--memory-swap <bytes>')
    .option('--kernel-memory <bytes>', 'ignored')
    .option('--kernel-memory-tcp <bytes>', 'ignored')
    .option('--pids-limit <count>')
    .option('--blkio-weight <weight>')
    .action((id: string, options: UpdateOptions) =>
      within(program, async (context) => {
        const { update } = await import('./commands/update.ts');
        await update(context, id, options);
      }),
    );
}
