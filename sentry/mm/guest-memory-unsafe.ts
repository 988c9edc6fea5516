// SPDX-License-Identifier: Apache-2.0
// GuestMemory over an AddressSpace: every copy between the Sentry and a guest goes through here.
// Addresses are checked against the end of guest memory, so that no guest can make the Sentry read
// or write the platform's own pages in its process. process_vm_readv(2) and the like stop at the
// first page that cannot be accessed; what is above holds for partial copies.

import {
  EFAULT,
  EINVAL,
  ENAMETOOLONG,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PATH_MAX } from '../../abi/fs.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { IOV_MAX, IOVEC_BYTES, MAX_RW_COUNT } from '../../abi/uio.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { GuestMemory } from './guest-memory.ts';

/** Most paths are shorter: the first piece that `string` reads. */
const FIRST_PIECE_BYTES = 256;
const SLAB_BYTES = 16384;
const LARGEST_FROM_SLAB = 512;

// One staging area for the whole Sentry: it runs one piece of code at a time, and no use of it spans a sleep.
const staging = new Uint8Array(PAGE_SIZE);
const stagingView = new DataView(staging.buffer);
const stagingText = Buffer.from(staging.buffer);
const zeroes = new Uint8Array(65536);

// Small views are cut from a slab: an ArrayBuffer of its own costs ten times as much.
let slab = new ArrayBuffer(SLAB_BYTES);
let slabUsed = 0;

export class AddressSpaceMemory implements GuestMemory {
  readonly #space: AddressSpace;
  readonly #guestTop: number;

  constructor(space: AddressSpace, guestTop: number) {
    this.#space = space;
    this.#guestTop = guestTop;
  }

