// SPDX-License-Identifier: Apache-2.0
// Who may send signals to whom: kill(2), "For a process to have permission to send a signal".
import { CAP_KILL } from '../../abi/capability.ts';
import { SIGCONT } from '../../abi/signal.ts';
import { isCapable } from '../vfs/credentials.ts';
import { idSeenFrom, rulesOver } from './id-ranges.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** May `task` send `signal` to `group`, or to its thread `thread`? Zombies count as they were. */
export function maySignal(
  task: Task,
  group: ThreadGroup,
  signal: number,
  thread: Task | undefined = group.anyTask,
): boolean {
  if (task.group === group) return true;
  const own = task.credentials;
  // The sandbox's own init has no task: it is root's.
  const [mine, theirs] = [task.group.container.ids, group.container.ids];
  const uid = idSeenFrom(mine.uids, theirs.uids, thread?.credentials.uid ?? 0);
  const suid = idSeenFrom(mine.uids, theirs.uids, thread?.credentials.suid ?? 0);
  if (own.euid === suid || own.euid === uid || own.uid === suid || own.uid === uid) return true;
  if (isCapable(own, CAP_KILL) && rulesOver(mine, theirs)) return true;
  return signal === SIGCONT && group.processGroup.session === task.group.processGroup.session;
}
