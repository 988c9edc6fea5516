// SPDX-License-Identifier: Apache-2.0
// The set of VMAs of one address space with its accounts, and the queue of host operations that make
// the host's mappings follow it. Mechanism only: which calls are allowed is memory-manager.ts.
//
// Host operations run later, inside the guest thread that asked, before it sees its answer. Until
// that thread stops again its operations are *in flight*:
//  - a failure comes back as an outcome, so what each operation replaced is remembered for repair;
//  - a range that it freed is not given to another thread yet: that thread's operations could
//    overtake it, and the late unmap would take the new mapping away.

import type { SysResult } from '../../abi/errno.ts';
import { PROT_WRITE } from '../../abi/mman.ts';
import { finishLater } from '../base/leftovers.ts';
import { type Blocking, KILLABLE_PAUSE } from '../base/wait.ts';
import type { AddressSpace, MemoryOperation } from '../platform/address-space.ts';
import type { GuestThread, Outcome } from '../platform/guest-thread.ts';
import { RangeMap } from './range-map.ts';
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_SHARED, VMA_SPECIAL, VMA_STACK, type Vma } from './vma.ts';

interface InFlight {
  readonly operation: MemoryOperation;
  /** Copies of what the operation's range held before it; they hold no references. */
  readonly before: readonly Vma[];
}

const nothing: readonly Vma[] = [];

/** A gap that is unmapped along with what is around it. The stub unmaps 256 MiB with one call. */
const SMALL_GAP_BYTES = 64 * 1024 * 1024;

/**
 * More than so many mappings are changed in pieces of so many. The host is told of each, and has
 * room for 16.
 */
export const MANY_VMAS = 6144;
/** So many are joined one by one. */
const FEW_VMAS = 16;
/** Mappings that one turn lets go of, where a process with very many ends. */
const DROPPED_AT_ONCE = 1024;

export class MemoryMap {
  readonly space: AddressSpace;
  readonly vmas: RangeMap<Vma> = new RangeMap<Vma>();
  /** All mapped bytes (RLIMIT_AS; VmSize). */
  totalBytes = 0;
  /** Private writable bytes that are no stack (RLIMIT_DATA; VmData). */
  dataBytes = 0;
  lockedBytes = 0;
  /** Bytes that other processes may have mapped as well (MAP_SHARED, but for the vDSO's). */
  sharedBytes = 0;
  /** Threads with operations in flight: the scheduler looks at this at every stop. */
  busyThreads = 0;
  readonly #inFlight = new Map<GuestThread, InFlight[]>();
  /** Operations that wait for `letGo`; undefined where each is queued at once. */
  #held: MemoryOperation[] | undefined = undefined;

  constructor(space: AddressSpace) {
    this.space = space;
  }

  /** `thread` has stopped again (and not for a failure): what it had in flight is done. */
  begin(thread: GuestThread): void {
    const mine = this.#inFlight.get(thread);
    if (mine === undefined || mine.length === 0) return;
    mine.length = 0;
    this.busyThreads -= 1;
  }

  /** `thread` has ended: nothing of it is in flight any more. */
  forget(thread: GuestThread): void {
    this.begin(thread);
    this.#inFlight.delete(thread);
  }

