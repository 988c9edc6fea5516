// SPDX-License-Identifier: Apache-2.0
// The data window of a stopped thread (native/stub/window.h): what its call reads of guest memory was
// copied into the slot before the stop, and what the call writes may stand there until the answer.
// It is used only while the stop is handled, in one go: a copy that is read later would be stale.
// Where the window is, what it holds and what can be written the guest may forge. It could as well
// have written the same to its memory, or have it unmapped.
import { SLOT, WINDOW_MOST, WINDOW_OUT } from '../../protocol/mailbox.ts';

const TWO_32 = 0x100000000;

export class Window {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #guestTop: number;
  #inAddr = 0;
  #inBytes = 0;
  #outAddr = 0;
  #outBytes = 0;
  /** The part that has been written: [#dirtyStart, #dirtyEnd) from #outAddr on. */
  #dirtyStart = 0;
  #dirtyEnd = 0;

  /** `base`: the word where the slot begins. */
  constructor(words: Int32Array, bytes: Uint8Array, base: number, guestTop: number) {
    this.#words = words;
    this.#bytes = bytes;
    this.#base = base;
    this.#guestTop = guestTop;
  }

  /** Reads what the stub has announced. */
  open(): void {
    const words = this.#words;
    const base = this.#base;
    this.#inBytes = this.#checked(words[base + SLOT.inBytes] as number);
    if (this.#inBytes > 0) this.#inAddr = this.#address(SLOT.inAddr, this.#inBytes);
    this.#outBytes = this.#checked(words[base + SLOT.outBytes] as number);
    if (this.#outBytes > 0) this.#outAddr = this.#address(SLOT.outAddr, this.#outBytes);
    this.#dirtyStart = 0;
    this.#dirtyEnd = 0;
  }

  /** From now on nothing is read or written here. What has been written stays to be copied. */
  close(): void {
    this.#inBytes = 0;
    this.#outBytes = 0;
  }

  /** Copies [addr, addr + length) to dst, if the window holds all of it. */
  read(addr: number, dst: Uint8Array, length: number): boolean {
    const offset = addr - this.#inAddr;
    if (offset < 0 || offset + length > this.#inBytes) return false;
    const at = this.#base * 4 + SLOT.window * 4 + offset;
    dst.set(this.#bytes.subarray(at, at + length));
    return true;
  }

  /**
   * Takes what is to be written to [addr, addr + length), if it can stand here: one piece of memory,
   * written from its start to its end.
   */
  write(addr: number, src: Uint8Array, length: number): boolean {
    const offset = addr - this.#outAddr;
    if (offset < 0 || offset + length > this.#outBytes) return false;
    if (this.#dirtyEnd === 0) this.#dirtyStart = offset;
    else if (offset !== this.#dirtyEnd) return false;
    this.#dirtyEnd = offset + length;
    this.#inBytes = 0;
    const at = this.#base * 4 + SLOT.window * 4 + WINDOW_OUT + offset;
    this.#bytes.set(length === src.length ? src : src.subarray(0, length), at);
    return true;
  }

  get isDirty(): boolean {
    return this.#dirtyEnd > this.#dirtyStart;
  }

  /** Whether what has been written shows in [addr, addr + length). */
  covers(addr: number, length: number): boolean {
    return (
      this.isDirty &&
      addr < this.#outAddr + this.#dirtyEnd &&
      addr + length > this.#outAddr + this.#dirtyStart
    );
  }

  /** Hands what has been written to `copy` instead of the stub. */
  flush(copy: (addr: number, bytes: Uint8Array) => void): void {
    const { isDirty } = this;
    const start = this.#dirtyStart;
    const length = this.#dirtyEnd - start;
    this.#dirtyStart = 0;
    this.#dirtyEnd = 0;
    if (!isDirty) return;
    const at = this.#base * 4 + SLOT.window * 4 + WINDOW_OUT + start;
    copy(this.#outAddr + start, this.#bytes.slice(at, at + length));
  }

  /**
   * Tells the stub what it is to copy. Returns false where that is nothing, or would not begin where
   * the stub looks for it: then `flush` is to be called.
   */
  order(): boolean {
    if (!this.isDirty || this.#dirtyStart !== 0) return false;
    const words = this.#words;
    const at = this.#base + SLOT.outAddr;
    words[at] = this.#outAddr;
    words[at + 1] = Math.floor(this.#outAddr / TWO_32);
    words[this.#base + SLOT.outBytes] = this.#dirtyEnd;
    this.#dirtyEnd = 0;
    return true;
  }

  #checked(bytes: number): number {
    return bytes > 0 && bytes <= WINDOW_MOST ? bytes : 0;
  }

  /** An address that the stub tells; where the memory is none of a guest's, one that nobody names. */
  #address(offset: number, bytes: number): number {
    const low = (this.#words[this.#base + offset] as number) >>> 0;
    const high = (this.#words[this.#base + offset + 1] as number) >>> 0;
    const addr = high * TWO_32 + low;
    return addr + bytes <= this.#guestTop ? addr : Number.POSITIVE_INFINITY;
  }
}
