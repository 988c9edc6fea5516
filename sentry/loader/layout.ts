// Where a new program's parts go: Linux's layout of x86-64 (arch/x86/mm/mmap.c), randomized with as many
// bits as Linux has by default unless the personality asks for ADDR_NO_RANDOMIZE.
import { PAGE_SIZE } from '../../abi/page.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';

const MMAP_RANDOM_PAGES = 2 ** 28;
const STACK_RANDOM_PAGES = 2 ** 22;
const BRK_RANDOM_PAGES = 2 ** 18;
const GIB = 2 ** 30;
const MIB = 2 ** 20;
/** ELF_ET_DYN_BASE: two thirds of a 47-bit space. */
const PIE_BASE = 0x5555_5555_4000;
const STACK_GUARD_BYTES = 256 * PAGE_SIZE;
/** The stack's place is set aside whole, so it is bounded even where RLIMIT_STACK is not. */
const LARGEST_STACK_RESERVE = 64 * MIB;
const SMALLEST_STACK_RESERVE = 128 * 1024;

export interface ProgramLayout {
  /** End of the stack mapping. */
  readonly stackTop: number;
  readonly stackReserveBytes: number;
  readonly mmapBase: number;
  /** Where a PIE is loaded, before alignment. */
  readonly pieBase: number;
  /** To add to the end of the program's data. */
  readonly brkShift: number;
  /** Below 8192: shifts the stack pointer. */
  readonly stackShift: number;
}

/** `random()` answers a fresh number in [0, below). */
export function chooseLayout(
  guestTop: number,
  stackLimit: number,
  random: ((below: number) => number) | undefined,
): ProgramLayout {
  const draw = random ?? (() => 0);
  const stackTop = guestTop - PAGE_SIZE - draw(STACK_RANDOM_PAGES) * PAGE_SIZE;
  // An unlimited stack makes Linux allocate bottom-up; here it only widens the gap.
  const gap =
    Math.min(stackLimit, GIB) +
    STACK_GUARD_BYTES +
    (random === undefined ? 0 : STACK_RANDOM_PAGES * PAGE_SIZE);
  const bounded = Math.min(Math.max(gap, 128 * MIB), Math.floor(guestTop / 6) * 5);
  const mmapBase = pageFloor(guestTop - bounded) - draw(MMAP_RANDOM_PAGES) * PAGE_SIZE;
  return {
    stackTop,
    stackReserveBytes: pageCeil(
      Math.max(Math.min(stackLimit, LARGEST_STACK_RESERVE), SMALLEST_STACK_RESERVE),
    ),
    mmapBase,
    pieBase:
      Math.min(PIE_BASE, pageFloor((guestTop / 3) * 2)) + draw(MMAP_RANDOM_PAGES) * PAGE_SIZE,
    brkShift: draw(BRK_RANDOM_PAGES) * PAGE_SIZE,
    stackShift: draw(8192),
  };
}
