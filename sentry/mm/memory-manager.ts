// SPDX-License-Identifier: Apache-2.0
// The memory of one guest process (struct mm_struct): mmap(2), munmap(2), mprotect(2), faults and
// fork. Threads share it. brk, mremap, madvise, mlock and the growth of stacks are in files of
// their own beside this.

import {
  EACCES,
  EAGAIN,
  EINVAL,
  ENOMEM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_POPULATE,
  PROT_GROWSDOWN,
  PROT_GROWSUP,
  PROT_WRITE,
} from '../../abi/mman.ts';
import { SIGSEGV } from '../../abi/signal.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { GuestThread, Outcome } from '../platform/guest-thread.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FileIdentity } from '../vfs/node.ts';
import type { Mappable, OpenFile } from '../vfs/open-file.ts';
import { ProgramBreak } from './brk.ts';
import type { GuestMemory } from './guest-memory.ts';
import { AddressSpaceMemory } from './guest-memory-unsafe.ts';
import { type ImageLayout, noImage } from './image-layout.ts';
import { MAX_MAP_COUNT, mayExpand, mayLock } from './limits.ts';
import { type MappingPlan, planMapping } from './mapping-plan.ts';
import { isData, MANY_VMAS, MemoryMap } from './memory-map.ts';
import { isPageAligned, pageCeil, wrappedPageCeil } from './page.ts';
import { choosePlace, type PlacementBounds } from './placement.ts';
import { withImpliedExec } from './read-implies-exec.ts';
import { growStack } from './stack.ts';
import {
  type Backing,
  FULL_PROT,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_LOCKED,
  VMA_NORESERVE,
  VMA_SHARED,
  VMA_STACK,
  VMA_WIPEONFORK,
  Vma,
} from './vma.ts';

const PROT_SEM = 8;
const PAGE_FAULT = 14;
/** The parts of the calling task that memory calls use; Task is one. */
export interface MemoryCaller {
  readonly thread: GuestThread;
  readonly credentials: Credentials;
  readonly group: {
    readonly limits: { soft(resource: number): number };
    /** The flags of personality(2). */
    readonly personality: number;
  };
}

/** Memory without a file. */
export interface SharedMemory extends Mappable {
  /** How much of it takes host memory. */
  readonly residentBytes: number;
}

/** Makes the objects behind MAP_SHARED|MAP_ANONYMOUS and SysV shared memory. */
export interface SharedMemorySource {
  /** `length` bytes of zeroes. The caller holds it once, and releases it when its mappings hold it. */
  newSharedMemory(length: number): Result<SharedMemory>;
  /** memfd_create(2): `name` as given, `seals` to begin with, `mode` permission bits. Held by nobody. */
  newMemfd(name: string, seals: number, mode: number, credentials: Credentials): Result<OpenFile>;
}

/** A mapping whose kind and rights are settled. */
export interface NewMapping {
  readonly start: number;
  readonly length: number;
  readonly prot: number;
  readonly maxProt: number;
  /** VMA_*. */
  readonly flags: number;
  readonly backing: Backing | undefined;
  readonly offset: number;
  readonly populate: boolean;
  readonly name?: string;
}

let nextId = 0;

