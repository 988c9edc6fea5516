// SPDX-License-Identifier: Apache-2.0
// System V shared memory segments (sysvipc(7)): the table of one IPC namespace. A segment is memory
// with a key, an owner and a count of its mappings; it goes when it is removed and no mapping is left.

import {
  EINVAL,
  ENOMEM,
  ENOSPC,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { IPC_PRIVATE, SHM_DEST, SHM_HUGETLB, SHMMIN } from '../../../abi/ipc.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { SharedMemory, SharedMemorySource } from '../../mm/memory-manager.ts';
import { pageCeil } from '../../mm/page.ts';
import type { Mappable } from '../../vfs/open-file.ts';
import type { IpcLimits } from './ipc-limits.ts';
import type { IpcMemory } from './ipc-memory.ts';
import { IpcObject, type IpcRequest, IpcTable, type IpcUser } from './ipc-objects.ts';

/** More bytes than any host has, and few enough to stay exact. */
const LARGEST_SEGMENT = 2 ** 46;

export interface NewSegment extends IpcRequest {
  readonly sizeBytes: number;
  /** The task that asks: with shm_rmid_forced the segment does not outlive it unmapped. */
  readonly maker: object;
}

export class ShmSegment extends IpcObject implements Mappable {
  readonly sizeBytes: number;
  readonly creator: IpcUser;
  readonly maker: object;
  /** The user who attached or detached the segment last. */
  lastUser: IpcUser | undefined = undefined;
  /** Seconds since the epoch, 0 for never. */
  attachTime = 0;
  detachTime = 0;
  /** Mappings that hold it. */
  attachCount = 0;
  readonly #memory: SharedMemory;
  readonly #table: ShmSegments;

  constructor(table: ShmSegments, id: number, request: NewSegment, memory: SharedMemory) {
    super(id, request);
    this.#table = table;
    this.#memory = memory;
    this.sizeBytes = request.sizeBytes;
    this.creator = request.user;
    this.maker = request.maker;
  }

  get dev(): number {
    return this.#memory.dev;
  }

  /** /proc/PID/maps shows the id here. */
  get ino(): number {
    return this.#memory.ino;
  }

  hostFd(writable: boolean): SysResult {
    return this.#memory.hostFd(writable);
  }

  acquire(): void {
    this.attachCount += 1;
  }

  release(): void {
    this.attachCount -= 1;
    if (this.attachCount === 0 && (this.isRemoved || this.#table.removesUnused)) this.#free();
  }

  get residentBytes(): number {
    return this.#memory.residentBytes;
  }

  get isRemoved(): boolean {
    return (this.mode & SHM_DEST) !== 0;
  }

  /** IPC_RMID: nobody finds it by key any more, and it goes with its last mapping. */
  markRemoved(): void {
    this.#table.forgetKey(this);
    this.key = IPC_PRIVATE;
    this.mode |= SHM_DEST;
    if (this.attachCount === 0) this.#free();
  }

  #free(): void {
    this.#table.forget(this);
    this.#memory.release();
  }
}

export class ShmSegments extends IpcTable<ShmSegment> {
  readonly #source: SharedMemorySource;
  readonly #limits: IpcLimits;

  constructor(source: SharedMemorySource, limits: IpcLimits, memory: IpcMemory) {
    super(memory);
    this.#source = source;
    this.#limits = limits;
  }

  get totalBytes(): number {
    let bytes = 0;
    for (const segment of this.list()) bytes += pageCeil(segment.sizeBytes);
    return bytes;
  }

  get residentBytes(): number {
    let bytes = 0;
    for (const segment of this.list()) bytes += segment.residentBytes;
    return bytes;
  }

  /** kernel.shm_rmid_forced: what nobody maps any more goes. */
  get removesUnused(): boolean {
    return this.#limits.number('kernel.shm_rmid_forced') !== 0;
  }

  /** shmget(2). */
  getSegment(request: NewSegment): Result<ShmSegment> {
    return this.get(request, {
      check: () => this.#check(request),
      limit: this.#limits.number('kernel.shmmni'),
      make: (id) => this.#make(id, request),
      accepts: (existing) => request.sizeBytes <= existing.sizeBytes,
    });
  }

  /** exit_shm(): a task ends. */
  taskEnded(task: object): void {
    if (this.count === 0 || !this.removesUnused) return;
    for (const segment of this.list())
      if (segment.maker === task && segment.attachCount === 0) segment.markRemoved();
  }

  /** The namespace ends: what is still mapped stays for those who have it. */
  clear(): void {
    for (const segment of this.list()) segment.markRemoved();
  }

  #check({ sizeBytes, flags }: NewSegment): SysResult {
    if (sizeBytes < SHMMIN || sizeBytes > this.#limits.number('kernel.shmmax')) return EINVAL;
    if (sizeBytes > LARGEST_SEGMENT || (flags & SHM_HUGETLB) !== 0) return ENOMEM;
    const pages = (this.totalBytes + pageCeil(sizeBytes)) / PAGE_SIZE;
    return pages > this.#limits.number('kernel.shmall') ? ENOSPC : 0;
  }

  #make(id: number, request: NewSegment): Result<ShmSegment> {
    const memory = this.#source.newSharedMemory(pageCeil(request.sizeBytes));
    return isErrno(memory) ? memory : new ShmSegment(this, id, request, memory);
  }
}
