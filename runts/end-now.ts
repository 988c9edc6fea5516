// SPDX-License-Identifier: Apache-2.0
// The end of a command line that leaves a process behind.
import { native } from '../native/addon.ts';
import { globals } from '../protocol/globals.ts';

/**
 * Ends this process at once: the caller waits neither for what a front, our child, leaves open in
 * Node, nor for the end of Node itself.
 */
export function endNow(code: number): never {
  return globals.runtsCaller === undefined ? native.exitNow(code) : globals.runtsCaller.end(code);
}
