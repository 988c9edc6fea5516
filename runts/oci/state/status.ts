// SPDX-License-Identifier: Apache-2.0
// What a container is doing, found out anew each time: the record may be older than the machine's
// last start, and any of its processes may have been killed.
import { userInfo } from 'node:os';
import { restoreCgroup } from '../cgroups/cgroup.ts';
import type { ContainerRecord } from './container-record.ts';
import { isAlive } from './process-identity.ts';
import type { Store } from './store.ts';

/** The state document's `status` (runtime.md of the specification), and runc's 'paused'. */
export type Status = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

export function statusOf(store: Store, record: ContainerRecord): Status {
  if (record.front === undefined) return isAlive(record.creator) ? 'creating' : 'stopped';
  if (!isAlive(record.front)) return 'stopped';
  if (record.cgroup !== null && restoreCgroup(record.cgroup).isFrozen()) return 'paused';
  return store.isStarted(record.id) ? 'running' : 'created';
}

/** The state as hooks get it on standard input, and `runts state` prints it with what runc adds. */
export function stateDocument(record: ContainerRecord, status: Status): Record<string, unknown> {
  return {
    ociVersion: record.ociVersion,
    id: record.id,
    pid: status === 'stopped' ? 0 : (record.front?.pid ?? 0),
    status,
    bundle: record.bundle,
    ...(Object.keys(record.annotations).length === 0 ? {} : { annotations: record.annotations }),
  };
}

/**
 * Returns the output of `runts state`. quick-record.ts takes it apart at the pid and the status.
 */
export function stateText(record: ContainerRecord, status: Status): string {
  const { annotations, ...document } = stateDocument(record, status);
  const text = JSON.stringify(
    {
      ...document,
      rootfs: record.rootfs,
      created: record.created,
      ...(annotations === undefined ? {} : { annotations }),
      owner: ownerName(record.owner),
    },
    undefined,
    2,
  );
  return `${text}\n`;
}

/** runc leaves root's name out. */
export function ownerName(uid: number): string {
  if (uid === 0) return '';
  return userInfo().uid === uid ? userInfo().username : String(uid);
}
