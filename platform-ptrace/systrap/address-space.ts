// SPDX-License-Identifier: Apache-2.0
// A guest address space of the systrap platform: one stub process, its mailbox and its control
// socket.
import {
  EAGAIN,
  EFAULT,
  EMFILE,
  ENOMEM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
} from '../../abi/mman.ts';
import { MSG_DONTWAIT, SOCK_SEQPACKET } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import { memoryFileBytes } from '../../native/memory-file.ts';
import {
  FUTEX_BUCKETS,
  OP_ADVISE,
  OP_MAP_ANONYMOUS,
  OP_MAP_FILE,
  OP_PATCH,
  OP_PROTECT,
  OP_REMAP,
  OP_SHOW_ARGUMENTS,
  OP_UNMAP,
  PASSED_MESSAGE_BYTES,
  SLOT,
  STATE_RUNNING,
  STUB_MAILBOX_BYTES,
  STUB_SLOTS,
  TABLE_BYTES,
  TABLE_START,
} from '../../protocol/mailbox.ts';
import { FairShare } from '../../sentry/base/fair-queue.ts';
import type { WorkCounters } from '../../sentry/base/work-counters.ts';
import type {
  AddressSpace,
  ArgumentPlace,
  ForkedAddressSpace,
  MemoryOperation,
  MemoryUsage,
} from '../../sentry/platform/address-space.ts';
import type { GuestThread } from '../../sentry/platform/guest-thread.ts';
import { CallSites, overlapsTable } from './call-sites.ts';
import type { Clones } from './clones.ts';
import { type ParkedThread, SystrapThread, type ThreadHost } from './guest-thread.ts';
import { type MailboxRegion, SLOTS_PER_BLOCK } from './mailbox-region.ts';
import { MappingCount } from './mapping-count.ts';
import type { Window } from './window.ts';

/** The parts of the platform that an address space uses. */
export interface SpaceHost extends ThreadHost {
  readonly guestTop: number;
  readonly region: MailboxRegion;
  readonly clones: Clones;
  /** System calls that trap often are patched. */
  readonly patches: boolean;
  /** The thread whose stop is handled right now. */
  readonly handled: SystrapThread | undefined;
  /** Where copies are counted; undefined where nobody asked. */
  readonly work: WorkCounters | undefined;
  /** The room for the floating point state of one thread, on its way to another. */
  readonly fpState: Uint8Array;
  /** Makes a stopped thread do its queued operations, and waits for the thread. */
  flush(thread: SystrapThread): SysResult;
  /** Stops watching the slot of a thread. */
  threadDropped(thread: SystrapThread): void;
  /** Kills the process and forgets its threads, without an event. */
  spaceDestroyed(space: SystrapSpace): void;
}

const MOST_PARKED = 8;

const passedMessage = new Int32Array(PASSED_MESSAGE_BYTES / 4);
const passedBytes = new Uint8Array(passedMessage.buffer);
const passedFds = new Int32Array(2);

export class SystrapSpace implements AddressSpace {
  /** The pid of the host process; 0 until the clone that makes the process is done. */
  pid = 0;
  isDead = false;
  isFrozen = false;
  isGone = false;
  /** Resident bytes as the host last told them. */
  toldResidentBytes = 0;
  /** Live threads by slot. */
  readonly threads: Map<number, SystrapThread> = new Map();
  /** Those of them that have stopped and stand in line (stops.ts). */
  readonly stops: FairShare<SystrapThread> = new FairShare();
  readonly #host: SpaceHost;
  readonly #controlFd: number;
  readonly #mailboxFd: number;
  /** Region blocks by block of the mailbox file. */
  readonly #blocks: Map<number, number> = new Map();
  /**
   * Slots of threads that were ordered to exit. A slot is free once the host kernel has cleared its
   * `alive`.
   */
  readonly #leaving: Set<number> = new Set();
  #leaderSlot = 0;
  /** Host threads whose guest threads have exited, ready for new ones. */
  readonly #parked: ParkedThread[] = [];
  readonly #mappings = new MappingCount();
  /** The memory that the host last told, at which processor time of the process. */
  #chargedBytes = 0;
  #chargedAtNs = -1;
  /** The Sentry has written to the process since, which takes memory without its time. */
  #wasWritten = false;
  #sites = new CallSites();
  #nextMessageId = 1;
  /** Threads that wait in the kernel on private futexes, by bucket. */
  readonly #futexWaiters = new Uint32Array(FUTEX_BUCKETS);

