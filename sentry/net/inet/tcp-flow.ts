// SPDX-License-Identifier: Apache-2.0
// One direction of a connection within the sandbox. The bytes lie in one ring from the moment they
// are sent: those at its front have arrived and wait for the reader, the others wait at the sender
// for room in the reader's window, or for more bytes (TCP_CORK). So nothing is copied twice.
import { ENOBUFS, ENOMEM, type SysResult } from '../../../abi/errno.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { Sink, Source } from '../../vfs/io.ts';

/** The fate of the urgent byte (tcp(7), "urgent data"). */
export type UrgentState = 'none' | 'waits' | 'read';

export class TcpFlow {
  readonly #ring = new ByteRing();
  /** Bytes at the front of the ring that are the reader's. */
  arrivedBytes = 0;
  /** FIN comes behind the last byte. */
  endsSoon = false;
  /** FIN has arrived. */
  hasEnded = false;
  /** The last segment is held back until it is full (TCP_CORK, MSG_MORE). */
  isHeld = false;
  urgent: UrgentState = 'none';
  /** Stream position of the urgent byte. */
  urgentAt = 0;
  /** Figures for TCP_INFO: bytes and segments that have arrived, and when the last did. */
  deliveredBytes = 0;
  segments = 0;
  lastArrivalNs = 0;

  /** Bytes that have not arrived (SIOCOUTQ). */
  get unsentBytes(): number {
    return this.#ring.length - this.arrivedBytes;
  }

  /** True where the next byte to be read is the urgent one (SIOCATMARK). */
  get isAtMark(): boolean {
    return this.urgent !== 'none' && this.urgentAt === this.#ring.position;
  }

  /** Takes up to `limit` bytes of a sender's. */
  put(source: Source, limit: number): SysResult {
    const count = this.#ring.fill(source, limit);
    return count === ENOMEM ? ENOBUFS : count;
  }

  /** The byte that was put last is urgent. What was urgent before is an ordinary byte from now on. */
  markUrgent(isInline: boolean): void {
    // A mark at which the reader stands is forgotten with its byte (tcp_check_urg).
    if (!isInline && this.isAtMark && this.arrivedBytes > 0 && this.#ring.length > 1) this.#drop(1);
    this.urgent = 'waits';
    this.urgentAt = this.#ring.end - 1;
  }

  /**
   * Lets bytes arrive as far as the window and TCP_CORK allow. Returns how many did. A window that is
   * not empty takes no more where nothing fits.
   */
  advance(windowBytes: number, segmentBytes: number, nowNs: number): number {
    let count = Math.min(this.unsentBytes, windowBytes - this.arrivedBytes);
    if (this.isHeld && !this.endsSoon && count === this.unsentBytes) count -= count % segmentBytes;
    if (count <= 0) return 0;
    this.arrivedBytes += count;
    this.deliveredBytes += count;
    this.segments += Math.ceil(count / segmentBytes);
    this.lastArrivalNs = nowNs;
    return count;
  }

  /** True where FIN arrives now: everything before it has. */
  get mayEnd(): boolean {
    return this.endsSoon && !this.hasEnded && this.unsentBytes === 0;
  }

  /** How much a reader gets before it has to stop (FIONREAD). */
  readableBytes(isInline: boolean): number {
    const ahead = this.urgentAt - this.#ring.position;
    const stops = !isInline && this.urgent !== 'none' && ahead >= 0 && ahead < this.arrivedBytes;
    return stops ? ahead : this.arrivedBytes;
  }

  /**
   * Gives arrived bytes to a reader: up to the urgent byte, which is skipped where it stands first.
   * `skip` bytes are passed over where it peeks.
   */
  take(sink: Sink, limit: number, peeks: boolean, isInline: boolean, skip = 0): SysResult {
    let from = peeks ? skip : 0;
    const ahead = this.urgent === 'none' ? -1 : this.urgentAt - this.#ring.position - from;
    let most = Math.min(limit, this.arrivedBytes - from);
    if (ahead > 0) most = Math.min(most, ahead);
    else if (ahead === 0 && !isInline) {
      if (peeks) from += 1;
      else this.#drop(1);
      most = Math.min(limit, this.arrivedBytes - from);
    }
    if (most <= 0) return 0;
    const count = this.#ring.peek(sink, most, from);
    if (count > 0 && !peeks) this.#drop(count);
    return count;
  }

  #drop(count: number): void {
    this.#ring.discard(count);
    this.arrivedBytes -= count;
    if (this.urgent !== 'none' && this.#ring.position > this.urgentAt) this.urgent = 'none';
  }

  /** The urgent byte (MSG_OOB); undefined where it has not arrived. */
  urgentByte(peeks: boolean): number | undefined {
    const skip = this.urgentAt - this.#ring.position;
    if (skip >= this.arrivedBytes) return undefined;
    let value = 0;
    const sink: Sink = {
      remaining: 1,
      put: (bytes) => {
        value = bytes[0] as number;
        return 1;
      },
    };
    this.#ring.peek(sink, 1, skip);
    if (!peeks) this.urgent = 'read';
    return value;
  }

  /** The sender is gone: what has not arrived never will. */
  cutUnsent(): void {
    this.#ring.length = this.arrivedBytes;
    this.endsSoon = false;
  }

  /** Nobody will read any more. */
  release(): void {
    this.arrivedBytes = 0;
    this.#ring.release();
  }
}
