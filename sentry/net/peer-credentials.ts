// SPDX-License-Identifier: Apache-2.0
// What a process is shown of another's ids (unix(7), SO_PEERCRED and SCM_CREDENTIALS): as its own
// namespaces have them.
import { idSeenFrom } from '../kernel/id-ranges.ts';
import { pidSeenFrom } from '../kernel/pid-namespace.ts';
import type { Task } from '../kernel/task.ts';
import { shownId } from '../vfs/node.ts';
import type { PeerCredentials, Socket } from './socket.ts';

/** struct ucred. */
export interface ShownCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export function shownCredentials(task: Task, peer: PeerCredentials): ShownCredentials {
  const { ids } = task.group.container;
  return {
    pid: pidSeenFrom(task.pids, peer.pids, peer.pid),
    uid: shownId(idSeenFrom(ids.uids, peer.ids.uids, peer.uid)),
    gid: shownId(idSeenFrom(ids.gids, peer.ids.gids, peer.gid)),
  };
}

/** SO_PEERGROUPS; undefined where there is no peer. */
export function shownGroups(task: Task, socket: Socket): number[] | undefined {
  const { gids } = task.group.container.ids;
  const owner = socket.peerCredentials()?.ids.gids ?? gids;
  return socket.peerGroups()?.map((gid) => shownId(idSeenFrom(gids, owner, gid)));
}
