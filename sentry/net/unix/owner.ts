// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a Unix socket, as SO_PEERCRED, SO_PEERGROUPS and SCM_CREDENTIALS tell
// it (unix(7)).
import type { PeerCredentials, SocketCaller } from '../socket.ts';

/** The maker of a socket, whom SO_PEERCRED of the other side shows. */
export interface Owner {
  readonly credentials: PeerCredentials;
  readonly groups: readonly number[];
}

/** SO_PEERCRED tells the effective ids at the time of connect(2), listen(2) or socketpair(2). */
export function ownerOf(caller: SocketCaller): Owner {
  const { euid, egid, groups } = caller.credentials;
  const { id: pid, pids, container } = caller.group;
  return { credentials: { pid, pids, ids: container.ids, uid: euid, gid: egid }, groups };
}

/** SCM_CREDENTIALS tells the real ids of the sender where it names none itself. */
export function senderOf(caller: SocketCaller): PeerCredentials {
  const { uid, gid } = caller.credentials;
  const { id: pid, pids, container } = caller.group;
  return { pid, pids, ids: container.ids, uid, gid };
}
