// The memory of one guest process (struct mm_struct): mmap(2), munmap(2), mprotect(2), brk(2), faults
// and fork. Threads share it. mremap, madvise and mlock are in files of their own beside this.

import { CAP_IPC_LOCK } from '../../abi/capability.ts';
import { EACCES, EAGAIN, EINVAL, ENOMEM, type Result, type SysResult } from '../../abi/errno.ts';
import {
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_POPULATE,
  PROT_EXEC,
  PROT_GROWSDOWN,
  PROT_GROWSUP,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from '../../abi/resource.ts';
import { SIGSEGV } from '../../abi/signal.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { GuestThread, Outcome } from '../platform/guest-thread.ts';
import { type Credentials, isCapable } from '../vfs/credentials.ts';
import type { FileIdentity } from '../vfs/node.ts';
import type { Mappable, OpenFile } from '../vfs/open-file.ts';
import type { GuestMemory } from './guest-memory.ts';
import { AddressSpaceMemory } from './guest-memory-unsafe.ts';
import { type MappingPlan, planMapping } from './mapping-plan.ts';
import { isData, MemoryMap } from './memory-map.ts';
import { isPageAligned, pageCeil, pageFloor } from './page.ts';
import { choosePlace, type PlacementBounds } from './placement.ts';
import {
  type Backing,
  STACK_GUARD_BYTES,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_LOCKED,
  VMA_NORESERVE,
  VMA_SHARED,
  VMA_STACK,
  VMA_WIPEONFORK,
  Vma,
} from './vma.ts';

/** Below the host's own default of 65530, so that the host is never the one to refuse. */
export const MAX_MAP_COUNT = 65_530 - 512;
const PROT_SEM = 8;
const PAGE_FAULT = 14;
/** The main stack grows by this much at a time past what exec set aside. */
const STACK_STEP_BYTES = 1024 * 1024;
const FULL_PROT = PROT_READ | PROT_WRITE | PROT_EXEC;

/** What memory calls need of the task that makes them; Task is one. */
export interface MemoryCaller {
  readonly thread: GuestThread;
  readonly credentials: Credentials;
  readonly group: { readonly limits: { soft(resource: number): number } };
}

/** Memory without a file. */
export interface SharedMemory extends Mappable {
  /** What of it takes host memory. */
  readonly residentBytes: number;
}

/** Makes the objects behind MAP_SHARED|MAP_ANONYMOUS and SysV shared memory. */
export interface SharedMemorySource {
  /** `length` bytes of zeroes. The caller holds it once, and releases it when its mappings hold it. */
  newSharedMemory(length: number): Result<SharedMemory>;
  /** memfd_create(2): `name` as given, `seals` to begin with, `mode` permission bits. Held by nobody. */
  newMemfd(name: string, seals: number, mode: number, credentials: Credentials): Result<OpenFile>;
}

/** Where exec put things: /proc/PID/{cmdline,environ,stat}, prctl(PR_SET_MM). */
export interface ImageLayout {
  startCode: number;
  endCode: number;
  startData: number;
  endData: number;
  startBrk: number;
  startStack: number;
  argStart: number;
  argEnd: number;
  envStart: number;
  envEnd: number;
  /** As /proc/PID/auxv gives it. */
  auxv: Uint8Array;
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
  /** The program that runs here (/proc/PID/exe), held. */
  executable: OpenFile | undefined = undefined;
  /** What says so of that file. */
  #program: FileIdentity | undefined = undefined;
  /** The program break. */
  brkEnd = 0;
  /** VMA_LOCKED | VMA_LOCKONFAULT for mappings to come (mlockall MCL_FUTURE). */
  lockFuture = 0;
  /** Highest totalBytes so far (VmPeak). */
  peakBytes = 0;
  /** What brk() goes back to if the host refuses what that thread asked. */
  readonly #brkBefore = new Map<GuestThread, number>();

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
  ): SysResult {
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
    if (start < 0) return start;
    const locked = (flags & MAP_LOCKED) !== 0 ? VMA_LOCKED : 0;
    const lockError = this.#checkLock(caller, size, locked);
    if (lockError < 0) return lockError;
    const plan = planMapping(this.sharedMemory, size, prot, flags, file, offset);
    if (typeof plan === 'number') return plan;
    const populate = ((flags & MAP_POPULATE) !== 0 && (flags & MAP_NONBLOCK) === 0) || locked !== 0;
    return this.#mapPlanned(
      caller,
      start,
      size,
      prot & FULL_PROT,
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
  ): SysResult {
    const flags = plan.flags | extraFlags;
    const result = this.install(caller, {
      start,
      length: size,
      prot,
      maxProt: plan.maxProt,
      flags,
      backing: plan.backing,
      offset: plan.offset,
      populate,
    });
    plan.done?.();
    return result < 0 ? result : start;
  }

  /**
   * Maps at a place that `choosePlace` gave, replacing what is there. Checks the limits. 0 or an errno.
   * Takes references of its own on the backing.
   */
  install(caller: MemoryCaller, mapping: NewMapping): SysResult {
    const { start, length } = mapping;
    const end = start + length;
    if (this.map.splitsNeeded(start, end) + this.map.vmas.size + 1 > MAX_MAP_COUNT) return ENOMEM;
    const replaced = this.#mappedBytes(start, end);
    if (!this.mayExpand(caller, length - replaced, isData(mapping) ? length : 0)) return ENOMEM;
    const operationError = this.queueMap(mapping, caller.thread);
    if (operationError < 0) return operationError;
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
    if (hostFd < 0) return hostFd;
    this.map.queue(
      { kind: 'mapFile', addr: start, length, prot, shared, hostFd, offset, populate },
      thread,
    );
    return 0;
  }

  /** munmap(2). */
  munmap(caller: MemoryCaller, addr: number, length: number): SysResult {
    this.begin(caller);
    if (
      !isPageAligned(addr) ||
      length > this.bounds.guestTop ||
      addr > this.bounds.guestTop - length
    )
      return EINVAL;
    if (length === 0) return EINVAL;
    return this.unmapRange(caller.thread, addr, addr + pageCeil(length));
  }

  /** Unmaps [start, end), whatever is there. 0 or ENOMEM (too many mappings). */
  unmapRange(thread: GuestThread, start: number, end: number): SysResult {
    const before = this.map.snapshot(start, end);
    if (before.length === 0) return 0;
    if (this.map.splitsNeeded(start, end) === 2 && this.map.vmas.size >= MAX_MAP_COUNT)
      return ENOMEM;
    this.map.queue({ kind: 'unmap', addr: start, length: end - start }, thread, before);
    this.#release(start, end);
    return 0;
  }

  /** mprotect(2), and pkey_mprotect(2) with key -1. */
  mprotect(caller: MemoryCaller, addr: number, length: number, prot: number): SysResult {
    this.begin(caller);
    const grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
    if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || !isPageAligned(addr)) return EINVAL;
    if (length === 0) return 0;
    const end = addr + pageCeil(length);
    if (end > 2 ** 64) return ENOMEM;
    if ((prot & ~(grows | FULL_PROT | PROT_SEM)) !== 0) return EINVAL;
    let start = addr;
    if (grows !== 0) {
      const vma = this.map.vmas.firstEndingAfter(addr);
      if (vma === undefined || vma.start >= end) return ENOMEM;
      if (grows === PROT_GROWSUP || (vma.flags & VMA_GROWSDOWN) === 0) return EINVAL;
      start = vma.start;
    }
    return this.#protect(caller, start, end, prot & FULL_PROT);
  }

  /** As Linux does, changes everything up to the first mapping that may not change, then fails. */
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
        !this.mayExpand(caller, 0, vma.bytes)
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

  /** brk(2): the new break, or the old one where it cannot be moved. */
  brk(caller: MemoryCaller, wanted: number): SysResult {
    this.begin(caller);
    const { image } = this;
    const old = this.brkEnd;
    if (wanted < image.startBrk || wanted > this.bounds.guestTop) return old;
    const dataLimit = caller.group.limits.soft(RLIMIT_DATA);
    if (wanted - image.startBrk + (image.endData - image.startData) > dataLimit) return old;
    const oldTop = pageCeil(old);
    const newTop = pageCeil(wanted);
    if (newTop < oldTop) {
      if (this.unmapRange(caller.thread, newTop, oldTop) < 0) return old;
    } else if (newTop > oldTop && !this.#growHeap(caller, oldTop, newTop)) return old;
    if (newTop !== oldTop) this.#brkBefore.set(caller.thread, old);
    this.brkEnd = wanted;
    return wanted;
  }

  #growHeap(caller: MemoryCaller, oldTop: number, newTop: number): boolean {
    const next = this.map.vmas.firstEndingAfter(oldTop);
    if (next !== undefined && newTop + PAGE_SIZE > next.start - next.guardBytes) return false;
    if (this.map.heldByOther(oldTop, newTop, caller.thread) !== undefined) return false;
    const length = newTop - oldTop;
    if (this.#checkLock(caller, length, 0) < 0) return false;
    const mapping: NewMapping = {
      start: oldTop,
      length,
      prot: PROT_READ | PROT_WRITE,
      maxProt: FULL_PROT,
      flags: this.lockFuture,
      backing: undefined,
      offset: 0,
      populate: false,
    };
    return this.install(caller, mapping) === 0;
  }

  /**
   * A copy for a forked process, whose host memory is a copy too. What must not be inherited is
   * unmapped or wiped before `childThread` runs.
   */
  fork(space: AddressSpace, childThread: GuestThread): MemoryManager {
    const child = new MemoryManager(space, this.bounds, this.sharedMemory, { ...this.image });
    child.brkEnd = this.brkEnd;
    child.peakBytes = this.peakBytes;
    if (this.executable !== undefined) child.setExecutable(this.executable);
    for (const vma of this.map.vmas) {
      if ((vma.flags & VMA_DONTFORK) !== 0) {
        child.map.queue({ kind: 'unmap', addr: vma.start, length: vma.bytes }, childThread);
        continue;
      }
      const copy = vma.slice(vma.start, vma.end);
      copy.flags &= ~VMA_LOCKED; // Locks are not inherited.
      copy.hold();
      child.map.add(copy);
      if ((vma.flags & VMA_WIPEONFORK) !== 0) {
        const { start, bytes, prot } = vma;
        const noreserve = (vma.flags & VMA_NORESERVE) !== 0;
        child.map.queue(
          { kind: 'mapAnonymous', addr: start, length: bytes, prot, noreserve, populate: false },
          childThread,
        );
      }
    }
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
      this.#brkBefore.delete(thread);
    }
    this.userCount -= 1;
    if (this.userCount > 0) return false;
    this.space.destroy();
    this.map.clear();
    this.#dropExecutable();
    return true;
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
    if (outcome.addr >= this.bounds.guestTop) return false;
    this.begin(caller);
    return this.#growStack(caller, outcome.addr);
  }

  #growStack(caller: MemoryCaller, addr: number): boolean {
    const vma = this.map.vmas.firstEndingAfter(addr);
    if (vma === undefined || vma.start <= addr || (vma.flags & VMA_GROWSDOWN) === 0) return false;
    const limit = caller.group.limits.soft(RLIMIT_STACK);
    if (vma.end - pageFloor(addr) > limit) return false;
    const below = this.map.vmas.lastEndingBy(vma.start);
    const accessible =
      below !== undefined && below.prot !== PROT_NONE && (below.flags & VMA_GROWSDOWN) === 0;
    const floor = below === undefined ? 0 : below.end + (accessible ? STACK_GUARD_BYTES : 0);
    if (pageFloor(addr) < floor) return false;
    const step = (vma.flags & VMA_STACK) !== 0 ? STACK_STEP_BYTES : 0;
    const start = Math.max(
      pageFloor(addr - step),
      pageCeil(vma.end - Math.min(limit, vma.end)),
      floor,
    );
    const { prot, maxProt, flags } = vma;
    const length = vma.start - start;
    const mapping = {
      start,
      length,
      prot,
      maxProt,
      flags,
      backing: undefined,
      offset: 0,
      populate: false,
    };
    return this.install(caller, mapping) === 0;
  }

  /** A queued operation of `thread` failed in the host: what its call answers. The VMAs are right again. */
  operationFailed(outcome: Outcome, thread: GuestThread): SysResult {
    const errno = this.map.operationFailed(outcome, thread);
    const brkBefore = this.#brkBefore.get(thread);
    if (brkBefore === undefined) return errno;
    this.#brkBefore.delete(thread);
    this.brkEnd = brkBefore;
    return brkBefore;
  }

  /** Every call that may queue operations starts with this. */
  begin(caller: MemoryCaller): void {
    this.map.begin(caller.thread);
    if (this.#brkBefore.size > 0) this.#brkBefore.delete(caller.thread);
  }

  /** May the process have `bytes` more, `dataBytes` of them private and writable (may_expand_vm)? */
  mayExpand(caller: MemoryCaller, bytes: number, dataBytes: number): boolean {
    const { limits } = caller.group;
    if (this.map.totalBytes + bytes > limits.soft(RLIMIT_AS)) return false;
    return dataBytes === 0 || this.map.dataBytes + dataBytes <= limits.soft(RLIMIT_DATA);
  }

  /** EPERM or EAGAIN where `bytes` more would be locked and may not be. */
  #checkLock(caller: MemoryCaller, bytes: number, flags: number): SysResult {
    if (((flags | this.lockFuture) & VMA_LOCKED) === 0) return 0;
    return this.mayLock(caller, bytes) ? 0 : EAGAIN;
  }

  /** RLIMIT_MEMLOCK for `bytes` more locked memory. */
  mayLock(caller: MemoryCaller, bytes: number): boolean {
    if (isCapable(caller.credentials, CAP_IPC_LOCK)) return true;
    return this.map.lockedBytes + bytes <= caller.group.limits.soft(RLIMIT_MEMLOCK);
  }

  /** First address past guest memory. */
  get addressLimit(): number {
    return this.bounds.guestTop;
  }

  /** What names the bytes at `addr` in every process that maps them; undefined where they are private. */
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

function noImage(): ImageLayout {
  return {
    startCode: 0,
    endCode: 0,
    startData: 0,
    endData: 0,
    startBrk: 0,
    startStack: 0,
    argStart: 0,
    argEnd: 0,
    envStart: 0,
    envEnd: 0,
    auxv: new Uint8Array(0),
  };
}