  constructor(host: SpaceHost, controlFd: number, mailboxFd: number) {
    this.#host = host;
    this.#controlFd = controlFd;
    this.#mailboxFd = mailboxFd;
  }

  queueOperation(operation: MemoryOperation, via: GuestThread): void {
    const thread = this.#own(via);
    const { addr, length } = operation;
    if (this.#sites.hasTable && this.#touchesTable(operation, thread)) return;
    this.#noteCode(operation);
    switch (operation.kind) {
      case 'mapAnonymous': {
        const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | extraFlags(operation);
        thread.queueRaw({ kind: OP_MAP_ANONYMOUS, addr, length, prot: operation.prot, flags });
        break;
      }
      case 'mapFile':
        this.#queueMapFile(operation, thread);
        break;
      case 'unmap':
        thread.queueRaw({ kind: OP_UNMAP, addr, length });
        break;
      case 'protect':
        thread.queueRaw({ kind: OP_PROTECT, addr, length, prot: operation.prot });
        break;
      case 'remap': {
        const { newAddr, newLength } = operation;
        thread.queueRaw({ kind: OP_REMAP, addr, length, extra0: newAddr, extra1: newLength });
        break;
      }
      case 'advise':
        thread.queueRaw({ kind: OP_ADVISE, addr, length, prot: operation.advice });
        break;
    }
  }

  /**
   * The table of patched calls is in the guest's range, and nothing of the guest's: it is neither
   * replaced (ENOMEM, as where there is no room) nor unmapped. Returns true where that has been seen
   * to.
   */
  #touchesTable(operation: MemoryOperation, thread: SystrapThread): boolean {
    const { addr, length, kind } = operation;
    const end = addr + length;
    if (kind === 'remap' && overlapsTable(operation.newAddr, operation.newLength)) {
      thread.failOperation(ENOMEM, operation.newAddr);
      return true;
    }
    if (!overlapsTable(addr, length)) return false;
    if (kind !== 'unmap') {
      thread.failOperation(ENOMEM, addr);
      return true;
    }
    this.#sites.removed(addr, length);
    const behind = TABLE_START + TABLE_BYTES;
    if (addr < TABLE_START) thread.queueRaw({ kind: OP_UNMAP, addr, length: TABLE_START - addr });
    if (end > behind) thread.queueRaw({ kind: OP_UNMAP, addr: behind, length: end - behind });
    return true;
  }

