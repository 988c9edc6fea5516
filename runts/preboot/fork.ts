// The first thing that a command line does which is to start a sandbox: it forks a preboot
// (native/preboot), which loads the Sentry's and the Gofer's programs while this process reads its
// arguments and config.json. So each of the three has a booted Node for the price of one.
import type { Roles } from '../../native/roles.ts';

/** native/preboot/addon.c */
export interface PrebootAddon {
  fork(socket: Int32Array): number;
  awaitRole(): readonly [name: string, argument: string | undefined];
  ask(socket: number, kind: number, words: Uint8Array, fds: Int32Array): number;
}

/** The command line's knowledge of its preboot: `runtsPreboot` of the global object. */
export interface Preboot {
  readonly pid: number;
  readonly socket: number;
  readonly addon: PrebootAddon;
  /** It has been told what to be, and is not to end with the command line. */
  isAsked: boolean;
}

/** True in the Sentry and the Gofer, when they have started: nothing more is to be done there. */
export function forkPreboot(addon: PrebootAddon, loadPrograms: () => void): boolean {
  const program = process.env['RUNTS_PREBOOT'];
  delete process.env['RUNTS_PREBOOT'];
  const socket = new Int32Array(1);
  const pid = addon.fork(socket);
  if (pid > 0) {
    // It was executed by a descriptor, and so /proc/self/exe has no name.
    process.execPath = program ?? process.execPath;
    const preboot: Preboot = { pid, socket: socket[0] as number, addon, isAsked: false };
    Object.assign(globalThis, { runtsPreboot: preboot });
    process.on('exit', () => end(preboot));
  }
  if (pid !== 0) return false;
  const roles: Roles = {};
  Object.assign(globalThis, { runtsRoles: roles });
  loadPrograms();
  const [name, argument] = addon.awaitRole();
  roles.argument = argument;
  const start = name === 'runts-sentry' ? roles.sentry : roles.gofer;
  start?.();
  return true;
}

/** It holds the caller's streams. */
function end(preboot: Preboot): void {
  if (!preboot.isAsked) process.kill(preboot.pid, 'SIGKILL');
}