  /** Has the host do `operation` before `thread` runs on. `before`: what the range held. */
  queue(operation: MemoryOperation, thread: GuestThread, before: readonly Vma[] = nothing): void {
    let mine = this.#inFlight.get(thread);
    if (mine === undefined) {
      mine = [];
      this.#inFlight.set(thread, mine);
    }
    if (mine.length === 0) this.busyThreads += 1;
    mine.push({ operation, before });
    if (this.#held === undefined) this.space.queueOperation(operation, thread);
    else this.#held.push(operation);
  }

  /** From now on operations are kept back: what they build may still come to nothing. */
  hold(): void {
    this.#held = [];
  }

  /** Queues what was kept back on `thread`. */
  letGo(thread: GuestThread): void {
    for (const operation of this.#held ?? []) this.space.queueOperation(operation, thread);
    this.#held = undefined;
  }

  /**
   * Queues that the host takes all of it away, which the map itself goes on to tell. Neighbours go
   * with one call, and so do small gaps between them.
   */
  queueEmptying(thread: GuestThread): void {
    this.space.queueNewProgram(thread);
    let start = 0;
    let end = 0;
    const unmap = (): void => {
      if (end > start)
        this.space.queueOperation({ kind: 'unmap', addr: start, length: end - start }, thread);
    };
    for (const vma of this.vmas) {
      if (vma.start - end > SMALL_GAP_BYTES || end === start) {
        unmap();
        start = vma.start;
      }
      end = vma.end;
    }
    unmap();
  }

  /**
   * True where the operation of `thread` that failed at `addr` was queued here (and not FP state of
   * a signal).
   */
  isInFlight(thread: GuestThread, addr: number): boolean {
    return this.#inFlight.get(thread)?.some(({ operation }) => operation.addr === addr) === true;
  }

  /** The operation by which another thread is still giving back something of [start, end). */
  heldByOther(start: number, end: number, thread: GuestThread): MemoryOperation | undefined {
    for (const [other, list] of this.#inFlight) {
      if (other === thread) continue;
      for (const { operation } of list) {
        const frees = operation.kind === 'unmap' || operation.kind === 'remap';
        if (frees && operation.addr < end && operation.addr + operation.length > start)
          return operation;
      }
    }
    return undefined;
  }

  /** Puts `vma` (whose range is free; its references pass to the map) in, joined with its neighbours. */
  add(vma: Vma): void {
    this.#account(vma, 1);
    const before = this.vmas.lastEndingBy(vma.start);
    const joinsBefore = before?.continuesIn(vma) === true;
    const after = this.vmas.firstEndingAfter(vma.end);
    const joinsAfter = after !== undefined && vma.continuesIn(after);
    if (!joinsBefore && !joinsAfter) {
      this.vmas.insert(vma);
      return;
    }
    vma.drop(); // The neighbour's reference is enough.
    if (joinsBefore) {
      if (joinsAfter) {
        this.vmas.remove(after);
        after.drop();
      }
      this.vmas.setBounds(before, before.start, joinsAfter ? after.end : vma.end);
    } else if (after !== undefined) {
      if (after.backing !== undefined) after.offset = vma.offset;
      this.vmas.setBounds(after, vma.start, after.end);
    }
  }

  /**
   * Takes everything in [start, end) out. The answer holds the references: `drop` each, or `add` it
   * again.
   */
  cut(start: number, end: number): Vma[] {
    const inside = this.isolate(start, end);
    for (const vma of inside) this.#account(vma, -1);
    if (inside.length === 1) this.vmas.remove(inside[0] as Vma);
    else if (inside.length > 1) this.vmas.replace(start, end, []);
    return inside;
  }

  /** Splits at `start` and `end`, so that the VMAs in between, which it answers, lie wholly inside. */
  isolate(start: number, end: number): Vma[] {
    this.#splitAt(start);
    this.#splitAt(end);
    return this.vmas.overlapping(start, end);
  }

  /** How many more VMAs `isolate(start, end)` would make. */
  splitsNeeded(start: number, end: number): number {
    const first = this.vmas.find(start);
    const last = this.vmas.find(end);
    return (
      (first !== undefined && first.start < start ? 1 : 0) +
      (last !== undefined && last.start < end ? 1 : 0)
    );
  }

  /** Changes the VMAs in [start, end) (all of it mapped or not) and joins what became alike. */
  change(start: number, end: number, edit: (vma: Vma) => void): void {
    const inside = this.isolate(start, end);
    for (const vma of inside) {
      this.#account(vma, -1);
      edit(vma);
      this.#account(vma, 1);
    }
    if (inside.length > FEW_VMAS) {
      this.#joinInside(start, end, inside);
      this.#joinAt(start);
      this.#joinAt(end);
    } else this.#joinAround(start, end);
  }

  /** Behind MANY_VMAS mappings, or `end`. */
  endOfPiece(start: number, end: number): number {
    if (this.vmas.size <= MANY_VMAS) return end;
    return Math.min(this.vmas.endOfNth(start, MANY_VMAS) ?? end, end);
  }

  /** The same as `change`, in pieces where there are many. */
  *changeInPieces(start: number, end: number, edit: (vma: Vma) => void): Blocking<undefined> {
    for (let at = start; ; yield KILLABLE_PAUSE) {
      const pieceEnd = this.endOfPiece(at, end);
      this.change(at, pieceEnd, edit);
      if (pieceEnd >= end) return undefined;
      at = pieceEnd;
    }
  }

  /** Copies of all VMAs of another map for which `copyOf` answers one, into this map, which is empty. */
  copyFrom(other: MemoryMap, copyOf: (vma: Vma) => Vma | undefined): void {
    const copies: Vma[] = [];
    for (const vma of other.vmas) {
      const copy = copyOf(vma);
      if (copy === undefined) continue;
      copy.hold();
      this.#account(copy, 1);
      copies.push(copy);
    }
    this.vmas.replace(0, Number.POSITIVE_INFINITY, copies);
  }

  /** Copies of the parts of VMAs in [start, end), without references. */
  snapshot(start: number, end: number): Vma[] {
    const parts = this.vmas.overlapping(start, end);
    return parts.map((vma) => vma.slice(Math.max(vma.start, start), Math.min(vma.end, end)));
  }

  /** True when every page of [start, end) is mapped. */
  isMapped(start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      const vma = this.vmas.find(at);
      if (vma === undefined) return false;
      at = vma.end;
    }
    return true;
  }

  /** Drops every VMA. The host memory goes with the address space. */
  clear(): void {
    const dropping = dropAll([...this.vmas]);
    this.vmas.clear();
    if (dropping.next().done !== true) finishLater(dropping);
    this.#inFlight.clear();
    this.busyThreads = 0;
    this.totalBytes = 0;
    this.dataBytes = 0;
    this.lockedBytes = 0;
    this.sharedBytes = 0;
  }

  /**
   * A queued operation of `thread` failed in the host, and those behind it were not done. Makes the
   * VMAs tell the truth again and answers the errno for the call that asked.
   */
  operationFailed(outcome: Outcome, thread: GuestThread): SysResult {
    const list = this.#inFlight.get(thread) ?? [];
    const failed = list.findIndex(({ operation }) => operation.addr === outcome.addr);
    const undone = list.slice(Math.max(failed, 0));
    this.begin(thread);
    for (const { operation, before } of undone.toReversed()) this.#undo(operation, before, thread);
    return outcome.errno;
  }

  #undo(operation: MemoryOperation, before: readonly Vma[], thread: GuestThread): void {
    const { kind, addr, length } = operation;
    if (kind === 'advise') return;
    if (kind === 'mapAnonymous' || kind === 'mapFile') {
      // The host may or may not have taken the old mapping away: now neither side has any.
      this.#release(addr, addr + length);
      this.space.queueOperation({ kind: 'unmap', addr, length }, thread);
      return;
    }
    if (kind === 'remap') this.#release(operation.newAddr, operation.newAddr + operation.newLength);
    this.#restore(addr, addr + length, before);
    if (kind !== 'protect') return;
    for (const vma of before) {
      this.space.queueOperation(
        { kind: 'protect', addr: vma.start, length: vma.bytes, prot: vma.prot },
        thread,
      );
    }
  }

