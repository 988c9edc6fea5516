// SPDX-License-Identifier: Apache-2.0
// How the Sentry and the Gofer start: as programs, or loaded by a preboot (native/preboot).
import { globals } from '../protocol/globals.ts';

const roles = globals.runtsRoles;

/** Starts now, or in a preboot when it has become that. */
export function startAs(role: 'sentry' | 'gofer', start: () => void): void {
  if (roles === undefined) start();
  else roles[role] = start;
}

/** The same for the command line, whose arguments come later in a nursery; `prepare` is for that one. */
export function startCommandLine(
  start: (args: readonly string[]) => void,
  prepare: () => Promise<void>,
): void {
  if (roles === undefined) {
    start(process.argv.slice(2));
    return;
  }
  roles.cli = start;
  roles.prepareCli = prepare;
}

/**
 * Returns the argument that the launcher passes beside the descriptors
 * (native/launcher/children.c).
 */
export function launcherArgument(): string {
  return (roles === undefined ? process.argv.at(-1) : roles.argument) ?? '';
}
