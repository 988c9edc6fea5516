// SPDX-License-Identifier: Apache-2.0
// mlock(2) and its family: mm/mlock.c. Only the accounts are kept: the host does not lock guest memory,
// since a sandbox is not to pin the host's.

import { CAP_IPC_LOCK } from '../../abi/capability.ts';
import { EINVAL, ENOMEM, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, PROT_NONE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import { type Blocking, begin, type MaybeBlocking } from '../base/wait.ts';
import { isCapable } from '../vfs/credentials.ts';
import { mayLock } from './limits.ts';
import type { MemoryCaller, MemoryManager } from './memory-manager.ts';
import { pageFloor, wrappedPageCeil } from './page.ts';
import { VMA_LOCKED, VMA_LOCKONFAULT, VMA_SPECIAL, type Vma } from './vma.ts';

const LOCK_FLAGS = VMA_LOCKED | VMA_LOCKONFAULT;

/** mlock(2), mlock2(2). */
export function lockMemory(
  mm: MemoryManager,
  caller: MemoryCaller,
  addr: number,
  length: number,
  onFault: boolean,
): MaybeBlocking {
  if (!mayLockAtAll(caller)) return EPERM;
  const start = pageFloor(addr);
  const end = start + lockedSize(addr, length);
  if (!mayLock(mm.map, caller, unlockedBytes(mm, start, end))) return ENOMEM;
  if (end >= 2 ** 64) return EINVAL;
  return begin(lockRange(mm, start, end, onFault));
}

function* lockRange(
  mm: MemoryManager,
  start: number,
  end: number,
  onFault: boolean,
): Blocking<SysResult> {
  const error = yield* setLock(mm, start, end, VMA_LOCKED | (onFault ? VMA_LOCKONFAULT : 0));
  if (isErrno(error) || onFault) return error;
  // Linux then touches every page, which memory without any right does not allow. The locks stay.
  return mm.map.vmas.overlapping(start, end).some((vma) => vma.prot === PROT_NONE) ? ENOMEM : 0;
}

export function unlockMemory(mm: MemoryManager, addr: number, length: number): MaybeBlocking {
  const end = pageFloor(addr) + lockedSize(addr, length);
  return end >= 2 ** 64 ? EINVAL : begin(setLock(mm, pageFloor(addr), end, 0));
}

/** Bytes of whole pages that `length` bytes at `addr` touch; a sum past 2^64 wraps, as in Linux. */
function lockedSize(addr: number, length: number): number {
  return wrappedPageCeil((length + (addr % PAGE_SIZE)) % 2 ** 64);
}

export function lockAll(mm: MemoryManager, caller: MemoryCaller, flags: number): MaybeBlocking {
  if (
    flags === 0 ||
    flags === MCL_ONFAULT ||
    (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0
  )
    return EINVAL;
  if (!mayLockAtAll(caller)) return EPERM;
  const current = (flags & MCL_CURRENT) !== 0;
  if (current && !mayLock(mm.map, caller, mm.map.totalBytes - mm.map.lockedBytes)) return ENOMEM;
  const set = VMA_LOCKED | ((flags & MCL_ONFAULT) !== 0 ? VMA_LOCKONFAULT : 0);
  mm.lockFuture = (flags & MCL_FUTURE) !== 0 ? set : 0;
  return current ? begin(setAll(mm, set)) : 0;
}

export function unlockAll(mm: MemoryManager): MaybeBlocking {
  mm.lockFuture = 0;
  return begin(setAll(mm, 0));
}

function mayLockAtAll(caller: MemoryCaller): boolean {
  return (
    caller.group.limits.soft(RLIMIT_MEMLOCK) > 0 || isCapable(caller.credentials, CAP_IPC_LOCK)
  );
}

/** Bytes of [start, end) that a lock would add; what is not mapped counts too, as in Linux. */
function unlockedBytes(mm: MemoryManager, start: number, end: number): number {
  let locked = 0;
  for (const vma of mm.map.vmas.overlapping(start, end)) {
    if (vma.isLocked) locked += Math.min(vma.end, end) - Math.max(vma.start, start);
  }
  return end - start - locked;
}

/** Goes up to the first hole, which answers ENOMEM. */
function* setLock(mm: MemoryManager, start: number, end: number, set: number): Blocking<SysResult> {
  const reached = endOfMapped(mm, start, end);
  if (reached > start) yield* mm.map.changeInPieces(start, reached, (vma) => lockVma(vma, set));
  return reached < end ? ENOMEM : 0;
}

function endOfMapped(mm: MemoryManager, start: number, end: number): number {
  let reached = start;
  for (const vma of mm.map.vmas.overlapping(start, end)) {
    if (vma.start > reached) break;
    reached = Math.min(vma.end, end);
  }
  return reached;
}

function* setAll(mm: MemoryManager, set: number): Blocking<SysResult> {
  yield* mm.map.changeInPieces(0, mm.bounds.guestTop, (vma) => lockVma(vma, set));
  return 0;
}

function lockVma(vma: Vma, set: number): void {
  if ((vma.flags & VMA_SPECIAL) === 0) vma.flags = (vma.flags & ~LOCK_FLAGS) | set;
}
