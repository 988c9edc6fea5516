// SPDX-License-Identifier: Apache-2.0
// What has come and was not read: the bytes in order, those that came too early, and the window
// that the peer was promised. Places: sequence.ts.
import type { MemoryAccount } from '../../base/memory-account.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import { BufferSource } from '../../vfs/io.ts';
import { MOST_SACK_BLOCKS } from './segment.ts';

/** Pieces that wait for those before them; more come from nobody who sends whole segments. */
const MOST_EARLY = 1024;
/** An early piece beside its bytes. */
const EARLY_OVERHEAD_BYTES = 160;

interface Early {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

export class ReceiveQueue {
  readonly ring = new ByteRing();
  /** The place that is expected. */
  next = 1;
  /** Just past the last place that the peer was promised to be taken. It never goes back. */
  edge = 1;
  capacityBytes: number;
  readonly #account: MemoryAccount;
  /** By place; none overlap. */
  #early: Early[] = [];
  #earlyBytes = 0;
  /** Where the piece that came last began. */
  #latest = 0;
  #readSinceMs = 0;
  #readBytes = 0;

  constructor(capacityBytes: number, account: MemoryAccount) {
    this.capacityBytes = capacityBytes;
    this.#account = account;
  }

  get hasGap(): boolean {
    return this.#early.length > 0;
  }

  /** Bytes that the window of the next segment says, the promise with it. */
  promise(segmentBytes: number): number {
    const room = this.next + Math.max(0, this.capacityBytes - this.ring.length);
    // RFC 9293 3.8.6.2.2: no small steps.
    if (room - this.edge >= Math.min(segmentBytes, this.capacityBytes / 2)) this.edge = room;
    return Math.max(0, this.edge - this.next);
  }

  /** Whether the window grew enough since the last segment that the peer is to be told. */
  isWorthTelling(segmentBytes: number): boolean {
    const promised = this.edge - this.next;
    const room = this.capacityBytes - this.ring.length;
    if (room - promised < segmentBytes) return false;
    // The scale rounds what the peer sees down, and it may wait for room for a whole segment.
    return promised < 2 * segmentBytes || room - promised >= this.capacityBytes / 4;
  }

  /** Takes a payload. How many bytes can be read now that could not before. */
  accept(place: number, payload: Uint8Array): number {
    const start = Math.max(place, this.next);
    const end = Math.min(place + payload.length, this.edge);
    if (end <= start) return 0;
    const bytes = payload.subarray(start - place, end - place);
    if (start > this.next) {
      this.#keepEarly(start, bytes);
      return 0;
    }
    const before = this.next;
    this.#append(bytes);
    this.#appendEarly();
    return this.next - before;
  }

  /** False where memory does not allow all of it. */
  #append(bytes: Uint8Array): boolean {
    const taken = this.ring.fill(new BufferSource(bytes), bytes.length);
    if (taken > 0) this.next += taken;
    return taken === bytes.length;
  }

  #appendEarly(): void {
    for (;;) {
      const first = this.#early[0];
      if (first === undefined || first.start > this.next) return;
      const isNew = first.end > this.next;
      if (isNew && !this.#append(first.bytes.subarray(this.next - first.start))) return;
      this.#early.shift();
      this.#release(first);
    }
  }

  #keepEarly(start: number, bytes: Uint8Array): void {
    this.#latest = start;
    let at = start;
    const end = start + bytes.length;
    let index = this.#firstEndingAfter(start);
    while (at < end && this.#early.length < MOST_EARLY) {
      const existing = this.#early[index];
      const gapEnd = existing === undefined ? end : Math.min(end, existing.start);
      if (gapEnd > at) {
        const cost = gapEnd - at + EARLY_OVERHEAD_BYTES;
        if (!this.#account.charge(cost)) return;
        this.#earlyBytes += cost;
        const piece = bytes.slice(at - start, gapEnd - start);
        this.#early.splice(index, 0, { start: at, end: gapEnd, bytes: piece });
        index += 1;
      }
      if (existing === undefined) return;
      at = Math.max(at, existing.end);
      index += 1;
    }
  }

  #firstEndingAfter(place: number): number {
    let low = 0;
    let high = this.#early.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#early[middle] as Early).end > place) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #release({ start, end }: Early): void {
    const cost = end - start + EARLY_OVERHEAD_BYTES;
    this.#earlyBytes -= cost;
    this.#account.uncharge(cost);
  }

  /** Pairs of places for the SACK option: first the block with what came last (RFC 2018 4). */
  blocks(most: number): number[] {
    const merged: [number, number][] = [];
    for (const { start, end } of this.#early) {
      const last = merged.at(-1);
      if (last !== undefined && last[1] === start) last[1] = end;
      else merged.push([start, end]);
    }
    const latest = merged.findIndex(([start, end]) => start <= this.#latest && this.#latest < end);
    if (latest > 0) merged.unshift(...merged.splice(latest, 1));
    return merged.slice(0, Math.min(most, MOST_SACK_BLOCKS)).flat();
  }

  /**
   * A program took `bytes`. The capacity grows, up to `mostBytes`, while it reads more than half of
   * it in a round trip: then the window is what holds the peer back.
   */
  wasRead(bytes: number, nowMs: number, rttMs: number, mostBytes: number): void {
    this.#readBytes += bytes;
    if (nowMs - this.#readSinceMs < Math.max(rttMs, 1)) return;
    if (this.#readBytes * 2 > this.capacityBytes && this.capacityBytes < mostBytes)
      this.capacityBytes = Math.min(this.capacityBytes * 2, mostBytes);
    this.#readSinceMs = nowMs;
    this.#readBytes = 0;
  }

  /** Nobody will read any more. */
  release(): void {
    this.ring.release();
    this.#account.uncharge(this.#earlyBytes);
    this.#earlyBytes = 0;
    this.#early = [];
  }
}
