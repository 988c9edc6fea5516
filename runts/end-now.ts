// SPDX-License-Identifier: Apache-2.0
// The end of a command line that leaves a process behind.
import { native } from '../native/addon.ts';
import { globals } from '../protocol/globals.ts';

/**
 * What a front, our child, leaves open in Node does not keep the caller waiting, nor does the end of
 * Node itself.
 */
export function endNow(code: number): never {
  return globals.runtsCaller === undefined
    ? native.exitNow(code)
    : globals.runtsCaller.end(code);
}
