// SPDX-License-Identifier: Apache-2.0
// What shmctl(2), semctl(2) and msgctl(2) share: struct ipc64_perm both ways, IPC_STAT by id or by place.
import { EACCES, EFAULT, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { ipcPerm } from '../../abi/ipc.ts';
import {
  type IpcObject,
  type IpcTable,
  type IpcUser,
  READ_PERMISSION,
} from '../kernel/ipc/ipc-objects.ts';
import { userOf } from '../kernel/ipc/leave.ts';
import { pidSeenFrom } from '../kernel/pid-namespace.ts';
import type { Task } from '../kernel/task.ts';

/** Returns the caller as shmget, semget and msgget describe it. */
export const callerOf = (
  task: Task,
): Pick<Parameters<IpcTable<IpcObject>['get']>[0], 'credentials' | 'user' | 'nowSec'> => ({
  credentials: task.credentials,
  user: userOf(task),
  nowSec: nowSec(task),
});

export const nowSec = (task: Task): number => task.kernel.clock.realtime().sec;

export const pidSeen = (task: Task, user: IpcUser | undefined): number =>
  user === undefined ? 0 : pidSeenFrom(task.pids, user.pids, user.id);

/**
 * IPC_STAT and its kin. `byPlace`: the id is taken as an index, and is the answer; `unchecked`: for
 * everybody.
 */
export interface StatusRequest {
  readonly id: number;
  readonly addr: number;
  readonly byPlace: boolean;
  readonly unchecked: boolean;
}

/** `fill` writes what follows the permissions. */
export function writeStatus<T extends IpcObject>(
  task: Task,
  table: IpcTable<T>,
  { id, addr, byPlace, unchecked }: StatusRequest,
  sizeBytes: number,
  fill: (view: DataView, object: T) => void,
): SysResult {
  const object = byPlace ? table.findIndex(id) : table.find(id);
  if (isErrno(object)) return object;
  if (!unchecked && !object.permits(task.credentials, READ_PERMISSION)) return EACCES;
  const view = new DataView(new ArrayBuffer(sizeBytes));
  view.setInt32(ipcPerm.key, object.key, true);
  view.setUint32(ipcPerm.uid, object.uid, true);
  view.setUint32(ipcPerm.gid, object.gid, true);
  view.setUint32(ipcPerm.cuid, object.creatorUid, true);
  view.setUint32(ipcPerm.cgid, object.creatorGid, true);
  view.setUint32(ipcPerm.mode, object.mode, true);
  view.setUint16(ipcPerm.seq, object.seq, true);
  fill(view, object);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  if (isErrno(written)) return written;
  return byPlace ? object.id : 0;
}

/** IPC_SET: the object with its new owner and mode, and the rest of the struct, read once. */
export function changeOwner<T extends IpcObject>(
  task: Task,
  table: IpcTable<T>,
  id: number,
  addr: number,
  sizeBytes: number,
  allow: (view: DataView, object: T) => SysResult = () => 0,
): Result<{ readonly object: T; readonly view: DataView }> {
  const view = task.memory.view(addr, sizeBytes);
  if (isErrno(view)) return EFAULT;
  const object = table.findOwned(id, task.credentials);
  if (isErrno(object)) return object;
  const allowed = allow(view, object);
  if (isErrno(allowed)) return allowed;
  const set = object.setOwner(
    view.getUint32(ipcPerm.uid, true),
    view.getUint32(ipcPerm.gid, true),
    view.getUint32(ipcPerm.mode, true),
  );
  if (isErrno(set)) return set;
  object.changeTime = nowSec(task);
  return { object, view };
}

export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
