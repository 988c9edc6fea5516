// SPDX-License-Identifier: Apache-2.0
// vhangup(2). What else there is to terminals is ioctls and job control: fs/tty/.
import { CAP_SYS_TTY_CONFIG } from '../../abi/capability.ts';
import { EPERM, type SysResult } from '../../abi/errno.ts';
import { controllingTerminalOf } from '../fs/tty/job-control.ts';
import { Terminal } from '../fs/tty/terminal.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import { direct, type Row } from './entry.ts';

/** Hangs up the caller's terminal, where it has one. */
function sysVhangup(task: Task): SysResult {
  if (!isCapable(task.credentials, CAP_SYS_TTY_CONFIG)) return EPERM;
  const terminal = controllingTerminalOf(task);
  if (terminal instanceof Terminal) terminal.hangUp();
  return 0;
}

export const ttyRows: readonly Row[] = [direct(153, 'vhangup', [], sysVhangup)];
