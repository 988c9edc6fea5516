// Who may send signals to whom: kill(2), "For a process to have permission to send a signal".
import { CAP_KILL } from '../../abi/capability.ts';
import { SIGCONT } from '../../abi/signal.ts';
import { isCapable } from '../vfs/credentials.ts';
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
  const uid = thread?.credentials.uid ?? 0;
  const suid = thread?.credentials.suid ?? 0;
  if (own.euid === suid || own.euid === uid || own.uid === suid || own.uid === uid) return true;
  if (isCapable(own, CAP_KILL)) return true;
  return signal === SIGCONT && group.processGroup.session === task.group.processGroup.session;
}