  read(addr: number, dst: Uint8Array): SysResult {
    const wanted = dst.length;
    if (wanted === 0) return 0;
    if (addr + wanted > this.#guestTop) return EFAULT;
    return this.#space.read(addr, dst, wanted) === wanted ? 0 : EFAULT;
  }

  write(addr: number, src: Uint8Array): SysResult {
    const wanted = src.length;
    if (wanted === 0) return 0;
    if (addr + wanted > this.#guestTop) return EFAULT;
    return this.#space.write(addr, src, wanted) === wanted ? 0 : EFAULT;
  }

  readSome(addr: number, dst: Uint8Array): SysResult {
    const length = this.#reachable(addr, dst.length);
    if (length <= 0) return dst.length === 0 ? 0 : EFAULT;
    const copied = this.#space.read(addr, dst, length);
    return copied > 0 ? copied : EFAULT;
  }

  writeSome(addr: number, src: Uint8Array): SysResult {
    const length = this.#reachable(addr, src.length);
    if (length <= 0) return src.length === 0 ? 0 : EFAULT;
    const copied = this.#space.write(addr, src, length);
    return copied > 0 ? copied : EFAULT;
  }

  view(addr: number, length: number): Result<DataView> {
    if (addr + length > this.#guestTop) return EFAULT;
    const view = freshView(length);
    if (length === 0) return view;
    const bytes = new Uint8Array(view.buffer, view.byteOffset, length);
    return this.#space.read(addr, bytes, length) === length ? view : EFAULT;
  }

  zero(addr: number, length: number): SysResult {
    if (addr + length > this.#guestTop) return EFAULT;
    let done = 0;
    while (done < length) {
      const piece = Math.min(length - done, zeroes.length);
      if (this.#space.write(addr + done, zeroes, piece) !== piece) return EFAULT;
      done += piece;
    }
    return 0;
  }

  string(addr: number, limit: number): Result<string> {
    let text = '';
    let at = addr;
    let size = FIRST_PIECE_BYTES;
    for (;;) {
      // A piece never crosses a page: the string may end right before an unmapped one.
      const piece = Math.min(size, PAGE_SIZE - (at % PAGE_SIZE), limit + 1 - text.length);
      if (piece <= 0) return ENAMETOOLONG;
      if (at + piece > this.#guestTop) return EFAULT;
      if (this.#space.read(at, staging, piece) !== piece) return EFAULT;
      const end = staging.indexOf(0);
      if (end >= 0 && end < piece) return text + stagingText.toString('latin1', 0, end);
      text += stagingText.toString('latin1', 0, piece);
      at += piece;
      size = PAGE_SIZE;
    }
  }

  path(addr: number): Result<string> {
    return this.string(addr, PATH_MAX - 1);
  }

  readU32(addr: number): SysResult {
    if (addr + 4 > this.#guestTop) return EFAULT;
    if (this.#space.read(addr, staging, 4) !== 4) return EFAULT;
    return stagingView.getUint32(0, true);
  }

  writeU32(addr: number, value: number): SysResult {
    if (addr + 4 > this.#guestTop) return EFAULT;
    stagingView.setUint32(0, value, true);
    return this.#space.write(addr, staging, 4) === 4 ? 0 : EFAULT;
  }

  writeU64(addr: number, value: number): SysResult {
    if (addr + 8 > this.#guestTop) return EFAULT;
    stagingView.setUint32(0, value >>> 0, true);
    stagingView.setUint32(4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
    return this.#space.write(addr, staging, 8) === 8 ? 0 : EFAULT;
  }

  sink(addr: number, length: number): Sink {
    return new GuestSink(this, addr, Math.min(length, MAX_RW_COUNT));
  }

  source(addr: number, length: number): Source {
    return new GuestSource(this, addr, Math.min(length, MAX_RW_COUNT));
  }

  sinkOfVector(iovAddr: number, count: number): Result<Sink> {
    const segments = this.#vector(iovAddr, count);
    if (isErrno(segments)) return segments;
    if (segments.length === 2)
      return new GuestSink(this, segments[0] as number, segments[1] as number);
    return new VectorSink(this, segments);
  }

  sourceOfVector(iovAddr: number, count: number): Result<Source> {
    const segments = this.#vector(iovAddr, count);
    if (isErrno(segments)) return segments;
    if (segments.length === 2)
      return new GuestSource(this, segments[0] as number, segments[1] as number);
    return new VectorSource(this, segments);
  }

  /** How many of `length` bytes from `addr` lie in guest memory at all. */
  #reachable(addr: number, length: number): number {
    return Math.min(length, this.#guestTop - addr);
  }

  /** The iovec array as addr, length, addr, length, ...; the total is cut at MAX_RW_COUNT (import_iovec). */
  #vector(iovAddr: number, count: number): Result<number[]> {
    if (count < 0 || count > IOV_MAX) return EINVAL;
    const view = this.view(iovAddr, count * IOVEC_BYTES);
    if (isErrno(view)) return view;
    const segments: number[] = [];
    let room = MAX_RW_COUNT;
    for (let at = 0; at < view.byteLength; at += IOVEC_BYTES) {
      const addr = view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
      const high = view.getUint32(at + 12, true);
      if (high > 0x7fff_ffff) return EINVAL;
      const length = high * 0x1_0000_0000 + view.getUint32(at + 8, true);
      if (length > 0 && addr + length > this.#guestTop) return EFAULT;
      const used = Math.min(length, room);
      room -= used;
      segments.push(addr, used);
    }
    return segments;
  }
}

function freshView(length: number): DataView {
  if (length > LARGEST_FROM_SLAB) return new DataView(new ArrayBuffer(length));
  if (slabUsed + length > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const view = new DataView(slab, slabUsed, length);
  slabUsed += (length + 7) & ~7;
  return view;
}

class GuestSink implements Sink {
  readonly #memory: GuestMemory;
  #addr: number;
  #left: number;

  constructor(memory: GuestMemory, addr: number, length: number) {
    this.#memory = memory;
    this.#addr = addr;
    this.#left = length;
  }

  get remaining(): number {
    return this.#left;
  }

  put(src: Uint8Array): SysResult {
    const stored = this.#memory.writeSome(this.#addr, src);
    if (stored > 0) {
      this.#addr += stored;
      this.#left -= stored;
    }
    return stored;
  }
}

class GuestSource implements Source {
  readonly #memory: GuestMemory;
  #addr: number;
  #left: number;

  constructor(memory: GuestMemory, addr: number, length: number) {
    this.#memory = memory;
    this.#addr = addr;
    this.#left = length;
  }

  get remaining(): number {
    return this.#left;
  }

  take(dst: Uint8Array): SysResult {
    const into = dst.length > this.#left ? dst.subarray(0, this.#left) : dst;
    const taken = this.#memory.readSome(this.#addr, into);
    if (taken > 0) {
      this.#addr += taken;
      this.#left -= taken;
    }
    return taken;
  }

  giveBack(count: number): void {
    this.#addr -= count;
    this.#left += count;
  }
}

/** The place in an iovec array that both directions share. */
class VectorCursor {
  readonly memory: GuestMemory;
  readonly #segments: readonly number[];
  /** Index of the current segment's address; its length is next to it. */
  #index = 0;
  /** Bytes of the current segment already used. */
  #used = 0;
  #left = 0;

  constructor(memory: GuestMemory, segments: readonly number[]) {
    this.memory = memory;
    this.#segments = segments;
    for (let i = 1; i < segments.length; i += 2) this.#left += segments[i] as number;
  }

  get remaining(): number {
    return this.#left;
  }

  /** Copies `bytes` with `copy`, segment by segment. Bytes copied, EFAULT if none could be. */
  protected transfer(
    bytes: Uint8Array,
    copy: (addr: number, piece: Uint8Array) => SysResult,
  ): SysResult {
    let done = 0;
    while (done < bytes.length && this.#left > 0) {
      const addr = (this.#segments[this.#index] as number) + this.#used;
      const room = (this.#segments[this.#index + 1] as number) - this.#used;
      if (room === 0) {
        this.#index += 2;
        this.#used = 0;
        continue;
      }
      const wanted = Math.min(room, bytes.length - done);
      const whole = done === 0 && wanted === bytes.length;
      const copied = copy(addr, whole ? bytes : bytes.subarray(done, done + wanted));
      if (copied <= 0) return done > 0 ? done : EFAULT;
      done += copied;
      this.#used += copied;
      this.#left -= copied;
      if (copied < wanted) return done;
    }
    return done;
  }

  /** Undoes the last `count` bytes of transfers. */
  protected stepBack(count: number): void {
    this.#left += count;
    for (let rest = count; rest > 0; ) {
      if (this.#used === 0) {
        this.#index -= 2;
        this.#used = this.#segments[this.#index + 1] as number;
      }
      const step = Math.min(rest, this.#used);
      this.#used -= step;
      rest -= step;
    }
  }
}

class VectorSink extends VectorCursor implements Sink {
  put(src: Uint8Array): SysResult {
    return this.transfer(src, (addr, piece) => this.memory.writeSome(addr, piece));
  }
}

class VectorSource extends VectorCursor implements Source {
  take(dst: Uint8Array): SysResult {
    return this.transfer(dst, (addr, piece) => this.memory.readSome(addr, piece));
  }

  giveBack(count: number): void {
    this.stepBack(count);
  }
}
