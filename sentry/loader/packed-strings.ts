// SPDX-License-Identifier: Apache-2.0
// The arguments or the environment of a program as they will lie on its stack: one behind the other,
// each with its NUL. Hundreds of thousands of JavaScript strings would weigh on the garbage collector.
import { ENOMEM, type SysResult } from '../../abi/errno.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';

const FIRST_BYTES = 2048;
const FIRST_COUNT = 64;
const INDEX_BYTES = 4;
const SHORT_BYTES = 32;

export class PackedStrings {
  readonly count: number;
  /** The length of the longest string, without its NUL. */
  readonly longest: number;
  readonly bytes: Uint8Array;
  /** Behind each NUL, counted from `#base`. */
  readonly #ends: Uint32Array;
  readonly #base: number;

  constructor(bytes: Uint8Array, ends: Uint32Array, longest: number, base = 0) {
    this.bytes = bytes;
    this.#ends = ends;
    this.#base = base;
    this.count = ends.length;
    this.longest = longest;
  }

  static of(strings: readonly string[]): PackedStrings {
    const ends = new Uint32Array(strings.length);
    let length = 0;
    let longest = 0;
    for (const [index, text] of strings.entries()) {
      length += text.length + 1;
      ends[index] = length;
      longest = Math.max(longest, text.length);
    }
    return new PackedStrings(Buffer.from(terminated(strings), 'latin1'), ends, longest);
  }

  /** Puts pointers to the strings, which lie from `start` on, into `words` from `at` on. */
  putPointers(words: Uint32Array, at: number, start: number): void {
    const ends = this.#ends;
    let place = at;
    let addr = start;
    for (let index = 0; index < ends.length; index += 1) {
      words[place] = addr >>> 0;
      words[place + 1] = Math.floor(addr / 0x1_0000_0000);
      place += 2;
      addr = start + (ends[index] as number) - this.#base;
    }
  }

  /** The place of a string in `bytes`. */
  offset(index: number): number {
    return index === 0 ? 0 : (this.#ends[index - 1] as number) - this.#base;
  }

  /** All but the first, of the same memory. */
  behindFirst(): PackedStrings {
    const end = this.offset(1);
    const base = this.#base + end;
    return new PackedStrings(this.bytes.subarray(end), this.#ends.subarray(1), this.longest, base);
  }
}

function terminated(strings: readonly string[]): string {
  return strings.length === 0 ? '' : `${strings.join('\0')}\0`;
}

/** Takes strings bit by bit. Their memory is charged to whoever runs now, until `release`. */
export class StringPacker {
  readonly #account: MemoryAccount = currentAccount();
  #bytes: Uint8Array = Buffer.allocUnsafe(FIRST_BYTES);
  #ends = new Uint32Array(FIRST_COUNT);
  #length = 0;
  #count = 0;
  #begin = 0;
  #longest = 0;
  #charged = 0;

  /** The length of the string that has not been ended yet. */
  get unendedBytes(): number {
    return this.#length - this.#begin;
  }

  /** Adds [start, end) of `from` to the string that is not ended. 0 or ENOMEM. */
  append(from: Uint8Array, start: number, end: number): SysResult {
    const needed = this.#length + end - start + 1;
    if (needed > this.#bytes.length) {
      const larger = this.#larger(this.#bytes.length, needed, 1);
      if (larger < 0) return ENOMEM;
      const bytes = new Uint8Array(larger);
      bytes.set(this.#bytes.subarray(0, this.#length));
      free(this.#bytes, FIRST_BYTES);
      this.#bytes = bytes;
    }
    // A copy by the library makes an object, which many short strings would pay for.
    if (end - start > SHORT_BYTES) this.#bytes.set(from.subarray(start, end), this.#length);
    else
      for (let at = start; at < end; at += 1)
        this.#bytes[this.#length + at - start] = from[at] as number;
    this.#length += end - start;
    return 0;
  }

  /** Ends a string: its length, or ENOMEM. */
  end(): SysResult {
    if (this.#count === this.#ends.length) {
      const larger = this.#larger(this.#ends.length, this.#count + 1, INDEX_BYTES);
      if (larger < 0) return ENOMEM;
      const ends = new Uint32Array(larger);
      ends.set(this.#ends);
      free(this.#ends, FIRST_COUNT);
      this.#ends = ends;
    }
    const length = this.unendedBytes;
    this.#bytes[this.#length] = 0;
    this.#length += 1;
    this.#ends[this.#count] = this.#length;
    this.#count += 1;
    this.#begin = this.#length;
    this.#longest = Math.max(this.#longest, length);
    return length;
  }

  /** The strings that were taken. They share the packer's memory, and end with it. */
  strings(): PackedStrings {
    const bytes = this.#bytes.subarray(0, this.#length);
    return new PackedStrings(bytes, this.#ends.subarray(0, this.#count), this.#longest);
  }

  release(): void {
    this.#account.uncharge(this.#charged);
    this.#charged = 0;
    free(this.#bytes, FIRST_BYTES);
    free(this.#ends, FIRST_COUNT);
    this.#bytes = new Uint8Array(0);
    this.#ends = new Uint32Array(0);
  }

  /** Twice as many units or more, paid for; -1 where there is no memory. */
  #larger(units: number, needed: number, unitBytes: number): number {
    let larger = 2 * units;
    while (larger < needed) larger *= 2;
    const bytes = larger * unitBytes;
    if (!this.#account.charge(bytes)) return -1;
    this.#charged += bytes;
    return larger;
  }
}

/** Frees memory at once, not when the collector comes by. The first piece may lie in Node's pool. */
function free(array: Uint8Array | Uint32Array, firstLength: number): void {
  if (array.length > firstLength && array.buffer instanceof ArrayBuffer) array.buffer.transfer(0);
}
