// SPDX-License-Identifier: Apache-2.0
// Job-control stops (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU) and SIGCONT.
import { POLLIN } from '../../abi/poll.ts';
import {
  CLD_CONTINUED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
} from '../../abi/signal.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** A thread took a stop signal: every thread of the process is to stop. */
export function beginGroupStop(group: ThreadGroup, signal: number): void {
  group.stopRequested = true;
  group.stopCount += 1;
  group.stopSignal = signal;
  group.report = undefined;
  for (const task of group.tasks) group.kernel.scheduler.attend(task);
}

/** `task` has come to rest; the last one makes it known. */
export function taskStopped(task: Task): void {
  const group = task.group;
  if (!group.isStopped || group.report !== undefined) return;
  group.report = { kind: 'stopped', signal: group.stopSignal };
  tellParent(group, CLD_STOPPED, group.stopSignal);
}

/** SIGCONT was generated: what is stopped, or about to, runs on. */
export function continueGroup(group: ThreadGroup): void {
  if (!group.stopRequested) return;
  const wasStopped = group.isStopped;
  group.stopRequested = false;
  for (const task of group.tasks) {
    if (task.trace !== undefined) task.trace.continued();
    else if (task.state === 'stopped') group.kernel.scheduler.unstop(task);
  }
  if (!wasStopped) return;
  group.report = { kind: 'continued', signal: SIGCONT };
  tellParent(group, CLD_CONTINUED, SIGCONT);
}

function tellParent(group: ThreadGroup, code: number, status: number): void {
  if (group === group.kernel.mainGroup) group.kernel.mainStopped(code === CLD_STOPPED, status);
  const parent = group.parent;
  if (parent === undefined) return;
  const action = parent.actions.get(SIGCHLD);
  if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0) {
    parent.send({
      signal: SIGCHLD,
      code,
      pid: group.id,
      uid: group.anyTask?.credentials.uid ?? 0,
      status,
    });
  }
  parent.childQueue.notify(POLLIN);
}
