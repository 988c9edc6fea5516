// SPDX-License-Identifier: Apache-2.0
// brk(2): the heap that begins behind a program's data.
import { isErrno } from '../../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { RLIMIT_DATA } from '../../abi/resource.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { MemoryCaller, MemoryManager, NewMapping } from './memory-manager.ts';
import { pageCeil } from './page.ts';
import { withImpliedExec } from './read-implies-exec.ts';
import { FULL_PROT } from './vma.ts';

/** The end of one process's heap. */
export class ProgramBreak {
  end = 0;
  /** The value to which the break goes back if the host refuses what that thread asked. */
  readonly #before = new Map<GuestThread, number>();

  /** `thread` moves the break from `old`; the host's part of it is still to come. */
  changing(thread: GuestThread, old: number): void {
    this.#before.set(thread, old);
  }

  /** The host has done what `thread` asked last, or the thread has ended. */
  settled(thread: GuestThread): void {
    if (this.#before.size > 0) this.#before.delete(thread);
  }

  /**
   * The host has refused what `thread` asked: the old break, in force again; undefined where none
   * was moved.
   */
  undo(thread: GuestThread): number | undefined {
    const old = this.#before.get(thread);
    if (old === undefined) return undefined;
    this.#before.delete(thread);
    this.end = old;
    return old;
  }
}

/** brk(2): the new break, or the old one where it cannot be moved. */
export function moveBreak(mm: MemoryManager, caller: MemoryCaller, wanted: number): number {
  mm.begin(caller);
  const { image, programBreak } = mm;
  const old = programBreak.end;
  if (wanted < image.startBrk || wanted > mm.bounds.guestTop) return old;
  const dataLimit = caller.group.limits.soft(RLIMIT_DATA);
  if (wanted - image.startBrk + (image.endData - image.startData) > dataLimit) return old;
  const oldTop = pageCeil(old);
  const newTop = pageCeil(wanted);
  if (newTop < oldTop) {
    if (isErrno(mm.unmapRange(caller.thread, newTop, oldTop))) return old;
  } else if (newTop > oldTop && !growHeap(mm, caller, oldTop, newTop)) return old;
  if (newTop !== oldTop) programBreak.changing(caller.thread, old);
  programBreak.end = wanted;
  return wanted;
}

function growHeap(
  mm: MemoryManager,
  caller: MemoryCaller,
  oldTop: number,
  newTop: number,
): boolean {
  const next = mm.map.vmas.firstEndingAfter(oldTop);
  if (next !== undefined && newTop + PAGE_SIZE > next.start - next.guardBytes) return false;
  if (mm.map.heldByOther(oldTop, newTop, caller.thread) !== undefined) return false;
  const length = newTop - oldTop;
  if (isErrno(mm.checkLock(caller, length, 0))) return false;
  const mapping: NewMapping = {
    start: oldTop,
    length,
    prot: withImpliedExec(caller, PROT_READ | PROT_WRITE),
    maxProt: FULL_PROT,
    flags: mm.lockFuture,
    backing: undefined,
    offset: 0,
    populate: false,
  };
  return mm.install(caller, mapping) === 0;
}
