// SPDX-License-Identifier: Apache-2.0
// A pipe (pipe(7)): one bounded byte queue between any number of readers and writers, for pipe(2)
// and FIFOs. Bytes lie in one ring rather than in Linux's page-sized slots.
// Differs from Linux: space is counted in bytes, so small writes fill all of the capacity.

import { EAGAIN, EBUSY, EINVAL, EPERM, EPIPE, type SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { WaitQueue } from '../../base/wait.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { Sink, Source } from '../../vfs/io.ts';

/** Writes up to this size are never interleaved (limits.h). */
export const PIPE_BUF = 4096;
const defaultCapacity = 65536;
/** /proc/sys/fs/pipe-max-size. */
export const pipeMaxBytes = 1_048_576;

const readable = POLLIN | POLLRDNORM;
const writable = POLLOUT | POLLWRNORM;

export class Pipe {
  readonly ring: ByteRing = new ByteRing();
  readonly queue: WaitQueue = new WaitQueue();
  /** Openers of a FIFO that wait for a partner. */
  readonly openQueue: WaitQueue = new WaitQueue();
  capacity: number = defaultCapacity;
  readers = 0;
  writers = 0;
  /** How many ends were ever opened: a waiting opener sees a partner that is gone again. */
  readerOpens = 0;
  writerOpens = 0;
  /**
   * Lengths of what the ring holds, in order, once packet mode (O_DIRECT) was used: packets as they
   * are, stretches of stream negated.
   */
  #segments: number[] | undefined;

  addReader(): void {
    this.readers += 1;
    this.readerOpens += 1;
    this.openQueue.notify(POLLIN | POLLOUT);
  }

  addWriter(): void {
    this.writers += 1;
    this.writerOpens += 1;
    this.openQueue.notify(POLLIN | POLLOUT);
  }

  dropReader(): void {
    this.readers -= 1;
    if (this.readers === 0) this.queue.notify(POLLERR | writable);
  }

  dropWriter(): void {
    this.writers -= 1;
    if (this.writers === 0) this.queue.notify(POLLHUP | readable);
  }

  get isFull(): boolean {
    if (this.#segments !== undefined && this.#segments.length >= this.capacity / PAGE_SIZE)
      return true;
    return this.capacity - this.ring.length < PIPE_BUF;
  }

  /** Takes up to `limit` bytes out of the pipe. 0: end of file. EAGAIN: empty, with writers. */
  read(sink: Sink, limit: number = sink.remaining): SysResult {
    const empty = this.#emptyAnswer(limit);
    if (empty !== undefined) return empty;
    const wasFull = this.isFull;
    const count =
      this.#segments === undefined ? this.ring.drain(sink, limit) : this.#readSegments(sink, limit);
    if (count > 0) this.#readDone(wasFull);
    return count;
  }

  /** Forgets `count` bytes that were peeked. */
  discard(count: number): void {
    const wasFull = this.isFull;
    this.ring.discard(count);
    if (this.#segments !== undefined) this.#dropSegments(count);
    this.#readDone(wasFull);
  }

  /** Puts up to `limit` bytes in. EAGAIN: no room (all or nothing up to PIPE_BUF). */
  write(source: Source, limit: number = source.remaining): SysResult {
    if (limit === 0) return 0;
    if (this.readers === 0) return EPIPE;
    const room = this.capacity - this.ring.length;
    if (room < Math.min(limit, PIPE_BUF)) return EAGAIN;
    if (this.#segments !== undefined && this.#segments.length >= this.capacity / PAGE_SIZE)
      return EAGAIN;
    const count = this.ring.fill(source, Math.min(limit, room));
    if (count <= 0) return count;
    if (this.#segments !== undefined) this.#addStream(count);
    this.queue.notify(readable);
    return count;
  }

  /** A write in packet mode: pieces of up to PIPE_BUF bytes, each read at one go. */
  writePackets(source: Source): SysResult {
    if (source.remaining === 0) return 0;
    if (this.readers === 0) return EPIPE;
    this.#segments ??= this.ring.length === 0 ? [] : [-this.ring.length];
    let total = 0;
    while (source.remaining > 0 && !this.isFull) {
      const count = this.ring.fill(source, PIPE_BUF);
      if (count <= 0) {
        if (total === 0) return count;
        break;
      }
      this.#segments.push(count);
      total += count;
    }
    if (total === 0) return EAGAIN;
    this.queue.notify(readable);
    return total;
  }

  /** F_SETPIPE_SZ: the new capacity in bytes, or EBUSY, EPERM, EINVAL. */
  resize(wantedBytes: number, privileged: boolean): SysResult {
    const size = roundedCapacity(wantedBytes);
    if (size === 0) return EINVAL;
    if (size > pipeMaxBytes && size > this.capacity && !privileged) return EPERM;
    if (size < this.ring.length) return EBUSY;
    const wasFull = this.isFull;
    this.capacity = size;
    this.#readDone(wasFull);
    return size;
  }

  /** Everybody left: what nobody read is lost. */
  purge(): void {
    this.ring.release();
    this.#segments = undefined;
  }

  #emptyAnswer(limit: number): SysResult | undefined {
    if (limit === 0) return 0;
    if (this.ring.length > 0) return undefined;
    return this.writers === 0 ? 0 : EAGAIN;
  }

  #readDone(wasFull: boolean): void {
    // Writers are told when a page is free again, not at each byte: as often as Linux tells them.
    if (wasFull && !this.isFull) this.queue.notify(writable);
  }

  /** Reads stretches of stream up to and including the first packet; the rest of a packet is lost. */
  #readSegments(sink: Sink, limit: number): SysResult {
    const segments = this.#segments as number[];
    let total = 0;
    for (;;) {
      const segment = segments[0];
      if (segment === undefined) break;
      const count = this.ring.drain(sink, Math.min(Math.abs(segment), limit - total));
      if (count <= 0) return total === 0 ? count : total;
      total += count;
      if (segment > 0) {
        this.ring.discard(segment - count);
        segments.shift();
        break;
      }
      this.#dropSegments(count);
      if (total === limit || count < -segment) break;
    }
    if (segments.length === 0) this.#segments = undefined;
    return total;
  }

  #dropSegments(count: number): void {
    const segments = this.#segments as number[];
    let rest = count;
    while (rest > 0) {
      const segment = segments[0];
      if (segment === undefined) break;
      const length = Math.min(rest, Math.abs(segment));
      rest -= length;
      if (length === Math.abs(segment)) segments.shift();
      else segments[0] = segment < 0 ? segment + length : segment - length;
    }
    if (segments.length === 0) this.#segments = undefined;
  }

  #addStream(count: number): void {
    const segments = this.#segments as number[];
    const last = segments.at(-1);
    if (last !== undefined && last < 0) segments[segments.length - 1] = last - count;
    else segments.push(-count);
  }
}

/** round_pipe_size of fs/pipe.c: a power of two of at least a page; 0 where it is too large. */
function roundedCapacity(wantedBytes: number): number {
  if (wantedBytes > 2 ** 31) return 0;
  let size = PAGE_SIZE;
  while (size < wantedBytes) size *= 2;
  return size;
}
