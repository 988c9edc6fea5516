// SPDX-License-Identifier: Apache-2.0
// The six arguments of a syscall, by meaning. The platform copied them once when the thread stopped.
import { PAGE_SIZE } from '../../abi/page.ts';

/** Reads arguments 0..5. One object per task, re-used for each call: keep values, not this. */
export class SyscallArgs {
  /** Pairs of halves, index 0 is the syscall number: GuestThread.syscall. */
  words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  get number(): number {
    return this.words[0] as number;
  }

  /** A C int. */
  i32(index: number): number {
    return (this.words[2 * index + 2] as number) | 0;
  }

  /** A C unsigned int, or the low half of a flag word. */
  u32(index: number): number {
    return this.words[2 * index + 2] as number;
  }

  /** The high half. */
  high(index: number): number {
    return this.words[2 * index + 3] as number;
  }

  /** A guest address; anything past 2^47 stays what it is and faults when used. As exact as `len`. */
  addr(index: number): number {
    return this.len(index);
  }

  /**
   * A size_t. Exact up to 2^53; larger ones are so large that any use of them fails, but their page
   * is exact, and so is whether they lie on its border: sums with them wrap where Linux's do.
   */
  len(index: number): number {
    const high = this.high(index);
    const low = this.u32(index);
    if (high < 0x20_0000) return high * 0x1_0000_0000 + low;
    const intoPage = low % PAGE_SIZE;
    return high * 0x1_0000_0000 + (low - intoPage) + (intoPage === 0 ? 0 : PAGE_SIZE / 2);
  }

  /** An unsigned 64-bit value as a number: exact up to 2^53. */
  u64(index: number): number {
    return (
      (this.words[2 * index + 3] as number) * 0x1_0000_0000 + (this.words[2 * index + 2] as number)
    );
  }

  /** A signed 64-bit value (loff_t, time_t) as a number: exact in +-2^53. */
  i64(index: number): number {
    return (
      ((this.words[2 * index + 3] as number) | 0) * 0x1_0000_0000 +
      (this.words[2 * index + 2] as number)
    );
  }
}