  #release(start: number, end: number): void {
    for (const vma of this.cut(start, end)) vma.drop();
  }

  /** Puts `before` back. An unmap fails only where it would split a VMA, so the backing is still held. */
  #restore(start: number, end: number, before: readonly Vma[]): void {
    for (const vma of before) vma.hold();
    this.#release(start, end);
    for (const vma of before) this.add(vma.slice(vma.start, vma.end));
  }

  #splitAt(addr: number): void {
    const vma = this.vmas.find(addr);
    if (vma === undefined || vma.start === addr) return;
    const upper = vma.slice(addr, vma.end);
    upper.hold();
    this.vmas.setBounds(vma, vma.start, addr);
    this.vmas.insert(upper);
  }

  /** Joins those in [start, end) that have become alike, before the ends are looked at one by one. */
  #joinInside(start: number, end: number, inside: readonly Vma[]): void {
    const joined: Vma[] = [];
    for (const vma of inside) {
      const left = joined.at(-1);
      if (left?.continuesIn(vma) === true) {
        left.end = vma.end;
        vma.drop();
      } else joined.push(vma);
    }
    if (joined.length < inside.length) this.vmas.replace(start, end, joined);
  }

  /** Joins what meets at `addr`. */
  #joinAt(addr: number): void {
    const left = this.vmas.lastEndingBy(addr);
    const right = this.vmas.find(addr);
    if (left === undefined || right === undefined || !left.continuesIn(right)) return;
    this.vmas.remove(right);
    this.vmas.setBounds(left, left.start, right.end);
    right.drop();
  }

  #joinAround(start: number, end: number): void {
    let left = this.vmas.lastEndingBy(start) ?? this.vmas.firstEndingAfter(start);
    while (left !== undefined && left.end <= end) {
      const right: Vma | undefined = this.vmas.find(left.end);
      if (right !== undefined && left.continuesIn(right)) {
        this.vmas.remove(right);
        this.vmas.setBounds(left, left.start, right.end);
        right.drop();
      } else {
        left = this.vmas.firstEndingAfter(left.end);
      }
    }
  }

  #account(vma: Vma, sign: 1 | -1): void {
    const bytes = sign * vma.bytes;
    if ((vma.flags & VMA_STACK) === 0) this.totalBytes += bytes;
    if (isData(vma)) this.dataBytes += bytes;
    if ((vma.flags & VMA_LOCKED) !== 0) this.lockedBytes += bytes;
    if ((vma.flags & (VMA_SHARED | VMA_SPECIAL)) === VMA_SHARED) this.sharedBytes += bytes;
  }
}

/** Lets go of what is mapped, which may take a few microseconds each. */
function* dropAll(vmas: readonly Vma[]): Iterator<undefined> {
  for (let i = 0; i < vmas.length; i += 1) {
    vmas[i]?.drop();
    if (i % DROPPED_AT_ONCE === DROPPED_AT_ONCE - 1) yield undefined;
  }
}

/** Counts against RLIMIT_DATA. */
export function isData(vma: { readonly prot: number; readonly flags: number }): boolean {
  return (vma.prot & PROT_WRITE) !== 0 && (vma.flags & (VMA_SHARED | VMA_GROWSDOWN)) === 0;
}
