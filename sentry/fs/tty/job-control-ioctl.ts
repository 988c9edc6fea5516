// SPDX-License-Identifier: Apache-2.0
// The ioctls of pseudoterminals about sessions and process groups: whose terminal it is, and who is
// in its foreground (TIOCSCTTY(2const), TIOCSPGRP(2const)).

import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { EINVAL, EIO, ENOTTY, EPERM, ESRCH, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_ACCMODE, O_WRONLY } from '../../../abi/fcntl.ts';
import { SIGINT, SIGQUIT, SIGTSTP, SIGTTOU } from '../../../abi/signal.ts';
import type { ProcessGroup } from '../../kernel/session.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import {
  checkForeground,
  clearTerminal,
  controllingTerminalOf,
  disassociate,
  isSessionLeader,
  leaveTerminal,
  sessionOf,
  signalProcessGroup,
  takeTerminal,
} from './job-control.ts';
import type { PtySlave } from './pty-slave.ts';
import type { Terminal } from './terminal.ts';

/** Whether `terminal` is the controlling terminal of the caller. */
export function controls(terminal: Terminal, caller: Caller): boolean {
  return controllingTerminalOf(caller as Task) === terminal;
}

/** TIOCGPGRP: tcgetpgrp(3). */
export function foregroundId(terminal: Terminal, argument: number, caller: Caller): SysResult {
  return caller.memory.writeU32(argument, terminal.session?.foreground?.id ?? 0);
}

/** TIOCGSID: tcgetsid(3). */
export function sessionId(terminal: Terminal, argument: number, caller: Caller): SysResult {
  if (terminal.session === undefined) return ENOTTY;
  return caller.memory.writeU32(argument, terminal.session.id);
}

/** TIOCSPGRP: tcsetpgrp(3). */
export function setForeground(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const task = caller as Task;
  const allowed = checkForeground(task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed === EIO ? ENOTTY : allowed;
  const view = task.memory.view(argument, 4);
  if (isErrno(view)) return view;
  const id = view.getInt32(0, true);
  if (id < 0) return EINVAL;
  if (!controls(terminal, caller)) return ENOTTY;
  const session = sessionOf(task);
  const group = findGroup(task, id);
  if (group === undefined) return ESRCH;
  if (group.session !== session) return EPERM;
  session.foreground = group;
  return 0;
}

/** A process group that has members. */
function findGroup(task: Task, id: number): ProcessGroup | undefined {
  const own = task.group.processGroup;
  if (own.id === id) return own;
  return task.pids.processGroups.get(id);
}

/** TIOCSCTTY: the terminal becomes the controlling one of the caller's session. */
export function takeControl(slave: PtySlave, argument: number, caller: Caller): SysResult {
  const task = caller as Task;
  const terminal = slave.terminal;
  if (isSessionLeader(task) && terminal.session === sessionOf(task)) return 0;
  if (!isSessionLeader(task) || controllingTerminalOf(task) !== undefined) return EPERM;
  const privileged = isCapable(task.credentials, CAP_SYS_ADMIN);
  if (terminal.session !== undefined) {
    if (argument !== 1 || !privileged) return EPERM;
    clearTerminal(terminal);
  }
  if ((slave.flags & O_ACCMODE) === O_WRONLY && !privileged) return EPERM;
  takeTerminal(task, terminal);
  return 0;
}

/** TIOCNOTTY: the caller's process, or its whole session where it leads that, loses the terminal. */
export function giveUpControl(terminal: Terminal, caller: Caller): SysResult {
  const task = caller as Task;
  if (!controls(terminal, caller)) return ENOTTY;
  if (isSessionLeader(task)) disassociate(sessionOf(task), terminal, 'request');
  else leaveTerminal(task, terminal);
  return 0;
}

/** TIOCSIG: a signal of the keyboard for the foreground, sent by the master. */
export function signalForeground(terminal: Terminal, signal: number): SysResult {
  if (signal !== SIGINT && signal !== SIGQUIT && signal !== SIGTSTP) return EINVAL;
  signalProcessGroup(terminal.session?.foreground, signal);
  return 0;
}
