// Who may look into whose process: ptrace(2), "Ptrace access mode checking" with
// PTRACE_MODE_READ_FSCREDS. /proc/PID, process_vm_readv and the like ask.
import { CAP_SYS_PTRACE } from '../../abi/capability.ts';
import { isCapable } from '../vfs/credentials.ts';
import { isSubset } from './credentials.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** True where `caller` may read memory, descriptors and environment of the process `target`. */
export function mayAccessProcess(caller: Task, target: ThreadGroup): boolean {
  if (caller.group === target) return true;
  const task = target.anyTask;
  if (task === undefined) return false;
  const mine = caller.credentials;
  if (isCapable(mine, CAP_SYS_PTRACE)) return true;
  const theirs = task.credentials;
  const sameUser =
    mine.fsuid === theirs.uid && mine.fsuid === theirs.euid && mine.fsuid === theirs.suid;
  const sameGroup =
    mine.fsgid === theirs.gid && mine.fsgid === theirs.egid && mine.fsgid === theirs.sgid;
  return (
    sameUser && sameGroup && target.dumpable === 1 && isSubset(theirs.permitted, mine.permitted)
  );
}
