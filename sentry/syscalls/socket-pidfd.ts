// SPDX-License-Identifier: Apache-2.0
// Descriptors of the process at the other end of a Unix socket (SO_PEERPIDFD, SCM_PIDFD).
import { ESRCH, type SysResult } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import type { PeerCredentials } from '../net/socket.ts';

/** A descriptor, closed on exec, that stands for the process of `peer`; ESRCH where it is gone. */
export function installPidfd(task: Task, peer: PeerCredentials): SysResult {
  const group = peer.pids?.processOf(peer.pid);
  if (group === undefined) return ESRCH;
  return task.files.add(task.kernel.newPidfd(task, group, 0), true);
}
