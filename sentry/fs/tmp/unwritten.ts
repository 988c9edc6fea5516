// SPDX-License-Identifier: Apache-2.0
// Where a memory file may hold pages that fallocate(2) made and nobody has written. The host does not
// find these by SEEK_DATA, so whoever frees the file in pieces has to know where to look.
import type { MemoryAccount } from '../../base/memory-account.ts';

/** The memory that one turn frees: a millisecond or two of the host's time. */
export const FREED_AT_ONCE = 16 * 1024 * 1024;

/** The price of a segment of a file. */
const SEGMENT_BYTES = 64;

export class UnwrittenMemory {
  readonly #account: MemoryAccount;
  /** Numbers of segments of FREED_AT_ONCE bytes. */
  readonly #segments = new Set<number>();

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  /** Takes note that [offset, offset + length) was allocated; `length` is not 0. */
  add(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / FREED_AT_ONCE);
    const before = this.#segments.size;
    for (let segment = Math.floor(offset / FREED_AT_ONCE); segment <= last; segment += 1)
      this.#segments.add(segment);
    this.#account.force((this.#segments.size - before) * SEGMENT_BYTES);
  }

  /** Some of it begins at `from` or later. */
  isBeyond(from: number): boolean {
    for (const segment of this.#segments) if (segment * FREED_AT_ONCE >= from) return true;
    return false;
  }

  /**
   * Forgets a segment from `from` on, whose memory the caller frees: its offset, or -1 where there is
   * none.
   */
  take(from: number): number {
    for (const segment of this.#segments) {
      const offset = segment * FREED_AT_ONCE;
      if (offset < from) continue;
      this.#forget(segment);
      return offset;
    }
    return -1;
  }

  /** [offset, end) is free. */
  freed(offset: number, end: number): void {
    for (const segment of this.#segments) {
      const start = segment * FREED_AT_ONCE;
      if (start >= offset && start + FREED_AT_ONCE <= end) this.#forget(segment);
    }
  }

  clear(): void {
    this.#account.uncharge(this.#segments.size * SEGMENT_BYTES);
    this.#segments.clear();
  }

  #forget(segment: number): void {
    if (this.#segments.delete(segment)) this.#account.uncharge(SEGMENT_BYTES);
  }
}
