// SPDX-License-Identifier: Apache-2.0
// The first thing that a command line does which is to start a sandbox: it forks a preboot
// (native/preboot), which loads the Sentry's and the Gofer's programs while this process reads its
// arguments and config.json. So each of the three has a booted Node for the price of one.

import { globals, type Preboot, type PrebootAddon, type Roles } from '../../protocol/globals.ts';
import { PREBOOT_GOFER_VARIABLE, PREBOOT_VARIABLE, SENTRY_NAME } from '../../protocol/processes.ts';

/** True in the Sentry and the Gofer, when they have started: nothing more is to be done there. */
export function forkPreboot(
  addon: PrebootAddon,
  load: (program: 'gofer' | 'sentry') => void,
): boolean {
  const program = process.env[PREBOOT_VARIABLE];
  const hasSentry = process.env[PREBOOT_GOFER_VARIABLE] !== '1';
  delete process.env[PREBOOT_VARIABLE];
  delete process.env[PREBOOT_GOFER_VARIABLE];
  const socket = new Int32Array(1);
  const pid = addon.fork(socket);
  if (pid > 0) {
    // It was executed by a descriptor, and so /proc/self/exe has no name.
    process.execPath = program ?? process.execPath;
    const preboot: Preboot = { pid, socket: socket[0] as number, addon, hasSentry, isAsked: false };
    globals.runtsPreboot = preboot;
    process.on('exit', () => end(preboot));
  }
  if (pid !== 0) return false;
  const roles: Roles = {};
  globals.runtsRoles = roles;
  load('gofer');
  if (hasSentry) load('sentry');
  becomeRole(addon, roles);
  return true;
}

/** In a preboot: it becomes the Sentry or the Gofer, or no JavaScript runs any more. */
export function becomeRole(addon: PrebootAddon, roles: Roles): void {
  const [name, argument] = addon.awaitRole();
  roles.argument = argument;
  const start = name === SENTRY_NAME ? roles.sentry : roles.gofer;
  start?.();
}

/** It holds the caller's streams. */
export function end(preboot: Preboot): void {
  if (!preboot.isAsked) process.kill(preboot.pid, 'SIGKILL');
}