export class MemoryManager {
  readonly space: AddressSpace;
  readonly memory: GuestMemory;
  readonly map: MemoryMap;
  readonly bounds: PlacementBounds;
  readonly sharedMemory: SharedMemorySource;
  readonly image: ImageLayout;
  /** Tells address spaces apart in futex keys; never used again. */
  readonly id: number;
  /** Tasks that share this memory. */
  userCount = 1;
  /** All of them are about to leave it, so the host's process ends with all its threads in one go. */
  isEnding = false;
  /** The program that runs here (/proc/PID/exe), held. */
  executable: OpenFile | undefined = undefined;
  /** The identity of the program's file, which records that it is being executed. */
  #program: FileIdentity | undefined = undefined;
  readonly programBreak = new ProgramBreak();
  /** VMA_LOCKED | VMA_LOCKONFAULT for mappings to come (mlockall MCL_FUTURE). */
  lockFuture = 0;
  /** Highest totalBytes so far (VmPeak). */
  peakBytes = 0;
  constructor(
    space: AddressSpace,
    bounds: PlacementBounds,
    sharedMemory: SharedMemorySource,
    image: ImageLayout = noImage(),
  ) {
    nextId += 1;
    this.id = nextId;
    this.space = space;
    this.bounds = bounds;
    this.sharedMemory = sharedMemory;
    this.image = image;
    this.memory = new AddressSpaceMemory(space, bounds.guestTop);
    this.map = new MemoryMap(space);
  }

