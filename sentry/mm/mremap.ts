// SPDX-License-Identifier: Apache-2.0
// mremap(2): mm/mremap.c.
import { EAGAIN, EFAULT, EINVAL, ENOMEM, isErrno, type SysResult } from '../../abi/errno.ts';
import { MAP_FIXED, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from '../../abi/mman.ts';
import { MAX_MAP_COUNT, mayExpand, mayLock } from './limits.ts';
import type { MemoryCaller, MemoryManager, NewMapping } from './memory-manager.ts';
import { isData } from './memory-map.ts';
import { isPageAligned, pageCeil } from './page.ts';
import { choosePlace } from './placement.ts';
import { VMA_LOCKED, VMA_SPECIAL, type Vma } from './vma.ts';

export function remapMemory(
  mm: MemoryManager,
  caller: MemoryCaller,
  addr: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddr: number,
): SysResult {
  mm.begin(caller);
  if ((flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) !== 0) return EINVAL;
  const mayMove = (flags & MREMAP_MAYMOVE) !== 0;
  if (!mayMove && (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return EINVAL;
  if (!isPageAligned(addr)) return EINVAL;
  const oldSize = pageCeil(oldLength);
  const newSize = pageCeil(newLength);
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldSize !== newSize) return EINVAL;
  if (newSize === 0 || newSize > mm.bounds.guestTop || oldSize > mm.bounds.guestTop) return EINVAL;
  const isPlaced = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0;
  if (isPlaced) {
    // With MREMAP_DONTUNMAP alone the address is a hint, but one that must make sense.
    if (!isPageAligned(newAddr) || newAddr > mm.bounds.guestTop - newSize) return EINVAL;
    if (addr + oldSize > newAddr && newAddr + newSize > addr) return EINVAL;
  }
  const vma = mm.vmaAt(addr);
  if (vma === undefined) return EFAULT;
  if (isPlaced) {
    return remapTo(mm, caller, vma, { addr, oldSize, newSize, flags, newAddr });
  }
  if (oldSize >= newSize) return shrink(mm, caller, addr, oldSize, newSize);
  const error = checkResize(mm, caller, vma, addr, oldSize, newSize);
  if (isErrno(error)) return error;
  if (growInPlace(mm, caller, vma, addr, oldSize, newSize)) return addr;
  if (!mayMove) return ENOMEM;
  return move(mm, caller, vma, { addr, oldSize, newSize, flags, newAddr: 0 });
}

interface Move {
  readonly addr: number;
  readonly oldSize: number;
  readonly newSize: number;
  readonly flags: number;
  readonly newAddr: number;
}

function shrink(
  mm: MemoryManager,
  caller: MemoryCaller,
  addr: number,
  oldSize: number,
  newSize: number,
): SysResult {
  if (oldSize === newSize) return addr;
  const error = mm.unmapRange(caller.thread, addr + newSize, addr + oldSize);
  return isErrno(error) ? error : addr;
}

/** MREMAP_FIXED and MREMAP_DONTUNMAP. */
function remapTo(mm: MemoryManager, caller: MemoryCaller, first: Vma, wanted: Move): SysResult {
  const { addr, newSize, newAddr, flags } = wanted;
  if ((flags & MREMAP_FIXED) !== 0) {
    const place = choosePlace(
      mm.map,
      mm.bounds,
      { addr: newAddr, length: newSize, flags: MAP_FIXED, hugePages: false },
      caller.thread,
    );
    if (isErrno(place)) return place;
    const error = mm.unmapRange(caller.thread, newAddr, newAddr + newSize);
    if (isErrno(error)) return error;
  }
  let { oldSize } = wanted;
  if (oldSize > newSize) {
    const error = mm.unmapRange(caller.thread, addr + newSize, addr + oldSize);
    if (isErrno(error)) return error;
    oldSize = newSize;
  }
  // The target may have held the first pages of a mapping that goes on at addr.
  const vma = mm.vmaAt(addr) ?? first;
  const error = checkResize(mm, caller, vma, addr, oldSize, newSize);
  if (isErrno(error)) return error;
  if ((flags & MREMAP_DONTUNMAP) !== 0) {
    if ((vma.flags & VMA_SPECIAL) !== 0) return EINVAL;
    if (!mayExpand(mm.map, caller, newSize, isData(vma) ? newSize : 0)) return ENOMEM;
  }
  return move(mm, caller, vma, { ...wanted, oldSize });
}

/** vma_to_resize(): may [addr, addr + oldSize) become newSize long at all? */
function checkResize(
  mm: MemoryManager,
  caller: MemoryCaller,
  vma: Vma,
  addr: number,
  oldSize: number,
  newSize: number,
): SysResult {
  // Length 0 asks for a second mapping of the same memory, which only shared memory can have.
  if (oldSize === 0 && !vma.isShared) return EINVAL;
  if (oldSize > vma.end - addr) return EFAULT;
  if (newSize === oldSize) return 0;
  if ((vma.flags & VMA_SPECIAL) !== 0) return EFAULT;
  const more = newSize - oldSize;
  if (vma.isLocked && !mayLock(mm.map, caller, more)) return EAGAIN;
  return mayExpand(mm.map, caller, more, isData(vma) ? more : 0) ? 0 : ENOMEM;
}

function growInPlace(
  mm: MemoryManager,
  caller: MemoryCaller,
  vma: Vma,
  addr: number,
  oldSize: number,
  newSize: number,
): boolean {
  const end = addr + newSize;
  if (oldSize === 0 || addr + oldSize !== vma.end || end > mm.bounds.guestTop) return false;
  const next = mm.map.vmas.firstEndingAfter(vma.end);
  if (next !== undefined && end > next.start - next.guardBytes) return false;
  if (mm.map.heldByOther(vma.end, end, caller.thread) !== undefined) return false;
  const before = mm.map.snapshot(addr, vma.end);
  mm.map.queue(
    { kind: 'remap', addr, length: oldSize, newAddr: addr, newLength: newSize },
    caller.thread,
    before,
  );
  const tail = vma.slice(vma.end, end);
  tail.hold();
  mm.map.add(tail);
  return true;
}

function move(mm: MemoryManager, caller: MemoryCaller, vma: Vma, wanted: Move): SysResult {
  const { addr, oldSize, newSize, flags } = wanted;
  if (mm.map.vmas.size > MAX_MAP_COUNT - 3) return ENOMEM;
  const place =
    (flags & MREMAP_FIXED) !== 0
      ? wanted.newAddr
      : choosePlace(
          mm.map,
          mm.bounds,
          { addr: wanted.newAddr, length: newSize, flags: 0, hugePages: false },
          caller.thread,
        );
  if (place < 0) return place;
  if (oldSize === 0) return duplicate(mm, caller, vma, addr, place, newSize);
  const source = vma.slice(addr, addr + oldSize);
  const target = source.moved(place, place + newSize);
  const before = mm.map.snapshot(addr, addr + oldSize);
  mm.map.queue(
    { kind: 'remap', addr, length: oldSize, newAddr: place, newLength: newSize },
    caller.thread,
    before,
  );
  target.hold();
  source.hold(); // Until it is known whether it stays.
  for (const piece of mm.map.cut(addr, addr + oldSize)) piece.drop();
  mm.map.add(target);
  if ((flags & MREMAP_DONTUNMAP) !== 0) leaveEmpty(mm, caller, source);
  source.drop();
  return place;
}

/** MREMAP_DONTUNMAP: the old place stays mapped, without its pages. */
function leaveEmpty(mm: MemoryManager, caller: MemoryCaller, source: Vma): void {
  const left = source.slice(source.start, source.end);
  left.flags &= ~VMA_LOCKED;
  if (isErrno(mm.queueMap(asMapping(left, left.start, left.bytes), caller.thread))) return;
  left.hold();
  mm.map.add(left);
}

function duplicate(
  mm: MemoryManager,
  caller: MemoryCaller,
  vma: Vma,
  addr: number,
  place: number,
  newSize: number,
): SysResult {
  const source = vma.slice(addr, vma.end);
  const error = mm.install(caller, asMapping(source, place, newSize));
  return isErrno(error) ? error : place;
}

function asMapping(vma: Vma, start: number, length: number): NewMapping {
  const { prot, maxProt, flags, backing, offset, name } = vma;
  return { start, length, prot, maxProt, flags, backing, offset, populate: false, name };
}
