// SPDX-License-Identifier: Apache-2.0
// Where a new program's parts go: Linux's layout of x86-64 (arch/x86/mm/mmap.c), with as many
// random bits as Linux has by default. Programs rely on the ranges: ThreadSanitizer's shadow has
// room for Linux's places alone.
import { PAGE_SIZE } from '../../abi/page.ts';
import { ADDR_COMPAT_LAYOUT, ADDR_NO_RANDOMIZE } from '../../abi/personality.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';
import { MMAP_RANDOM_BITS, type PlacementBounds } from '../mm/placement.ts';

const MMAP_RANDOM_PAGES = 2 ** MMAP_RANDOM_BITS;
const STACK_RANDOM_PAGES = 2 ** 22;
const BRK_RANDOM_PAGES = 2 ** 18;
const MIB = 2 ** 20;
/** TASK_SIZE: the end of a process's memory on Linux. Some of the end is the platform's here (guestTop). */
const TASK_SIZE = 0x7fff_ffff_f000;
/** ELF_ET_DYN_BASE. */
const PIE_BASE = pageFloor((TASK_SIZE / 3) * 2);
/** TASK_UNMAPPED_BASE. */
const UNMAPPED_BASE = pageCeil(TASK_SIZE / 3);
const STACK_GUARD_BYTES = 256 * PAGE_SIZE;
const SMALLEST_GAP = 128 * MIB;
/** The stack's place is set aside whole, so it is bounded even where RLIMIT_STACK is not. */
const LARGEST_STACK_RESERVE = 64 * MIB;
const SMALLEST_STACK_RESERVE = 128 * 1024;

export interface ProgramLayout {
  /** End of the stack mapping. */
  readonly stackTop: number;
  readonly stackReserveBytes: number;
  readonly bounds: PlacementBounds;
  /** Where a PIE is loaded, before alignment. */
  readonly pieBase: number;
  /** Where the heap of a static PIE begins, which lies among the libraries itself; before `brkShift`. */
  readonly staticPieBreak: number;
  /** To add to the end of the program's data. */
  readonly brkShift: number;
  /** Below 8192: shifts the stack pointer. */
  readonly stackShift: number;
}

/** Returns the layout under a personality(2); `random()` answers a fresh number in [0, below). */
export function chooseLayout(
  guestTop: number,
  stackLimit: number,
  personality: number,
  random: (below: number) => number,
): ProgramLayout {
  const isRandom = (personality & ADDR_NO_RANDOMIZE) === 0;
  const draw = isRandom ? random : () => 0;
  const mmapShift = draw(MMAP_RANDOM_PAGES) * PAGE_SIZE;
  const stackPad = STACK_GUARD_BYTES + (isRandom ? STACK_RANDOM_PAGES * PAGE_SIZE : 0);
  const largestGap = Math.floor(guestTop / 6) * 5;
  const gap = Math.min(Math.max(stackLimit + stackPad, SMALLEST_GAP), largestGap);
  return {
    stackTop: guestTop - draw(STACK_RANDOM_PAGES) * PAGE_SIZE,
    stackReserveBytes: pageCeil(
      Math.max(Math.min(stackLimit, LARGEST_STACK_RESERVE), SMALLEST_STACK_RESERVE),
    ),
    bounds: {
      guestTop,
      mmapBase: pageCeil(guestTop - gap - mmapShift),
      bottomUpBase: UNMAPPED_BASE + mmapShift,
      isBottomUp: (personality & ADDR_COMPAT_LAYOUT) !== 0,
    },
    pieBase: PIE_BASE + draw(MMAP_RANDOM_PAGES) * PAGE_SIZE,
    staticPieBreak: PIE_BASE,
    brkShift: draw(BRK_RANDOM_PAGES) * PAGE_SIZE,
    stackShift: draw(8192),
  };
}