  #noteCode(operation: MemoryOperation): void {
    const { addr, length } = operation;
    const sites = this.#sites;
    switch (operation.kind) {
      case 'mapAnonymous':
        sites.replaced(addr, length);
        break;
      case 'mapFile':
        sites.fileMapped(addr, length, operation.prot, operation.shared);
        break;
      case 'protect':
        sites.protectedAs(addr, length, operation.prot);
        break;
      case 'unmap':
        sites.removed(addr, length);
        break;
      case 'remap':
        sites.removed(addr, length);
        sites.replaced(operation.newAddr, operation.newLength);
        break;
    }
  }

  /** Whether the call that trapped before `after` should be patched. */
  siteTrapped(after: number, number: number): boolean {
    return this.#host.patches && this.#sites.trapped(after, number);
  }

  /** Queues the patch of a site, if it is one that may be patched. */
  queuePatch(after: number, number: number, via: SystrapThread): void {
    const patch = this.#sites.patch(after, number);
    if (patch === undefined) return;
    via.queueRaw({
      kind: OP_PATCH,
      addr: patch.after,
      prot: patch.prot,
      extra0: patch.number,
      extra1: patch.entry,
      flags: (patch.isFirst ? 1 : 0) | (this.threads.size === 1 ? 2 : 0),
    });
  }

  /** Takes note that this space is a copy of `parent`. */
  forkedFrom(parent: SystrapSpace): void {
    this.#sites = parent.#sites.copy();
  }

  queueNewProgram(via: GuestThread): void {
    if (this.#sites.hasTable)
      this.#own(via).queueRaw({ kind: OP_UNMAP, addr: TABLE_START, length: TABLE_BYTES });
    this.#sites = new CallSites();
  }

  queueShownArguments(place: ArgumentPlace, via: GuestThread): void {
    this.#own(via).queueRaw({
      kind: OP_SHOW_ARGUMENTS,
      addr: place.argStart,
      length: place.argEnd,
      extra0: place.envStart,
      extra1: place.envEnd,
    });
  }

  get hostId(): number {
    return this.isDead ? 0 : this.pid;
  }

  flushOperations(via: GuestThread): SysResult {
    return this.#host.flush(this.#own(via));
  }

  tryFlush(via: GuestThread, done: (result: SysResult) => void): SysResult | undefined {
    return this.#host.tryFlush(this.#own(via), done);
  }

  countFutexWaiter(addr: number, change: 1 | -1): void {
    if (!this.#host.hostFutexes || this.isDead) return;
    const slot = this.#slotWord(0);
    if (isErrno(slot)) return;
    // As native/stub/futex.h has it.
    const low = addr >>> 0;
    const bucket = ((low >>> 2) ^ (low >>> 10)) & (FUTEX_BUCKETS - 1);
    const count = (this.#futexWaiters[bucket] as number) + change;
    this.#futexWaiters[bucket] = count;
    // The guest can write the mark, so nothing is read from there.
    if (count === 0 || (count === 1 && change === 1))
      Atomics.store(this.#host.words, slot + SLOT.futexWaiters + bucket, count);
  }

  read(addr: number, dst: Uint8Array, length: number): SysResult {
    const bytes = this.#inside(addr, length);
    if (bytes <= 0) return length === 0 ? 0 : EFAULT;
    const { work } = this.#host;
    if (work !== undefined) {
      work.copiesIn += 1;
      work.bytesIn += bytes;
    }
    const window = this.#window;
    if (window !== undefined) {
      if (window.covers(addr, bytes)) this.flushWindow(window);
      if (window.read(addr, dst, bytes)) return bytes;
    }
    return this.#copied(native.readMemory(this.pid, addr, dst, bytes));
  }

  write(addr: number, src: Uint8Array, length: number): SysResult {
    const bytes = this.#inside(addr, length);
    if (bytes <= 0) return length === 0 ? 0 : EFAULT;
    const { work } = this.#host;
    if (work !== undefined) {
      work.copiesOut += 1;
      work.bytesOut += bytes;
    }
    const window = this.#window;
    if (window !== undefined) {
      if (window.write(addr, src, bytes)) return bytes;
      // In the order in which it was written; and what was read before may be different now.
      this.flushWindow(window);
      window.close();
    }
    this.#wasWritten = true;
    return this.#copied(native.writeMemory(this.pid, addr, src, bytes));
  }

  /** That of the thread whose stop is handled, if it is one of this space. */
  get #window(): Window | undefined {
    const { handled } = this.#host;
    return handled !== undefined && handled.space === this ? handled.window : undefined;
  }

  /** Writes what stands in the window to where it belongs. */
  flushWindow(window: Window): void {
    window.flush((addr, bytes) => {
      native.writeMemory(this.pid, addr, bytes, bytes.length);
    });
  }

  #copied(result: number): SysResult {
    if (result === ESRCH) this.isGone = true;
    return result > 0 ? result : EFAULT;
  }

  fork(via: GuestThread, done: (child: Result<ForkedAddressSpace>) => void): void {
    this.#host.clones.fork(this.#own(via), done);
  }

  newThread(via: GuestThread, done: (thread: Result<GuestThread>) => void): void {
    this.#host.clones.newThread(this.#own(via), done);
  }

  destroy(): void {
    if (!this.isDead) this.#host.spaceDestroyed(this);
  }

  usage(): MemoryUsage {
    const pid = this.isDead ? 0 : this.pid;
    const cpuNs = pid === 0 ? 0 : native.cpuTimeNs(pid);
    const mappings = this.#mappings;
    // Asked for every few ms of all processes where a limit is near: of what has not run nothing changes.
    const charged = (of: number): number => {
      if (cpuNs !== this.#chargedAtNs || this.#wasWritten) {
        this.#chargedAtNs = cpuNs;
        this.#wasWritten = false;
        // A guest that took over its stub can fill all of its mailbox.
        this.#chargedBytes = native.chargedBytes(of) + memoryFileBytes(this.#mailboxFd);
      }
      return this.#chargedBytes;
    };
    const told = (bytes: SysResult): SysResult => {
      this.toldResidentBytes = bytes;
      return bytes;
    };
    return {
      // Getters, because this costs three host calls and few callers want it.
      get residentBytes(): SysResult {
        return pid === 0 ? 0 : told(native.residentBytes(pid));
      },
      get chargedBytes(): SysResult {
        return pid === 0 ? 0 : charged(pid) + mappings.bytes(pid, cpuNs);
      },
      cpuNs,
    };
  }

  get controlFd(): number {
    return this.#controlFd;
  }

  /**
   * Maps the block where the first thread's slot most likely will be, and touches the first page of
   * the block.
   */
  attachFirstBlock(): void {
    const base = this.#slotWord(0);
    if (!isErrno(base)) this.#host.words[base] = STATE_RUNNING;
  }

  /** Makes the thread object for a slot, whose block is mapped first where needed. */
  addThread(slot: number): Result<SystrapThread> {
    const base = this.#slotWord(slot);
    if (isErrno(base)) return ENOMEM;
    const thread = new SystrapThread(this.#host, this, slot, base);
    if (this.threads.size === 0) this.#leaderSlot = slot;
    this.threads.set(slot, thread);
    return thread;
  }

  /** Returns the lowest slot that no thread uses, or EAGAIN. */
  freeSlot(): SysResult {
    for (const slot of this.#leaving) {
      const base = this.#slotWord(slot);
      if (!isErrno(base) && Atomics.load(this.#host.words, base + SLOT.alive) !== 0) continue;
      this.#leaving.delete(slot);
    }
    for (let slot = 0; slot < STUB_SLOTS; slot++) {
      const parked = slot === this.#leaderSlot || this.#parked.some((one) => one.slot === slot);
      if (!parked && !this.threads.has(slot) && !this.#leaving.has(slot)) return slot;
    }
    return EAGAIN;
  }

  threadLeaves(thread: SystrapThread): void {
    this.threads.delete(thread.slot);
    if (thread.slot === this.#leaderSlot) {
      thread.park();
    } else if (this.#parked.length < MOST_PARKED && thread.hostTid !== 0 && thread.fpAddr !== 0) {
      thread.park();
      const { slot, hostTid, shownName, place } = thread;
      this.#parked.push({ slot, hostTid, shownName, place });
    } else {
      this.#leaving.add(thread.slot);
      thread.leave();
    }
  }

  /**
   * Makes a new thread out of a parked host thread. It costs the host no clone, only a copy of the
   * FP state. Returns undefined where no host thread is parked, or the FP state cannot be copied.
   */
  reuseThread(via: SystrapThread): SystrapThread | undefined {
    // Behind a patched call stands no frame with an FP state.
    if (via.hasOperations || via.fpAddr === 0) return undefined;
    const parked = this.#parked.pop();
    if (parked === undefined) return undefined;
    const thread = this.addThread(parked.slot);
    if (isErrno(thread)) return undefined;
    thread.become(via, parked);
    if (this.#copyFpState(via, thread)) return thread;
    thread.exit();
    return undefined;
  }

  /**
   * Copies the FP state. The guest can forge addresses and contents, and harms only its own memory
   * by that.
   */
  #copyFpState(from: SystrapThread, to: SystrapThread): boolean {
    const { fpState } = this.#host;
    const bytes = fpState.length;
    return (
      native.readMemory(this.pid, from.fpAddr, fpState, bytes) === bytes &&
      native.writeMemory(this.pid, to.fpAddr, fpState, bytes) === bytes
    );
  }

  /** Drops the object of a thread whose clone has failed. */
  dropThread(thread: SystrapThread): void {
    this.threads.delete(thread.slot);
    // The thread has counted as running since its clone was ordered. Its slot must not be read once
    // the space is gone.
    this.#host.threadDropped(thread);
    thread.state = 'gone';
  }

  /**
   * Sends the stub descriptors for an order or operation. Returns the id of the message, or an
   * errno.
   */
  pass(first: number, second?: number): SysResult {
    const id = this.#nextMessageId;
    this.#nextMessageId = id === 0x7fffffff ? 1 : id + 1;
    const count = second === undefined ? 1 : 2;
    passedMessage[0] = id;
    passedMessage[1] = count;
    passedFds[0] = first;
    passedFds[1] = second ?? -1;
    const sent = native.sendMessage(
      this.#controlFd,
      passedBytes,
      PASSED_MESSAGE_BYTES,
      passedFds,
      count,
      MSG_DONTWAIT,
    );
    return isErrno(sent) ? sent : id;
  }

  get mailboxFd(): number {
    return this.#mailboxFd;
  }

  /** Gives host resources back. The process is dead or about to die. */
  release(): void {
    this.isDead = true;
    for (const thread of this.threads.values()) thread.state = 'gone';
    this.threads.clear();
    for (const block of this.#blocks.values()) this.#host.region.release(block);
    this.#blocks.clear();
    native.close(this.#controlFd);
    native.close(this.#mailboxFd);
  }

  #queueMapFile(
    operation: Extract<MemoryOperation, { kind: 'mapFile' }>,
    thread: SystrapThread,
  ): void {
    const { addr, length, prot, shared, hostFd, offset } = operation;
    const messageId = this.pass(hostFd);
    if (isErrno(messageId)) {
      thread.failOperation(ENOMEM, addr);
      return;
    }
    const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | extraFlags(operation);
    thread.queueRaw({ kind: OP_MAP_FILE, addr, length, prot, flags, extra0: offset, messageId });
  }

  /** Returns how many of `length` bytes at `addr` lie below guestTop. */
  #inside(addr: number, length: number): number {
    // The pid of a dead process may be another's by now.
    if (!(addr >= 0) || this.isDead) return 0;
    return Math.min(length, this.#host.guestTop - addr);
  }

  #slotWord(slot: number): SysResult {
    const fileBlock = Math.floor(slot / SLOTS_PER_BLOCK);
    let block = this.#blocks.get(fileBlock);
    if (block === undefined) {
      const attached = this.#host.region.attach(this.#mailboxFd, fileBlock);
      if (isErrno(attached)) return attached;
      block = attached;
      this.#blocks.set(fileBlock, block);
    }
    return this.#host.region.slotWord(block, slot % SLOTS_PER_BLOCK);
  }

  #own(thread: GuestThread): SystrapThread {
    if (!(thread instanceof SystrapThread) || thread.space !== this) {
      throw new Error('a thread of another address space');
    }
    return thread;
  }
}

/** An address space whose process does not exist yet, and the stub's end of its control socket. */
export interface PreparedSpace {
  readonly space: SystrapSpace;
  readonly stubFd: number;
}

export function prepareSpace(host: SpaceHost): Result<PreparedSpace> {
  const mailboxFd = native.createMailbox(STUB_MAILBOX_BYTES);
  if (isErrno(mailboxFd)) return EMFILE;
  const pair = new Int32Array(2);
  if (isErrno(native.socketpair(SOCK_SEQPACKET, pair))) {
    native.close(mailboxFd);
    return EMFILE;
  }
  const [ours, theirs] = pair as unknown as [number, number];
  return { space: new SystrapSpace(host, ours, mailboxFd), stubFd: theirs };
}

function extraFlags(operation: { populate: boolean; noreserve?: boolean }): number {
  return (operation.populate ? MAP_POPULATE : 0) | (operation.noreserve ? MAP_NORESERVE : 0);
}
