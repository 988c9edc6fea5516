// CPU time as the guest sees it: what the host charged its threads. Time the Sentry spends on a
// guest's behalf is not counted. Differs from Linux: user and system time are not told apart.
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** Nanoseconds of all threads of a process, the ended ones included. */
export function processCpuNs(group: ThreadGroup): number {
  const task = group.anyTask;
  if (task === undefined || task.isDead) return group.pastCpuNs;
  return group.pastCpuNs + task.mm.space.usage().cpuNs;
}

export function threadCpuNs(task: Task): number {
  return task.isDead ? 0 : task.thread.cpuNs();
}
