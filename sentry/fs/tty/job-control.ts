// SPDX-License-Identifier: Apache-2.0
// Job control: which processes may use their terminal, and the signals that others get
// (credentials(7), setpgid(2), "Job control" in the C library's manual).
import { EIO, ERESTARTSYS, type SysResult } from '../../../abi/errno.ts';
import { SI_KERNEL, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN } from '../../../abi/signal.ts';
import type { Clock } from '../../base/clock.ts';
import type { TimerQueue } from '../../base/timer-queue.ts';
import type { ProcessGroup, Session } from '../../kernel/session.ts';
import type { Task } from '../../kernel/task.ts';
import type { ControllingTerminal } from '../../kernel/terminal.ts';

/** The parts of the kernel that terminals use. */
export interface TerminalKernel {
  readonly clock: Clock;
  readonly timers: TimerQueue;
  /** `current`: on whose behalf a handler runs. */
  readonly scheduler: { readonly current: Task | undefined };
}

export function sessionOf(task: Task): Session {
  return task.group.processGroup.session;
}

/** The terminal that controls the session of `task`, if any. */
export function controllingTerminalOf(task: Task): ControllingTerminal | undefined {
  const terminal = sessionOf(task).terminal;
  if (terminal === undefined || terminal.session !== sessionOf(task)) return undefined;
  return task.group.leftTerminal === terminal ? undefined : terminal;
}

/** One process, and what it forks from now on, goes without its session's terminal. */
export function leaveTerminal(task: Task, terminal: ControllingTerminal): void {
  task.group.leftTerminal = terminal;
}

export function isSessionLeader(task: Task): boolean {
  return sessionOf(task).leader === task.group;
}

export function signalProcessGroup(group: ProcessGroup | undefined, signal: number): void {
  if (group === undefined) return;
  for (const member of [...group.members]) member.send({ signal, code: SI_KERNEL });
}

/**
 * Whether `task` may read from (SIGTTIN) or change (SIGTTOU) `terminal`: 0 where it may. A process in
 * the background of that terminal gets the signal, with its whole group, and ERESTARTSYS.
 */
export function checkForeground(
  task: Task | undefined,
  terminal: ControllingTerminal,
  signal: number,
): SysResult {
  if (task === undefined || controllingTerminalOf(task) !== terminal) return 0;
  const foreground = sessionOf(task).foreground;
  const own = task.group.processGroup;
  if (foreground === undefined || own === foreground) return 0;
  if (task.signalMask.has(signal) || task.group.actions.get(signal).handler === SIG_IGN) {
    return signal === SIGTTIN ? EIO : 0;
  }
  if (own.isOrphaned()) return EIO;
  signalProcessGroup(own, signal);
  return ERESTARTSYS;
}

/** Makes `terminal` the controlling terminal of the session that `task` leads. */
export function takeTerminal(task: Task, terminal: ControllingTerminal): void {
  const session = sessionOf(task);
  terminal.session = session;
  session.terminal = terminal;
  session.foreground = task.group.processGroup;
}

/** Nobody has `terminal` as controlling terminal any more. Sends nothing. */
export function clearTerminal(terminal: ControllingTerminal): void {
  const session = terminal.session;
  terminal.session = undefined;
  if (session === undefined || session.terminal !== terminal) return;
  session.terminal = undefined;
  session.foreground = undefined;
}

/**
 * The leader of `session` gave `terminal` up: on exit the foreground group is hung up, else it may
 * go on too.
 */
export function disassociate(
  session: Session,
  terminal: ControllingTerminal,
  reason: 'exit' | 'request',
): void {
  if (terminal.session !== session) return;
  const foreground = session.foreground;
  clearTerminal(terminal);
  signalProcessGroup(foreground, SIGHUP);
  if (reason === 'request') signalProcessGroup(foreground, SIGCONT);
}

/** The terminal itself is gone: the session leader is told. */
export function hangUpSession(terminal: ControllingTerminal): void {
  const leader = terminal.session?.leader;
  clearTerminal(terminal);
  leader?.send({ signal: SIGHUP, code: SI_KERNEL });
  leader?.send({ signal: SIGCONT, code: SI_KERNEL });
}
