// SPDX-License-Identifier: Apache-2.0
// Where a new mapping goes (get_unmapped_area, arch/x86/kernel/sys_x86_64.c): at the hint if it is
// free, else the highest free place below the mmap base, else the lowest above the bottom-up base. With
// personality(2)'s ADDR_COMPAT_LAYOUT the last is the only one.
import { EEXIST, EINVAL, ENOMEM, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import { MAP_32BIT, MAP_FIXED, MAP_FIXED_NOREPLACE } from '../../abi/mman.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { MemoryMap } from './memory-map.ts';
import { isPageAligned, pageCeil, pageFloor } from './page.ts';

/** Nothing is mapped below (vm.mmap_min_addr), whatever the privileges: the host would refuse too. */
export const MMAP_MIN_ADDR = 0x10000;
/** vm.mmap_rnd_bits: in how many bits of its page number the place of mappings is random. */
export const MMAP_RANDOM_BITS = 28;
const HUGE_PAGE_SIZE = 2 * 1024 * 1024;
const LOW_32BIT = 0x4000_0000;
const HIGH_32BIT = 0x8000_0000;

/** The bounds of one address space. */
export interface PlacementBounds {
  /** First address past guest memory. */
  readonly guestTop: number;
  /** Mappings without a hint go below this. */
  readonly mmapBase: number;
  /** Where there is no room below, mappings go above this. */
  readonly bottomUpBase: number;
  /** They go above `bottomUpBase` at once (ADDR_COMPAT_LAYOUT). */
  readonly isBottomUp: boolean;
}

export interface PlacementRequest {
  readonly addr: number;
  /** A multiple of the page size, not 0. */
  readonly length: number;
  /** MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_32BIT count. */
  readonly flags: number;
  /** Place on a huge page boundary where the length is a multiple of one (private anonymous memory). */
  readonly hugePages: boolean;
}

/** The address to map at, or an errno. With MAP_FIXED what is there is still there. */
export function choosePlace(
  map: MemoryMap,
  bounds: PlacementBounds,
  request: PlacementRequest,
  thread: GuestThread,
): SysResult {
  const { addr, length, flags } = request;
  if (length > bounds.guestTop) return ENOMEM;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0) return fixedPlace(map, bounds, request);
  if (addr !== 0) {
    const hint = hintedPlace(map, bounds, request, thread);
    if (hint >= 0) return hint;
  }
  if ((flags & MAP_32BIT) !== 0) {
    return freePlace(map, length, LOW_32BIT, HIGH_32BIT, true, thread);
  }
  if (request.hugePages && length % HUGE_PAGE_SIZE === 0) {
    const padded = anyPlace(map, bounds, length + HUGE_PAGE_SIZE, thread);
    if (!isErrno(padded)) return Math.ceil(padded / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE;
  }
  return anyPlace(map, bounds, length, thread);
}

function anyPlace(
  map: MemoryMap,
  bounds: PlacementBounds,
  length: number,
  thread: GuestThread,
): SysResult {
  if (!bounds.isBottomUp) {
    const place = freePlace(map, length, MMAP_MIN_ADDR, bounds.mmapBase, false, thread);
    if (!isErrno(place)) return place;
  }
  return freePlace(map, length, bounds.bottomUpBase, bounds.guestTop, true, thread);
}

function fixedPlace(map: MemoryMap, bounds: PlacementBounds, request: PlacementRequest): SysResult {
  const { addr, length, flags } = request;
  if (addr > bounds.guestTop - length) return ENOMEM;
  if (!isPageAligned(addr)) return EINVAL;
  if (addr < MMAP_MIN_ADDR) return EPERM;
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && map.vmas.overlaps(addr, addr + length)) return EEXIST;
  return addr;
}

/** The hint where all of it is free, or -1. */
function hintedPlace(
  map: MemoryMap,
  bounds: PlacementBounds,
  request: PlacementRequest,
  thread: GuestThread,
): number {
  const limit = (request.flags & MAP_32BIT) !== 0 ? HIGH_32BIT : bounds.guestTop;
  const wanted =
    (request.flags & MAP_32BIT) !== 0 ? pageCeil(request.addr) : pageFloor(request.addr);
  const addr = Math.max(wanted, MMAP_MIN_ADDR);
  const end = addr + request.length;
  if (end > limit) return -1;
  const next = map.vmas.firstEndingAfter(addr);
  if (next !== undefined && end > next.start - next.guardBytes) return -1;
  return map.heldByOther(addr, end, thread) === undefined ? addr : -1;
}

/** A free place in [low, high) that no other thread is still giving back, or ENOMEM. */
function freePlace(
  map: MemoryMap,
  length: number,
  low: number,
  high: number,
  fromBelow: boolean,
  thread: GuestThread,
): SysResult {
  let bottom = low;
  let top = high;
  for (;;) {
    const place = fromBelow
      ? map.vmas.findGapBottomUp(length, bottom, top)
      : map.vmas.findGapTopDown(length, bottom, top);
    if (place < 0) return ENOMEM;
    const held = map.heldByOther(place, place + length, thread);
    if (held === undefined) return place;
    // Past all of it at once: a guest may be giving back terabytes.
    if (fromBelow) bottom = pageCeil(held.addr + held.length);
    else top = held.addr;
  }
}
