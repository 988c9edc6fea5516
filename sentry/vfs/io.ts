// SPDX-License-Identifier: Apache-2.0
// Where bytes of a read go and bytes of a write come from: guest memory (through iovecs) or the
// kernel's own buffers (sendfile, the ELF loader). Both may stop early at a bad guest address.
import { EFAULT, type SysResult } from '../../abi/errno.ts';

/** Takes the bytes of a read. */
export interface Sink {
  /** Bytes that still fit. */
  readonly remaining: number;
  /** Stores `src` (the caller keeps it at or below `remaining`). Bytes stored, or EFAULT if none could be. */
  put(src: Uint8Array): SysResult;
}

/** Gives the bytes of a write. */
export interface Source {
  /** Bytes still to be taken. */
  readonly remaining: number;
  /**
   * Fills the front of `dst`; min(remaining, dst.length) bytes, fewer at a bad address; EFAULT if
   * none could be read.
   */
  take(dst: Uint8Array): SysResult;
  /** The last `count` bytes taken were not used after all: they come again. */
  giveBack(count: number): void;
}

/** Fills `bytes` from as many buffers of `source` as it takes. Bytes taken: fewer at a bad address. */
export function takeAll(source: Source, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const taken = source.take(at === 0 ? bytes : bytes.subarray(at));
    if (taken <= 0) break;
    at += taken;
  }
  return at;
}

/** A Sink over kernel memory. */
export class BufferSink implements Sink {
  readonly #buffer: Uint8Array;
  /** Bytes stored so far. */
  filled = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.filled;
  }

  put(src: Uint8Array): SysResult {
    if (src.length > this.remaining) return EFAULT;
    this.#buffer.set(src, this.filled);
    this.filled += src.length;
    return src.length;
  }
}

/** A Source over kernel memory. */
export class BufferSource implements Source {
  readonly #buffer: Uint8Array;
  /** Bytes taken so far. */
  taken = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.taken;
  }

  take(dst: Uint8Array): SysResult {
    const count = Math.min(dst.length, this.remaining);
    dst.set(this.#buffer.subarray(this.taken, this.taken + count));
    this.taken += count;
    return count;
  }

  giveBack(count: number): void {
    this.taken -= count;
  }
}
