// SPDX-License-Identifier: Apache-2.0
// Options that users of docker, bwrap and runsc type from habit, and what `runts do` has instead. Those
// that mean the same here are options of `do` itself (cli-do.ts).

const isAlwaysSo = 'leave it out: a sandbox is always like that';

const hints: Readonly<Record<string, string>> = {
  '--bind': 'use --volume SOURCE:TARGET',
  '--bind-try': 'use --volume SOURCE:TARGET',
  '--ro-bind': 'use --volume SOURCE:TARGET:ro',
  '--ro-bind-try': 'use --volume SOURCE:TARGET:ro',
  '--dev-bind': 'devices of the host cannot be passed on; for files use --volume SOURCE:TARGET',
  '--device': 'devices of the host cannot be passed on',
  '--mount': 'use --volume SOURCE:TARGET[:ro] or --tmpfs PATH',
  '--rw': 'changes are kept in memory; what is to be changed for real is named by --volume DIR',
  '--overlay':
    'changes are kept in memory; what is to be changed for real is named by --volume DIR',
  '--force-overlay': isAlwaysSo,
  '--read-only': 'changes are kept in memory and forgotten at the end',
  '--net': 'use --network none, --network user or --network host',
  '--share-net': 'use --network user or --network host',
  '--unshare-net': isAlwaysSo,
  '--unshare-all': isAlwaysSo,
  '--unshare-pid': isAlwaysSo,
  '--unshare-user': isAlwaysSo,
  '--unshare-ipc': isAlwaysSo,
  '--unshare-uts': isAlwaysSo,
  '--unshare-cgroup': isAlwaysSo,
  '--die-with-parent': "leave it out: who ends 'runts do' ends the sandbox",
  '--new-session': isAlwaysSo,
  '--proc': 'leave it out: /proc is always there',
  '--dev': 'leave it out: /dev is always there',
  '--workdir': 'use --cwd DIR',
  '--chdir': 'use --cwd DIR',
  '--setenv': 'use --env NAME=VALUE',
  '--unsetenv': 'use --clear-env and --env NAME for those that are to stay',
  '--clearenv': 'use --clear-env',
  '--env-file': 'use --env NAME=VALUE',
  '--uid': 'use --user UID:GID',
  '--gid': 'use --user UID:GID',
  '--pids-limit': 'use --pids COUNT',
  '--rm': 'leave it out: nothing of a sandbox is left behind',
  '--name': "leave it out: 'runts list' shows running sandboxes",
  '-d': "a sandbox lives as long as 'runts do': let the shell run it in the background (&)",
  '--detach': "a sandbox lives as long as 'runts do': let the shell run it in the background (&)",
  '--entrypoint': 'the program is the first word after the options',
  '--cap-add': 'use --user 0 for all capabilities',
  '--cap-drop': 'use --user UID for none',
  '--privileged': 'use --user 0 for all capabilities',
};

/** A hint for the option that commander's message of an unknown one names; '' where there is none. */
export function hintFor(message: string): string {
  const word = /^unknown option '(--[^'=]+|-[^'-])/.exec(message)?.[1];
  const hint = word === undefined ? undefined : hints[word];
  return hint === undefined ? '' : `; ${hint}`;
}
