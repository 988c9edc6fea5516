// SPDX-License-Identifier: Apache-2.0
// A signal set of 64 bits as two 32-bit words: sigset_t of the kernel.
import { SIGKILL, SIGSTOP } from '../../abi/signal.ts';

export class SignalSet {
  /** Signals 1..32: signal n is bit n-1. */
  lo: number;
  /** Signals 33..64. */
  hi: number;

  constructor(lo = 0, hi = 0) {
    this.lo = lo >>> 0;
    this.hi = hi >>> 0;
  }

  static of(...signals: number[]): SignalSet {
    const set = new SignalSet();
    for (const signal of signals) set.add(signal);
    return set;
  }

  /** Little-endian, as guest memory has it. */
  static read(view: DataView, at: number): SignalSet {
    return new SignalSet(view.getUint32(at, true), view.getUint32(at + 4, true));
  }

  writeTo(view: DataView, at: number): void {
    view.setUint32(at, this.lo, true);
    view.setUint32(at + 4, this.hi, true);
  }

  get isEmpty(): boolean {
    return this.lo === 0 && this.hi === 0;
  }

  has(signal: number): boolean {
    const word = signal <= 32 ? this.lo : this.hi;
    return ((word >>> ((signal - 1) & 31)) & 1) === 1;
  }

  add(signal: number): void {
    if (signal <= 32) this.lo = (this.lo | (1 << (signal - 1))) >>> 0;
    else this.hi = (this.hi | (1 << (signal - 33))) >>> 0;
  }

  remove(signal: number): void {
    if (signal <= 32) this.lo = (this.lo & ~(1 << (signal - 1))) >>> 0;
    else this.hi = (this.hi & ~(1 << (signal - 33))) >>> 0;
  }

  clone(): SignalSet {
    return new SignalSet(this.lo, this.hi);
  }

  union(other: SignalSet): SignalSet {
    return new SignalSet(this.lo | other.lo, this.hi | other.hi);
  }

  without(other: SignalSet): SignalSet {
    return new SignalSet(this.lo & ~other.lo, this.hi & ~other.hi);
  }

  /** A mask as a task may have it: SIGKILL and SIGSTOP cannot be blocked. */
  blockable(): SignalSet {
    return this.without(unblockable);
  }

  /** The lowest signal that is in this set and not in `mask`; 0 for none. */
  firstNotIn(mask: SignalSet): number {
    const lo = this.lo & ~mask.lo;
    if (lo !== 0) return 32 - Math.clz32(lo & -lo);
    const hi = this.hi & ~mask.hi;
    return hi === 0 ? 0 : 64 - Math.clz32(hi & -hi);
  }

  intersects(other: SignalSet): boolean {
    return (this.lo & other.lo) !== 0 || (this.hi & other.hi) !== 0;
  }
}

const unblockable = SignalSet.of(SIGKILL, SIGSTOP);
