// SPDX-License-Identifier: Apache-2.0
// How tasks leave IPC objects behind: exit(2), unshare(2), setns(2).
import type { Task } from '../task.ts';
import type { IpcNamespace } from './ipc-namespace.ts';
import type { IpcUser } from './ipc-objects.ts';

export const userOf = ({ group, pids }: Task): IpcUser => ({ id: group.id, pids });

/** exit_sem(): unshare(CLONE_SYSVSEM) and the end of a thread. */
export function undoSemaphores(task: Task): void {
  const list = task.undo;
  task.undo = undefined;
  list?.release(userOf(task), task.kernel.clock.realtime().sec);
}

/** From here on the task names what is in `namespace`. What it would undo is of the old one. */
export function enterIpcNamespace(task: Task, namespace: IpcNamespace): void {
  undoSemaphores(task);
  const old = task.ipc;
  task.ipc = namespace.acquire();
  old.release();
}
