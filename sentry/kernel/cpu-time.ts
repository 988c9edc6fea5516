// SPDX-License-Identifier: Apache-2.0
// CPU time as the guest sees it: what the host charged its threads. Time the Sentry spends on a
// guest's behalf is not counted. Differs from Linux: user and system time are not told apart.
import type { SysResult } from '../../abi/errno.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import { OneShot } from './one-shot.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** Nanoseconds of all threads of a process, the ended ones included. */
export function processCpuNs(group: ThreadGroup): number {
  const task = group.anyTask;
  if (task === undefined || task.isDead) return group.pastCpuNs;
  return group.pastCpuNs + task.mm.space.usage().cpuNs;
}

/**
 * The CPU time of a thread, as fresh as can be had without waiting long for its host thread: another
 * process's thread may never answer.
 */
export function threadCpuNs(task: Task): number {
  if (task.isDead) return 0;
  if (!task.thread.isAtWork) task.thread.refreshCpuTime(() => undefined);
  return task.thread.cpuNs();
}

/** Asks the caller's own thread for its CPU time, and waits for the answer if there is none at once. */
export function ownCpuNs(task: Task, then: (ns: number) => SysResult): MaybeBlocking {
  const told = new OneShot<boolean>({ threadIsBusy: true });
  if (task.thread.refreshCpuTime(() => told.set(true))) return then(task.thread.cpuNs());
  return afterTold(task, told, then);
}

function* afterTold(
  task: Task,
  told: OneShot<boolean>,
  then: (ns: number) => SysResult,
): Blocking<SysResult> {
  yield* told.wait();
  return then(task.thread.cpuNs());
}
