// SPDX-License-Identifier: Apache-2.0
// Who may look into whose process: ptrace(2), "Ptrace access mode checking" with
// PTRACE_MODE_READ_FSCREDS (/proc/PID) and PTRACE_MODE_ATTACH_REALCREDS (process_vm_readv and the like).
import { CAP_SYS_PTRACE } from '../../abi/capability.ts';
import { isCapable } from '../vfs/credentials.ts';
import { isSubset } from './credentials.ts';
import { idSeenFrom, rulesOver } from './id-ranges.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/**
 * The ids and capabilities of a caller that count: its ids for files and its effective capabilities,
 * or its real ids and its permitted ones.
 */
export type AccessIds = 'file' | 'real';

/** True where `caller` may read memory, descriptors and environment of the process `target`. */
export function mayAccessProcess(caller: Task, target: ThreadGroup, ids: AccessIds): boolean {
  if (caller.group === target) return true;
  const task = target.anyTask;
  if (task === undefined) return false;
  const mine = caller.credentials;
  // Users of another user namespace are nobody here.
  if (!rulesOver(caller.group.container.ids, target.container.ids)) return false;
  if (isCapable(mine, CAP_SYS_PTRACE)) return true;
  const theirs = task.credentials;
  const own = caller.group.container.ids;
  const { uids, gids } = target.container.ids;
  const [myUid, myGid] = ids === 'file' ? [mine.fsuid, mine.fsgid] : [mine.uid, mine.gid];
  const capabilities = ids === 'file' ? mine.effective : mine.permitted;
  const isMine = (uid: number): boolean => idSeenFrom(own.uids, uids, uid) === myUid;
  const isMyGroup = (gid: number): boolean => idSeenFrom(own.gids, gids, gid) === myGid;
  const sameUser = [theirs.uid, theirs.euid, theirs.suid].every(isMine);
  const sameGroup = [theirs.gid, theirs.egid, theirs.sgid].every(isMyGroup);
  return sameUser && sameGroup && target.dumpable === 1 && isSubset(theirs.permitted, capabilities);
}
