// SPDX-License-Identifier: Apache-2.0
// The caller's terminal, as the guest's own starts out. While the sandbox runs the launcher has it
// (native/launcher/front.c).
import { isErrno } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import type { WindowSize } from '../protocol/boot-config.ts';
import { DEFAULT_COLUMNS, DEFAULT_ROWS } from '../protocol/process-defaults.ts';
import { Failure } from './failure.ts';

export function windowSize(fd: number): WindowSize {
  const out = new Int32Array(2);
  if (isErrno(native.windowSize(fd, out))) return { rows: DEFAULT_ROWS, columns: DEFAULT_COLUMNS };
  return { rows: out[0] as number, columns: out[1] as number };
}

/**
 * A guest gets a terminal of its own where both its input and output are one. Where only one of them is
 * (`runts do ls | less`), the other end of the pipe may use the terminal too, so its settings stay.
 */
export function wantsTerminal(): boolean {
  return isTerminal(0) && isTerminal(1);
}

/** A container's process in the foreground that has `terminal` set is given ours, for input and output. */
export function needTerminal(): void {
  if (!isTerminal(0))
    throw new Failure(
      'RUNTS_E_TERMINAL',
      'cannot allocate tty: standard input is not a terminal (--console-socket)',
    );
}

/** isatty(3), without the streams and sockets that node:tty loads. */
function isTerminal(fd: number): boolean {
  return native.windowSize(fd, new Int32Array(2)) === 0;
}
