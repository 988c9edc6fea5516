// SPDX-License-Identifier: Apache-2.0
// What System V shared memory, semaphores and message queues have in common (sysvipc(7),
// ipc/util.c): keys, ids, owners, permissions, and a table of each kind in an IPC namespace.
import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import {
  EACCES,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE } from '../../../abi/ipc.ts';
import { type Credentials, isCapable } from '../../vfs/credentials.ts';
import type { PidNamespace } from '../pid-namespace.ts';
import { type IpcMemory, OBJECT_BYTES } from './ipc-memory.ts';

/** Indices of a table: an id is a sequence number times this, plus the index. */
const ID_STEP = 32_768;
const SEQUENCES = 2 ** 16 - 1;
/** Linux walks through this many indices at least before it takes one again (ipc_min_cycle). */
const MIN_CYCLE = 64;
const PERMISSION_BITS = 0o777;
const NO_ID = 0xffff_ffff;

export const READ_PERMISSION = 0o444;
export const WRITE_PERMISSION = 0o222;

/** A process: its pid, and the PID namespace that it belongs to. */
export interface IpcUser {
  readonly id: number;
  readonly pids: PidNamespace;
}

/** Arguments of shmget, semget and msgget that are the same, and who calls. */
export interface IpcRequest {
  readonly key: number;
  /** IPC_CREAT, IPC_EXCL, permissions. */
  readonly flags: number;
  readonly credentials: Credentials;
  readonly user: IpcUser;
  readonly nowSec: number;
}

export abstract class IpcObject {
  readonly id: number;
  key: number;
  uid: number;
  gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  /** Permissions, and flags of the kind above them. */
  mode: number;
  /** Seconds since the epoch. */
  changeTime: number;

  constructor(id: number, request: IpcRequest) {
    this.id = id;
    this.key = request.key;
    this.uid = request.credentials.euid;
    this.gid = request.credentials.egid;
    this.creatorUid = this.uid;
    this.creatorGid = this.gid;
    this.mode = request.flags & PERMISSION_BITS;
    this.changeTime = request.nowSec;
  }

  get seq(): number {
    return Math.floor(this.id / ID_STEP);
  }

  /** ipcperms(): `wanted` are permission bits (0444 to read). */
  permits(credentials: Credentials, wanted: number): boolean {
    const requested = ((wanted >> 6) | (wanted >> 3) | wanted) & 7;
    const { euid, egid, groups } = credentials;
    const inGroup = (gid: number): boolean => egid === gid || groups.includes(gid);
    let granted = this.mode;
    if (euid === this.uid || euid === this.creatorUid) granted >>= 6;
    else if (inGroup(this.gid) || inGroup(this.creatorGid)) granted >>= 3;
    return (requested & ~granted) === 0 || isCapable(credentials, CAP_IPC_OWNER);
  }

  isOwner({ euid }: Credentials): boolean {
    return euid === this.uid || euid === this.creatorUid;
  }

  /** IPC_SET. EINVAL for ids that are none. */
  setOwner(uid: number, gid: number, mode: number): SysResult {
    if (uid === NO_ID || gid === NO_ID) return EINVAL;
    this.uid = uid;
    this.gid = gid;
    this.mode = (this.mode & ~PERMISSION_BITS) | (mode & PERMISSION_BITS);
    return 0;
  }
}

/** The rules of a kind of objects for finding and making them. */
export interface IpcKind<T> {
  /** May one more be made? Asked before `limit`. */
  readonly check: () => SysResult;
  readonly limit: number;
  readonly make: (id: number) => Result<T & object>;
  /** Does one that is there satisfy the request? */
  readonly accepts: (existing: T) => boolean;
}

export class IpcTable<T extends IpcObject> {
  protected readonly memory: IpcMemory;
  /** By index: id modulo ID_STEP. */
  readonly #byIndex = new Map<number, T>();
  readonly #byKey = new Map<number, T>();
  #sequence = 0;
  #lastIndex = -1;

  constructor(memory: IpcMemory) {
    this.memory = memory;
  }

  get count(): number {
    return this.#byIndex.size;
  }

  /** The highest index in use, 0 where there is none. */
  get highestIndex(): number {
    let highest = 0;
    for (const index of this.#byIndex.keys()) highest = Math.max(highest, index);
    return highest;
  }

  /** In order of index, as /proc/sysvipc lists them. */
  list(): T[] {
    return [...this.#byIndex.values()].toSorted((a, b) => (a.id % ID_STEP) - (b.id % ID_STEP));
  }

  find(id: number): Result<T> {
    const object = id < 0 ? undefined : this.#byIndex.get(id % ID_STEP);
    return object === undefined || object.id !== id ? EINVAL : object;
  }

  /** SHM_STAT and its like: whatever is at the place of an id. */
  findIndex(index: number): Result<T> {
    return this.#byIndex.get(index % ID_STEP) ?? EINVAL;
  }

  /** The object, where the caller may change or remove it. */
  findOwned(id: number, credentials: Credentials): Result<T> {
    const object = this.find(id);
    if (isErrno(object)) return object;
    return object.isOwner(credentials) || isCapable(credentials, CAP_SYS_ADMIN) ? object : EPERM;
  }

  /** ipcget(). */
  get({ key, flags, credentials }: IpcRequest, kind: IpcKind<T>): Result<T> {
    const existing = key === IPC_PRIVATE ? undefined : this.#byKey.get(key);
    if (existing === undefined)
      return key === IPC_PRIVATE || (flags & IPC_CREAT) !== 0 ? this.#create(key, kind) : ENOENT;
    if ((flags & IPC_CREAT) !== 0 && (flags & IPC_EXCL) !== 0) return EEXIST;
    if (!kind.accepts(existing)) return EINVAL;
    return existing.permits(credentials, flags & PERMISSION_BITS) ? existing : EACCES;
  }

  forgetKey(object: T): void {
    if (this.#byKey.get(object.key) === object) this.#byKey.delete(object.key);
  }

  forget(object: T): void {
    this.forgetKey(object);
    if (this.#byIndex.delete(object.id % ID_STEP)) this.memory.give(OBJECT_BYTES);
  }

  #create(key: number, { check, limit, make }: IpcKind<T>): Result<T> {
    const checked = check();
    if (isErrno(checked)) return checked;
    if (this.#byIndex.size >= Math.min(limit, ID_STEP)) return ENOSPC;
    if (!this.memory.take(OBJECT_BYTES)) return ENOMEM;
    const object = make(this.#nextId());
    if (isErrno(object)) {
      this.memory.give(OBJECT_BYTES);
      return object;
    }
    this.#byIndex.set(object.id % ID_STEP, object);
    if (key !== IPC_PRIVATE) this.#byKey.set(key, object);
    return object;
  }

  /** Cyclic, as Linux: an id is not used again soon. */
  #nextId(): number {
    const cycle = Math.min(Math.max(Math.floor(this.#byIndex.size * 1.5), MIN_CYCLE), ID_STEP);
    let index = this.#lastIndex;
    do {
      index += 1;
      if (index >= cycle) index = 0;
    } while (this.#byIndex.has(index));
    if (index <= this.#lastIndex) this.#sequence = (this.#sequence + 1) % SEQUENCES;
    this.#lastIndex = index;
    return this.#sequence * ID_STEP + index;
  }
}