  /** mmap(2). `file` for anything but MAP_ANONYMOUS; `offset` is page-aligned. The address, or an errno. */
  mmap(
    caller: MemoryCaller,
    addr: number,
    length: number,
    prot: number,
    flags: number,
    file: OpenFile | undefined,
    offset: number,
  ): MaybeBlocking {
    this.begin(caller);
    if (length === 0) return EINVAL;
    const size = pageCeil(length);
    if (size > this.bounds.guestTop) return ENOMEM;
    if (this.map.vmas.size >= MAX_MAP_COUNT) return ENOMEM;
    const hugePages = file === undefined && addr === 0;
    const start = choosePlace(
      this.map,
      this.bounds,
      { addr, length: size, flags, hugePages },
      caller.thread,
    );
    if (isErrno(start)) return start;
    const locked = (flags & MAP_LOCKED) !== 0 ? VMA_LOCKED : 0;
    const lockError = this.checkLock(caller, size, locked);
    if (isErrno(lockError)) return lockError;
    const plan = planMapping(this.sharedMemory, size, prot, flags, file, offset);
    if (isErrno(plan)) return plan;
    const populate = ((flags & MAP_POPULATE) !== 0 && (flags & MAP_NONBLOCK) === 0) || locked !== 0;
    return this.#mapPlanned(
      caller,
      start,
      size,
      withImpliedExec(caller, prot & FULL_PROT, plan.maxProt),
      plan,
      locked | this.lockFuture,
      populate,
    );
  }

  #mapPlanned(
    caller: MemoryCaller,
    start: number,
    size: number,
    prot: number,
    plan: MappingPlan,
    extraFlags: number,
    populate: boolean,
  ): MaybeBlocking {
    const mapping: NewMapping = {
      start,
      length: size,
      prot,
      maxProt: plan.maxProt,
      flags: plan.flags | extraFlags,
      backing: plan.backing,
      offset: plan.offset,
      populate,
    };
    if (this.map.endOfPiece(start, start + size) < start + size)
      return begin(this.#mapOverMany(caller, mapping, plan));
    const result = this.install(caller, mapping);
    plan.done?.();
    return isErrno(result) ? result : start;
  }

  /** Takes away what is there in pieces, and then maps. */
  *#mapOverMany(caller: MemoryCaller, mapping: NewMapping, plan: MappingPlan): Blocking<SysResult> {
    const { start, length } = mapping;
    const end = start + length;
    try {
      if (!this.#mayReplace(caller, mapping)) return ENOMEM;
      const error = yield* this.unmapInPieces(caller.thread, start, end);
      if (isErrno(error)) return error;
      const result = this.install(caller, mapping);
      return isErrno(result) ? result : start;
    } finally {
      plan.done?.();
    }
  }

  #mayReplace(caller: MemoryCaller, mapping: NewMapping): boolean {
    const { start, length } = mapping;
    const replaced = this.#mappedBytes(start, start + length);
    return mayExpand(this.map, caller, length - replaced, isData(mapping) ? length : 0);
  }

  /**
   * Maps at a place that `choosePlace` gave, replacing what is there. Checks the limits. 0 or an errno.
   * Takes references of its own on the backing.
   */
  install(caller: MemoryCaller, mapping: NewMapping): SysResult {
    const { start, length } = mapping;
    const end = start + length;
    if (this.map.splitsNeeded(start, end) + this.map.vmas.size + 1 > MAX_MAP_COUNT) return ENOMEM;
    if (!this.#mayReplace(caller, mapping)) return ENOMEM;
    const operationError = this.queueMap(mapping, caller.thread);
    if (isErrno(operationError)) return operationError;
    this.#release(start, end);
    const { prot, maxProt, flags, backing, offset, name } = mapping;
    const vma = new Vma(start, end, prot, maxProt, flags, backing, offset, name);
    vma.hold();
    this.map.add(vma);
    this.#notePeak();
    return 0;
  }

  /** Queues the host's part of `mapping`. 0, or an errno of the file. */
  queueMap(mapping: NewMapping, thread: GuestThread): SysResult {
    const { start, length, prot, flags, backing, offset, populate } = mapping;
    if (backing === undefined) {
      const noreserve = (flags & VMA_NORESERVE) !== 0;
      this.map.queue(
        { kind: 'mapAnonymous', addr: start, length, prot, noreserve, populate },
        thread,
      );
      return 0;
    }
    const shared = (flags & VMA_SHARED) !== 0;
    const hostFd = backing.mappable.hostFd(shared && (mapping.maxProt & PROT_WRITE) !== 0);
    if (isErrno(hostFd)) return hostFd;
    this.map.queue(
      { kind: 'mapFile', addr: start, length, prot, shared, hostFd, offset, populate },
      thread,
    );
    return 0;
  }

  /** munmap(2). */
  munmap(caller: MemoryCaller, addr: number, length: number): MaybeBlocking {
    this.begin(caller);
    if (
      !isPageAligned(addr) ||
      length > this.bounds.guestTop ||
      addr > this.bounds.guestTop - length
    )
      return EINVAL;
    if (length === 0) return EINVAL;
    const end = addr + pageCeil(length);
    if (this.map.endOfPiece(addr, end) < end)
      return begin(this.unmapInPieces(caller.thread, addr, end));
    return this.unmapRange(caller.thread, addr, end);
  }

  /** The same as `unmapRange`, in pieces where there are many mappings. */
  *unmapInPieces(thread: GuestThread, start: number, end: number): Blocking<SysResult> {
    if (this.#cannotSplit(start, end)) return ENOMEM;
    for (let at = start; ; yield KILLABLE_PAUSE) {
      const pieceEnd = this.map.endOfPiece(at, end);
      const error = this.unmapRange(thread, at, pieceEnd);
      if (isErrno(error) || pieceEnd >= end) return error;
      at = pieceEnd;
    }
  }

  #cannotSplit(start: number, end: number): boolean {
    return this.map.splitsNeeded(start, end) === 2 && this.map.vmas.size >= MAX_MAP_COUNT;
  }

  /** Unmaps [start, end), whatever is there. 0 or ENOMEM (too many mappings). */
  unmapRange(thread: GuestThread, start: number, end: number): SysResult {
    const before = this.map.snapshot(start, end);
    if (before.length === 0) return 0;
    if (this.#cannotSplit(start, end)) return ENOMEM;
    this.map.queue({ kind: 'unmap', addr: start, length: end - start }, thread, before);
    this.#release(start, end);
    return 0;
  }

  /** mprotect(2), and pkey_mprotect(2) with key -1. */
  mprotect(caller: MemoryCaller, addr: number, length: number, prot: number): MaybeBlocking {
    this.begin(caller);
    const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || !isPageAligned(addr)) return EINVAL;
    if (length === 0) return 0;
    const end = addr + wrappedPageCeil(length);
    if (end === addr || end >= 2 ** 64) return ENOMEM;
    if ((prot & ~(grows | FULL_PROT | PROT_SEM)) !== 0) return EINVAL;
    let start = addr;
    if (grows !== 0) {
      const vma = this.map.vmas.firstEndingAfter(addr);
      if (vma === undefined || vma.start >= end) return ENOMEM;
      if (grows === PROT_GROWSUP || (vma.flags & VMA_GROWSDOWN) === 0) return EINVAL;
      start = vma.start;
    }
    const full = this.#fullProt(caller, start, end, prot & FULL_PROT);
    if (this.map.vmas.size > MANY_VMAS)
      return begin(this.#protectInPieces(caller, start, end, full));
    return this.#protect(caller, start, end, full);
  }

  /** Returns `prot` with what READ_IMPLIES_EXEC adds, where all of the range may be run. */
  #fullProt(caller: MemoryCaller, start: number, end: number, prot: number): number {
    const full = withImpliedExec(caller, prot);
    if (full === prot) return prot;
    for (const vma of this.map.vmas.overlapping(start, end)) {
      if ((full & ~vma.maxProt) !== 0) return prot;
    }
    return full;
  }

  *#protectInPieces(
    caller: MemoryCaller,
    start: number,
    end: number,
    prot: number,
  ): Blocking<SysResult> {
    for (let at = start; ; ) {
      const pieceEnd = this.map.endOfPiece(at, end);
      const error = this.#protect(caller, at, pieceEnd, prot);
      if (isErrno(error) || pieceEnd >= end) return error;
      at = pieceEnd;
      yield KILLABLE_PAUSE;
    }
  }

  /** Changes everything up to the first mapping that may not change, then fails, as Linux does. */
  #protect(caller: MemoryCaller, start: number, end: number, prot: number): SysResult {
    let reached = start;
    let error: SysResult = 0;
    while (reached < end && error === 0) {
      const vma = this.map.vmas.find(reached);
      if (vma === undefined) error = ENOMEM;
      else if ((prot & ~vma.maxProt) !== 0) error = EACCES;
      else if (
        !isData(vma) &&
        isData({ prot, flags: vma.flags }) &&
        !mayExpand(this.map, caller, 0, vma.bytes)
      )
        error = ENOMEM;
      else reached = Math.min(vma.end, end);
    }
    if (reached === start) return error;
    if (this.map.splitsNeeded(start, reached) + this.map.vmas.size > MAX_MAP_COUNT) return ENOMEM;
    const before = this.map.snapshot(start, reached);
    if (before.some((vma) => vma.prot !== prot)) {
      this.map.queue(
        { kind: 'protect', addr: start, length: reached - start, prot },
        caller.thread,
        before,
      );
      this.map.change(start, reached, (vma) => {
        vma.prot = prot;
      });
    }
    return error;
  }

  /**
   * A copy for a forked process, whose host memory is a copy too. What must not be inherited is
   * unmapped or wiped before `childThread` runs.
   */
  fork(space: AddressSpace, childThread: GuestThread): MemoryManager {
    const child = new MemoryManager(space, this.bounds, this.sharedMemory, { ...this.image });
    child.programBreak.end = this.programBreak.end;
    child.peakBytes = this.peakBytes;
    if (this.executable !== undefined) child.setExecutable(this.executable);
    child.map.copyFrom(this.map, (vma) => {
      const { start, bytes, prot, flags } = vma;
      if ((flags & VMA_DONTFORK) !== 0) {
        child.map.queue({ kind: 'unmap', addr: start, length: bytes }, childThread);
        return undefined;
      }
      if ((flags & VMA_WIPEONFORK) !== 0) {
        const noreserve = (flags & VMA_NORESERVE) !== 0;
        child.map.queue(
          { kind: 'mapAnonymous', addr: start, length: bytes, prot, noreserve, populate: false },
          childThread,
        );
      }
      const copy = vma.slice(start, vma.end);
      copy.flags &= ~VMA_LOCKED; // Locks are not inherited.
      return copy;
    });
    return child;
  }

  /** One more task uses this memory (CLONE_VM). */
  acquire(): this {
    this.userCount += 1;
    return this;
  }

  /**
   * A task no longer uses this memory; its `thread` has ended or moved on. True where it was the last:
   * then the host's address space is gone too, with all its threads.
   */
  release(thread?: GuestThread): boolean {
    if (thread !== undefined) {
      this.map.forget(thread);
      this.programBreak.settled(thread);
    }
    this.userCount -= 1;
    if (this.userCount > 0) return false;
    this.space.destroy();
    this.map.clear();
    this.#dropExecutable();
    return true;
  }

  /**
   * The only task that used this memory has got another in the same host process: what was mapped
   * here is gone from the host already.
   */
  retire(thread: GuestThread): void {
    this.programBreak.settled(thread);
    this.userCount = 0;
    this.map.clear();
    this.#dropExecutable();
  }

  /** Sets what /proc/PID/exe shows. Takes a reference of its own. */
  setExecutable(file: OpenFile): void {
    file.acquire();
    this.#dropExecutable();
    this.executable = file;
    this.#program = file.node.identity;
    this.#program.running += 1;
  }

  #dropExecutable(): void {
    if (this.#program !== undefined) this.#program.running -= 1;
    this.#program = undefined;
    this.executable?.release();
  }

  /** True: the fault is repaired (a stack grew), the thread may go on. False: it is the guest's signal. */
  fault(outcome: Outcome, caller: MemoryCaller): boolean {
    if (outcome.signal !== SIGSEGV || outcome.trapNumber !== PAGE_FAULT) return false;
    if (outcome.addr < 0 || outcome.addr >= this.bounds.guestTop) return false;
    this.begin(caller);
    return growStack(this, caller, outcome.addr);
  }

  /** A queued operation of `thread` failed in the host: what its call answers. The VMAs are right again. */
  operationFailed(outcome: Outcome, thread: GuestThread): SysResult {
    const errno = this.map.operationFailed(outcome, thread);
    return this.programBreak.undo(thread) ?? errno;
  }

  /** Every call that may queue operations starts with this. */
  begin(caller: MemoryCaller): void {
    this.map.begin(caller.thread);
    this.programBreak.settled(caller.thread);
  }

  /** EPERM or EAGAIN where `bytes` more would be locked and may not be. */
  checkLock(caller: MemoryCaller, bytes: number, flags: number): SysResult {
    if (((flags | this.lockFuture) & VMA_LOCKED) === 0) return 0;
    return mayLock(this.map, caller, bytes) ? 0 : EAGAIN;
  }

  /** First address past guest memory. */
  get addressLimit(): number {
    return this.bounds.guestTop;
  }

  /**
   * Returns the key that names the bytes at `addr` in every process that maps them; undefined where
   * they are private.
   */
  sharedKey(addr: number): string | undefined {
    const vma = this.map.vmas.find(addr);
    if (vma?.backing === undefined || !vma.isShared) return undefined;
    const { dev, ino, sharedName } = vma.backing.mappable;
    return `${sharedName ?? `${dev}.${ino}`}.${vma.offset + (addr - vma.start)}`;
  }

  /** The mapping of `addr`, for shared futex keys and the like. */
  vmaAt(addr: number): Vma | undefined {
    return this.map.vmas.find(addr);
  }

  #mappedBytes(start: number, end: number): number {
    let bytes = 0;
    for (const vma of this.map.vmas.overlapping(start, end)) {
      if ((vma.flags & VMA_STACK) === 0)
        bytes += Math.min(vma.end, end) - Math.max(vma.start, start);
    }
    return bytes;
  }

  #release(start: number, end: number): void {
    for (const vma of this.map.cut(start, end)) vma.drop();
  }

  #notePeak(): void {
    this.peakBytes = Math.max(this.peakBytes, this.map.totalBytes);
  }
}
