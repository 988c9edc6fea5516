// System V shared memory segments (sysvipc(7)): the table of one IPC namespace. A segment is memory
// with a key, an owner and a count of its mappings; it goes when it is removed and no mapping is left.

import { CAP_IPC_OWNER } from '../../abi/capability.ts';
import {
  EACCES,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE, SHM_DEST, SHM_HUGETLB, SHMMIN } from '../../abi/ipc.ts';
import { settings } from '../base/settings.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import type { Mappable } from '../vfs/open-file.ts';
import type { SharedMemorySource } from './memory-manager.ts';
import { pageCeil } from './page.ts';

const ID_STEP = 32_768;
/** More bytes than any host has, and few enough to stay exact. */
const LARGEST_SEGMENT = 2 ** 46;
const PERMISSION_BITS = 0o777;

/** A process: its pid, and the PID namespace that it belongs to. */
export interface SegmentUser {
  readonly id: number;
  readonly pids: object;
}

export class ShmSegment implements Mappable {
  readonly id: number;
  key: number;
  readonly sizeBytes: number;
  uid: number;
  gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  /** Permissions, SHM_DEST, SHM_LOCKED. */
  mode: number;
  readonly creator: SegmentUser;
  /** Who attached or detached it last. */
  lastUser: SegmentUser | undefined = undefined;
  /** Seconds since the epoch, 0 for never. */
  attachTime = 0;
  detachTime = 0;
  changeTime: number;
  /** Mappings that hold it. */
  attachCount = 0;
  readonly #memory: Mappable;
  readonly #table: ShmSegments;

  constructor(table: ShmSegments, id: number, request: NewSegment, memory: Mappable) {
    this.#table = table;
    this.#memory = memory;
    this.id = id;
    this.key = request.key;
    this.sizeBytes = request.sizeBytes;
    this.uid = request.credentials.euid;
    this.gid = request.credentials.egid;
    this.creatorUid = this.uid;
    this.creatorGid = this.gid;
    this.mode = request.flags & PERMISSION_BITS;
    this.creator = request.user;
    this.changeTime = request.nowSec;
  }

  get dev(): number {
    return this.#memory.dev;
  }

  /** /proc/PID/maps shows the id here. */
  get ino(): number {
    return this.#memory.ino;
  }

  get seq(): number {
    return Math.floor(this.id / ID_STEP);
  }

  hostFd(writable: boolean): SysResult {
    return this.#memory.hostFd(writable);
  }

  acquire(): void {
    this.attachCount += 1;
  }

  release(): void {
    this.attachCount -= 1;
    this.freeIfUnused();
  }

  /** IPC_RMID: nobody finds it by key any more, and it goes with its last mapping. */
  markRemoved(): void {
    this.#table.forgetKey(this);
    this.key = IPC_PRIVATE;
    this.mode |= SHM_DEST;
    this.freeIfUnused();
  }

  freeIfUnused(): void {
    if (this.attachCount > 0 || (this.mode & SHM_DEST) === 0) return;
    this.#table.forget(this);
    this.#memory.release();
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
}

export interface NewSegment {
  readonly key: number;
  readonly sizeBytes: number;
  /** IPC_CREAT, IPC_EXCL, permissions. */
  readonly flags: number;
  readonly credentials: Credentials;
  readonly user: SegmentUser;
  readonly nowSec: number;
}

export class ShmSegments {
  readonly #source: SharedMemorySource;
  /** By index: id modulo ID_STEP. */
  readonly #byIndex = new Map<number, ShmSegment>();
  readonly #byKey = new Map<number, ShmSegment>();
  #nextSeq = 0;
  #lastIndex = -1;

  constructor(source: SharedMemorySource) {
    this.#source = source;
  }

  get count(): number {
    return this.#byIndex.size;
  }

  get totalBytes(): number {
    let bytes = 0;
    for (const segment of this.#byIndex.values()) bytes += pageCeil(segment.sizeBytes);
    return bytes;
  }

  /** The highest index in use, 0 where there is none. */
  get highestIndex(): number {
    return Math.max(0, ...this.#byIndex.keys());
  }

  /** In order of index, for /proc/sysvipc/shm. */
  list(): ShmSegment[] {
    return [...this.#byIndex.values()].toSorted((a, b) => (a.id % ID_STEP) - (b.id % ID_STEP));
  }

  find(id: number): Result<ShmSegment> {
    const segment = id < 0 ? undefined : this.#byIndex.get(id % ID_STEP);
    return segment === undefined || segment.id !== id ? EINVAL : segment;
  }

  findIndex(index: number): Result<ShmSegment> {
    return this.#byIndex.get(index) ?? EINVAL;
  }

  /** shmget(2). */
  get(request: NewSegment): Result<ShmSegment> {
    const { key, flags } = request;
    const existing = key === IPC_PRIVATE ? undefined : this.#byKey.get(key);
    if (existing === undefined) {
      return key === IPC_PRIVATE || (flags & IPC_CREAT) !== 0 ? this.#create(request) : ENOENT;
    }
    if ((flags & IPC_CREAT) !== 0 && (flags & IPC_EXCL) !== 0) return EEXIST;
    if (request.sizeBytes > existing.sizeBytes) return EINVAL;
    return existing.permits(request.credentials, flags & PERMISSION_BITS) ? existing : EACCES;
  }

  forgetKey(segment: ShmSegment): void {
    if (this.#byKey.get(segment.key) === segment) this.#byKey.delete(segment.key);
  }

  forget(segment: ShmSegment): void {
    this.forgetKey(segment);
    this.#byIndex.delete(segment.id % ID_STEP);
  }

  #create(request: NewSegment): Result<ShmSegment> {
    const { sizeBytes, key } = request;
    if (sizeBytes < SHMMIN || sizeBytes > settings.number('kernel.shmmax')) return EINVAL;
    if (sizeBytes > LARGEST_SEGMENT || (request.flags & SHM_HUGETLB) !== 0) return ENOMEM;
    if (this.#byIndex.size >= settings.number('kernel.shmmni')) return ENOSPC;
    const memory = this.#source.newSharedMemory(pageCeil(sizeBytes));
    if (isErrno(memory)) return memory;
    const segment = new ShmSegment(this, this.#nextId(), request, memory);
    this.#byIndex.set(segment.id % ID_STEP, segment);
    if (key !== IPC_PRIVATE) this.#byKey.set(key, segment);
    return segment;
  }

  /** Cyclic, as Linux: an id is not used again soon. */
  #nextId(): number {
    let index = this.#lastIndex;
    do {
      index += 1;
      if (index >= ID_STEP) {
        index = 0;
        this.#nextSeq = (this.#nextSeq + 1) % (2 ** 16 - 1);
      }
    } while (this.#byIndex.has(index));
    this.#lastIndex = index;
    return this.#nextSeq * ID_STEP + index;
  }
}
