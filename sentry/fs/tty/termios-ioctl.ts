// SPDX-License-Identifier: Apache-2.0
// The ioctls of pseudoterminals about what a terminal is set to: struct termios in its four shapes,
// and the window size (TIOCSWINSZ(2const), TCSETS(2const)).

import { isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { SIGTTOU } from '../../../abi/signal.ts';
import {
  TCGETA,
  TCGETS2,
  TCSETA,
  TCSETAF,
  TCSETAW,
  TCSETS2,
  TCSETSF,
  TCSETSF2,
  TCSETSW2,
  termioLayout,
  termios2Layout,
  termiosLayout,
  winsizeLayout,
} from '../../../abi/termios.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { checkForeground } from './job-control.ts';
import type { Terminal } from './terminal.ts';
import {
  readTermio,
  readTermios,
  readTermios2,
  type Termios,
  writeTermio,
  writeTermios,
  writeTermios2,
} from './termios.ts';

/** TCGETS, TCGETS2 and TCGETA: tcgetattr(3). */
export function getTermios(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const size =
    command === TCGETS2
      ? termios2Layout.size
      : command === TCGETA
        ? termioLayout.size
        : termiosLayout.size;
  const bytes = new Uint8Array(size);
  const write =
    command === TCGETS2 ? writeTermios2 : command === TCGETA ? writeTermio : writeTermios;
  write(new DataView(bytes.buffer), terminal.termios);
  return caller.memory.write(argument, bytes);
}

/** TCSETS and its like: tcsetattr(3). The slave's background processes are stopped by SIGTTOU. */
export function setTermios(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  const wanted = readTermiosArgument(terminal, command, argument, caller);
  if (isErrno(wanted)) return wanted;
  if (command === TCSETSF || command === TCSETSF2 || command === TCSETAF) terminal.flushInput();
  terminal.setTermios(wanted);
  return 0;
}

function readTermiosArgument(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): Result<Termios> {
  if (command === TCSETA || command === TCSETAW || command === TCSETAF) {
    const view = caller.memory.view(argument, termioLayout.size);
    return isErrno(view) ? view : readTermio(view, terminal.termios);
  }
  const second = command === TCSETS2 || command === TCSETSW2 || command === TCSETSF2;
  const view = caller.memory.view(argument, second ? termios2Layout.size : termiosLayout.size);
  if (isErrno(view)) return view;
  return second ? readTermios2(view) : readTermios(view);
}

/** TIOCGWINSZ. */
export function getWindowSize(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const bytes = new Uint8Array(winsizeLayout.size);
  const view = new DataView(bytes.buffer);
  view.setUint16(winsizeLayout.rows, terminal.windowSize.rows, true);
  view.setUint16(winsizeLayout.columns, terminal.windowSize.columns, true);
  view.setUint16(winsizeLayout.xPixels, terminal.windowSize.xPixels, true);
  view.setUint16(winsizeLayout.yPixels, terminal.windowSize.yPixels, true);
  return caller.memory.write(argument, bytes);
}

/** TIOCSWINSZ: a changed size raises SIGWINCH. */
export function setWindowSize(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const view = caller.memory.view(argument, winsizeLayout.size);
  if (isErrno(view)) return view;
  terminal.setWindowSize({
    rows: view.getUint16(winsizeLayout.rows, true),
    columns: view.getUint16(winsizeLayout.columns, true),
    xPixels: view.getUint16(winsizeLayout.xPixels, true),
    yPixels: view.getUint16(winsizeLayout.yPixels, true),
  });
  return 0;
}
