// SPDX-License-Identifier: Apache-2.0
// The options of `runts do`. Short ones are those of docker run.
import type { Command } from 'commander';

const collect = (value: string, list: readonly string[]): string[] => [...list, value];

export function addDo(program: Command): void {
  const command = program
    .command('do')
    .summary('run a program in a new sandbox')
    .description(
      'Runs a program in a new sandbox. It sees the files of the host, or of --root, and its changes to them are kept in memory and forgotten at its end.',
    )
    .usage('[options] [--] COMMAND [ARGUMENTS...]')
    .argument('[command...]', 'the program and its arguments')
    .passThroughOptions();
  addSurroundings(command);
  addNetwork(command);
  addLimits(command);
  addTracing(command);
  command.action(async (words: string[], options: object) => {
    const { runDo } = await import('./commands/do.ts');
    await runDo(words, options);
  });
}

function addSurroundings(command: Command): void {
  command
    .option('--root <dir>', 'root directory of the guest', '/')
    .option(
      '-v, --volume <src[:dst][:ro]>',
      'show a host file or directory to the guest, for real',
      collect,
      [],
    )
    .option('--tmpfs <path>', 'an empty file system in memory', collect, [])
    .option('-w, --cwd <dir>', 'working directory of the guest')
    .option(
      '-e, --env <name[=value]>',
      "set a variable beside the caller's, or pass on the caller's own",
      collect,
      [],
    )
    .option('--clear-env', "do not pass the caller's environment")
    .option('-u, --user <user[:group]>', "run as this user: numbers, or names of the guest's files")
    .option('--hostname <name>', 'host name of the guest', 'runts')
    .option('-i, --interactive', 'pass on standard input: always done')
    .option('-t, --tty', 'fail where there is no terminal: given wherever there is one');
}

function addNetwork(command: Command): void {
  command
    .option(
      '--network <kind>',
      "network of the guest: none (a loopback of its own), user (out through a proxy, needs no rights), sandbox (interfaces of the network namespace that root starts it in) or host (the host's own)",
      'none',
    )
    .option(
      '-p, --publish <[address:]port:port[/udp]>',
      'with --network user: lead a port of the host (127.0.0.1 where no address is named) to one of the guest',
      collect,
      [],
    )
    .option(
      '--allow-net <rules>',
      'with --network user: only these may be reached: example.org:443,*.debian.org,10.0.0.0/8:5432,host:8080',
      collect,
      [],
    )
    .option('--deny-net <rules>', 'with --network user: these may not be reached', collect, [])
    .option('--net-rate <size>', 'with --network user: the most bytes a second, each way');
}

function addLimits(command: Command): void {
  command
    .option('-m, --memory <size>', 'memory that the guest may use')
    .option('--pids <count>', 'processes and threads that the guest may have')
    .option('--timeout <time>', 'end the sandbox after this time (exit code 124)')
    .option('--platform <name>', 'how guest code runs: auto, systrap, ptrace', 'auto')
    .option('--no-patching', 'leave the system call instructions of programs as they are: slower')
    .option('--no-windows', 'let the Sentry copy the arguments of all calls itself: slower')
    .option('--no-host-futexes', 'let threads wait for one another in the Sentry only: slower');
}

function addTracing(command: Command): void {
  command
    .option(
      '--strace [file]',
      'write the system calls of the guest to a file: --strace=FILE, --strace=- for standard error (runts-strace.PID.log)',
    )
    .option(
      '--strace-filter <words>',
      'only these calls: names and classes, as file,network,!futex',
    )
    .option('--strace-times <kinds>', 'times of calls: relative, absolute, spent')
    .option(
      '--stats [file]',
      'count system calls, and print what they cost: --stats=FILE for a file (standard error)',
    )
    .option('--profile <file>', "write a CPU profile of runts' kernel, for `runts debug profile`")
    .option('--debug-log <file>', "write runts' own log to a file")
    .option('--debug-seccomp', 'log host calls outside the lists instead of dying of them');
}
