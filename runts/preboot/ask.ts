// SPDX-License-Identifier: Apache-2.0
// The command line's side of a preboot: what it is to become.
import { globals } from '../../protocol/globals.ts';
import type { PREBOOT_FRONT, PREBOOT_LAUNCHER } from '../../protocol/processes.ts';

export interface Asked {
  readonly pid: number;
  /** Where a launcher is sent its channels. */
  readonly socket: number;
}

/**
 * Has the preboot run the launcher's code with `words`, the first of them the program's path, and
 * the descriptors `fds`, under the same numbers as here. Undefined: there is none, or it cannot;
 * the launcher is to be started as a program then. `needsSentry`: it is to start a Sentry.
 */
export function askPreboot(
  kind: typeof PREBOOT_LAUNCHER | typeof PREBOOT_FRONT,
  words: readonly string[],
  fds: readonly number[],
  needsSentry: boolean,
): Asked | undefined {
  const preboot = globals.runtsPreboot;
  if (preboot === undefined || preboot.isAsked) return undefined;
  if (needsSentry && !preboot.hasSentry) return undefined;
  const bytes = Buffer.from(`${words.join('\0')}\0`, 'utf8');
  const all = Int32Array.from(new Set([...fds, ...words.flatMap(programFd)]));
  if (preboot.addon.ask(preboot.socket, kind, bytes, all) < 0) return undefined;
  preboot.isAsked = true;
  return preboot;
}

/** Programs of the one-file build are files in memory: single-file/memory-program.ts. */
export function programFd(word: string): number[] {
  const number = /^\/proc\/self\/fd\/(\d+)$/.exec(word)?.[1];
  return number === undefined ? [] : [Number(number)];
}
