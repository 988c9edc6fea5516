// SPDX-License-Identifier: Apache-2.0
// A byte queue over one array that grows as it fills, up to a capacity that the owner enforces:
// pipes, terminals' and stream sockets' buffers. Positions count every byte ever put in, so an
// owner can remember places in the stream.
import { ENOMEM, type SysResult } from '../../abi/errno.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import type { Sink, Source } from './io.ts';

const firstBytes = 4096;

export class ByteRing {
  #bytes: Uint8Array<ArrayBuffer> = empty;
  /** Index of the oldest byte in #bytes (a power of two long). */
  #head = 0;
  length = 0;
  /** Stream position of the oldest byte. */
  position = 0;
  /** The account that pays for #bytes: the process that first put bytes in. */
  #account: MemoryAccount | undefined;

  /** Stream position just past the newest byte. */
  get end(): number {
    return this.position + this.length;
  }

  /**
   * Takes up to `limit` bytes of `source`. Bytes taken, or the source's error where none were, or
   * ENOMEM where the array is full and may not grow.
   */
  fill(source: Source, limit: number): SysResult {
    let wanted = Math.min(limit, source.remaining);
    if (wanted > this.#bytes.length - this.length && !this.#reserve(this.length + wanted)) {
      wanted = this.#bytes.length - this.length;
      if (wanted === 0) return ENOMEM;
    }
    let total = 0;
    while (wanted > 0) {
      const tail = (this.#head + this.length) & (this.#bytes.length - 1);
      const span = Math.min(wanted, this.#bytes.length - tail);
      const taken = source.take(this.#bytes.subarray(tail, tail + span));
      if (taken <= 0) return total === 0 ? taken : total;
      this.length += taken;
      total += taken;
      wanted -= taken;
      if (taken < span) break;
    }
    return total;
  }

  /**
   * Gives up to `limit` bytes to `sink` and forgets them. Bytes given, or the sink's error where
   * none were.
   */
  drain(sink: Sink, limit: number): SysResult {
    const count = this.peek(sink, limit, 0);
    if (count > 0) this.discard(count);
    return count;
  }

  /** Copies like `drain`, from `skip` bytes past the oldest one, and the bytes stay. */
  peek(sink: Sink, limit: number, skip: number): SysResult {
    let wanted = Math.min(limit, sink.remaining, this.length - skip);
    let at = skip;
    while (wanted > 0) {
      const index = (this.#head + at) & (this.#bytes.length - 1);
      const span = Math.min(wanted, this.#bytes.length - index);
      const put = sink.put(this.#bytes.subarray(index, index + span));
      if (put <= 0) return at === skip ? put : at - skip;
      at += put;
      wanted -= put;
      if (put < span) break;
    }
    return at - skip;
  }

  /** Forgets the `count` oldest bytes. */
  discard(count: number): void {
    this.length -= count;
    this.position += count;
    this.#head = this.length === 0 ? 0 : (this.#head + count) & (this.#bytes.length - 1);
    // An idle buffer that was once large gives its memory back.
    if (this.length === 0 && this.#bytes.length > keptBytes) this.#free();
  }

  /** Forgets all bytes and gives the memory back: nobody will put any in. */
  release(): void {
    this.discard(this.length);
    this.#free();
  }

  #free(): void {
    this.#account?.uncharge(this.#bytes.length);
    this.#account = undefined;
    // Without this the memory would be there until V8 collects garbage, and nobody would pay for it.
    if (this.#bytes.length > keptBytes) this.#bytes.buffer.transfer(0);
    this.#bytes = empty;
  }

  /** False where the account does not allow an array of that length. */
  #reserve(lengthBytes: number): boolean {
    let size = Math.max(firstBytes, this.#bytes.length);
    while (size < lengthBytes) size *= 2;
    this.#account ??= currentAccount();
    if (!this.#account.charge(size)) return false;
    const oldSize = this.#bytes.length;
    const grown = new Uint8Array(
      oldSize === 0 ? new ArrayBuffer(size) : this.#bytes.buffer.transfer(size),
    );
    // What had wrapped around to the start goes on behind the old end.
    const wrapped = this.#head + this.length - oldSize;
    if (wrapped > 0) grown.copyWithin(oldSize, 0, wrapped);
    this.#account.uncharge(oldSize);
    this.#bytes = grown;
    return true;
  }
}

const keptBytes = 65536;
const empty = new Uint8Array(0);
