// SPDX-License-Identifier: Apache-2.0
// A nursery (native/preboot/README.md): it loads all three programs, and each call of the quick path
// gets a fork of it as its command line, which has a preboot as any other command line has.
import { readlinkSync } from 'node:fs';
import { globals, type Preboot, type PrebootAddon, type Roles } from '../../protocol/globals.ts';
import { NURSERY_PARTS_VARIABLE } from '../../protocol/nursery.ts';
import { PREBOOT_VARIABLE } from '../../protocol/processes.ts';
import { becomeRole, end } from './fork.ts';

/** False where this is to be no nursery. */
export function startNursery(
  addon: PrebootAddon,
  load: (program: 'gofer' | 'sentry' | 'cli') => void,
): boolean {
  const parts = process.env[NURSERY_PARTS_VARIABLE]?.split(',').map(Number);
  if (parts === undefined) return false;
  const [listener = -1, directory = -1, file = -1, seconds = 0] = parts;
  // It was executed by a descriptor, and so /proc/self/exe has no name.
  process.execPath = process.env[PREBOOT_VARIABLE] ?? process.execPath;
  delete process.env[NURSERY_PARTS_VARIABLE];
  delete process.env[PREBOOT_VARIABLE];
  const roles: Roles = {};
  globals.runtsRoles = roles;
  load('gofer');
  load('sentry');
  load('cli');
  void roles.prepareCli?.().then(() => serve(addon, roles, { listener, directory, file, seconds }));
  return true;
}

interface Place {
  readonly listener: number;
  readonly directory: number;
  readonly file: number;
  readonly seconds: number;
}

/** Goes on in each fork, and never in the nursery itself. */
function serve(addon: PrebootAddon, roles: Roles, place: Place): void {
  const call = addon.awaitCall(place.listener, place.directory, place.file, place.seconds);
  const out = new Int32Array(2);
  const words = addon.takeCall(call, out);
  const [pid, socket] = out as unknown as [number, number];
  if (pid === 0) becomeRole(addon, roles);
  else beCommandLine(addon, call, { pid, socket, addon, hasSentry: true, isAsked: false }, words);
  if (pid !== 0) roles.cli?.(words);
}

function beCommandLine(
  addon: PrebootAddon,
  call: number,
  preboot: Preboot,
  words: readonly string[],
): void {
  globals.runtsPreboot = preboot;
  globals.runtsCaller = {
    startFront: (front, fds) => addon.startFront(call, front, fds),
    end: (code) => addon.endCall(call, code),
  };
  process.argv = [...process.argv.slice(0, 2), ...words];
  Object.defineProperty(process, 'pid', { value: Number(readlinkSync('/proc/self')) });
  // Node's way out, after the listeners of 'exit'.
  (process as unknown as { reallyExit: (code: number) => void }).reallyExit = (code) =>
    addon.endCall(call, code);
  process.on('exit', () => end(preboot));
}
