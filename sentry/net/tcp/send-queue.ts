// SPDX-License-Identifier: Apache-2.0
// What was written and is not acknowledged: the bytes, and a record of each segment on its way, by
// which losses are found (RACK, RFC 8985; by duplicate acknowledgements where the peer has no SACK).
// Places: sequence.ts. The connection (connection.ts) says when something may go.
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { CongestionControl } from './congestion.ts';
import type { RoundTrip } from './round-trip.ts';

/** The most of one connection; a program that sends single bytes would have more. */
const MOST_FLIGHTS = 2048;
const DUPLICATES = 3;

/** A segment, or several that went as one. */
export interface Flight {
  start: number;
  end: number;
  sentMs: number;
  wasRepeated: boolean;
  /** 'out': it may arrive; 'lost': it goes once more; 'held': the peer has it (SACK). */
  state: 'out' | 'lost' | 'held';
}

export interface Acknowledged {
  /** Bytes (and FIN) newly acknowledged, selectively or not. */
  delivered: number;
  /** The round trip of a segment that went once, in milliseconds; -1: none. */
  sampleMs: number;
  foundLoss: boolean;
}

export class SendQueue {
  readonly ring = new ByteRing();
  /** The oldest place that is not acknowledged. */
  una = 1;
  /** The next place to send. */
  nxt = 1;
  /** The place of FIN; undefined: more may be written. */
  finPlace: number | undefined;
  /** Bytes on their way: flights that are 'out'. */
  inFlight = 0;
  /** Until `una` is here, no further loss makes the window smaller. -1: none is being repaired. */
  recoverUntil = -1;
  /** The losses that are repaired were found by time: the window grows meanwhile (slow start). */
  hasTimedOut = false;
  duplicates = 0;
  /** When RACK looks again; Infinity: not. */
  reorderAtMs: number = Number.POSITIVE_INFINITY;
  repeatedBytes = 0;
  lostFlights = 0;
  readonly #flights: Flight[] = [];
  /** RACK.xmit_ts, RACK.end_seq, RACK.rtt: of the youngest that arrived. */
  #rackSentMs = 0;
  #rackEnd = 0;
  #rackRttMs = 0;
  #hasReordered = false;
  #highestHeld = 0;

  /** Just past the last byte that was written, FIN included. */
  get end(): number {
    return this.finPlace === undefined ? this.ring.end + 1 : this.finPlace + 1;
  }

  get isRecovering(): boolean {
    return this.recoverUntil >= 0;
  }

  get hasFlights(): boolean {
    return this.#flights.length > 0;
  }

  get mayRecordMore(): boolean {
    return this.#flights.length < MOST_FLIGHTS;
  }

  /** Takes note of new bytes that go now. */
  sent(length: number, nowMs: number): void {
    this.#flights.push({
      start: this.nxt,
      end: this.nxt + length,
      sentMs: nowMs,
      wasRepeated: false,
      state: 'out',
    });
    this.nxt += length;
    this.inFlight += length;
  }

  /** The first that is lost, cut to `mostBytes`. */
  nextLost(mostBytes: number): Flight | undefined {
    for (let index = 0; index < this.#flights.length; index += 1) {
      const flight = this.#flights[index] as Flight;
      if (flight.state !== 'lost') continue;
      if (flight.end - flight.start > mostBytes) this.#cut(index, flight.start + mostBytes);
      return flight;
    }
    return undefined;
  }

  /** `flight` goes once more now. */
  repeated(flight: Flight, nowMs: number): void {
    const length = flight.end - flight.start;
    if (flight.state !== 'out') this.inFlight += length;
    flight.state = 'out';
    flight.sentMs = nowMs;
    flight.wasRepeated = true;
    this.repeatedBytes += length;
  }

  /** The end of the last flight, at most `mostBytes`, for a tail loss probe. */
  tail(mostBytes: number): Flight | undefined {
    const index = this.#flights.length - 1;
    const last = this.#flights[index];
    if (last === undefined || last.state === 'held') return undefined;
    if (last.end - last.start > mostBytes) this.#cut(index, last.end - mostBytes);
    return this.#flights.at(-1);
  }

  /** Splits flight `index` at `place`. */
  #cut(index: number, place: number): void {
    const flight = this.#flights[index] as Flight;
    this.#flights.splice(index + 1, 0, { ...flight, start: place });
    flight.end = place;
  }

  /** `ack` is a place from una to nxt; `blocks` pairs of places, believed only within. */
  acknowledge(ack: number, blocks: readonly number[], nowMs: number): Acknowledged {
    const result: Acknowledged = { delivered: 0, sampleMs: -1, foundLoss: false };
    this.#dropUntil(ack, nowMs, result);
    for (let at = 0; at + 1 < blocks.length; at += 2)
      this.#hold(blocks[at] as number, blocks[at + 1] as number, nowMs, result);
    if (ack > this.una) {
      this.una = ack;
      this.duplicates = 0;
      const acknowledgedBytes = Math.min(ack - 1, this.ring.end) - this.ring.position;
      if (acknowledgedBytes > 0) this.ring.discard(acknowledgedBytes);
      if (this.isRecovering && ack >= this.recoverUntil) {
        this.recoverUntil = -1;
        this.hasTimedOut = false;
      }
    }
    return result;
  }

  #dropUntil(ack: number, nowMs: number, result: Acknowledged): void {
    let count = 0;
    for (const flight of this.#flights) {
      if (flight.start >= ack) break;
      if (flight.end > ack) {
        // A part of a flight: the rest is one of its own.
        this.#cut(count, ack);
      }
      this.#arrived(flight, nowMs, result);
      count += 1;
    }
    if (count > 0) this.#flights.splice(0, count);
  }

  #hold(start: number, end: number, nowMs: number, result: Acknowledged): void {
    // Blocks below what is acknowledged tell of duplicates (RFC 2883); beyond nxt they are wrong.
    if (start < this.una || end <= start || end > this.nxt) return;
    for (let index = this.#indexAt(start); index < this.#flights.length; index += 1) {
      const flight = this.#flights[index] as Flight;
      if (flight.start >= end) break;
      if (flight.end <= start || flight.state === 'held') continue;
      if (flight.start < start) {
        this.#cut(index, start);
        continue;
      }
      if (flight.end > end) this.#cut(index, end);
      this.#arrived(flight, nowMs, result);
      flight.state = 'held';
    }
  }

  /** The first flight that ends past `place`. */
  #indexAt(place: number): number {
    let low = 0;
    let high = this.#flights.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#flights[middle] as Flight).end > place) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The peer has `flight`. */
  #arrived(flight: Flight, nowMs: number, result: Acknowledged): void {
    if (flight.state === 'held') return;
    const length = flight.end - flight.start;
    if (flight.state === 'out') this.inFlight -= length;
    result.delivered += length;
    const took = nowMs - flight.sentMs;
    if (!flight.wasRepeated) result.sampleMs = took;
    if (flight.end < this.#highestHeld && !flight.wasRepeated) this.#hasReordered = true;
    this.#highestHeld = Math.max(this.#highestHeld, flight.end);
    // RFC 8985 6.2 step 2: what was repeated and "arrives" sooner than ever was the first copy.
    if (flight.wasRepeated && took < this.#rackRttMs / 2) return;
    const isYounger =
      flight.sentMs > this.#rackSentMs ||
      (flight.sentMs === this.#rackSentMs && flight.end > this.#rackEnd);
    if (!isYounger) return;
    this.#rackSentMs = flight.sentMs;
    this.#rackEnd = flight.end;
    this.#rackRttMs = took;
  }

  /** RACK: who was sent before one that arrived, and long enough ago, is lost. True where any is. */
  detectLoss(nowMs: number, roundTrip: RoundTrip): boolean {
    this.reorderAtMs = Number.POSITIVE_INFINITY;
    let found = false;
    const window = this.#reorderWindowMs(roundTrip);
    for (const flight of this.#flights) {
      if (flight.state !== 'out') continue;
      const isOlder =
        flight.sentMs < this.#rackSentMs ||
        (flight.sentMs === this.#rackSentMs && flight.end < this.#rackEnd);
      if (!isOlder) {
        if (flight.wasRepeated) continue;
        break;
      }
      const dueMs = flight.sentMs + this.#rackRttMs + window;
      if (dueMs <= nowMs) {
        this.#lose(flight);
        found = true;
      } else this.reorderAtMs = Math.min(this.reorderAtMs, dueMs);
    }
    return found;
  }

  /** RFC 8985 6.2 step 4. */
  #reorderWindowMs(roundTrip: RoundTrip): number {
    if (!this.#hasReordered && (this.isRecovering || this.#heldFlights() >= DUPLICATES)) return 0;
    const minimum = Number.isFinite(roundTrip.minimumMs) ? roundTrip.minimumMs : 0;
    return Math.min(minimum / 4, roundTrip.smoothedMs);
  }

  #heldFlights(): number {
    let count = 0;
    for (const flight of this.#flights) {
      if (flight.state === 'held') count += 1;
      if (count === DUPLICATES) break;
    }
    return count;
  }

  /** A duplicate from a peer without SACK (RFC 6582). True where the first segment is lost now. */
  duplicate(segmentBytes: number): boolean {
    this.duplicates += 1;
    const first = this.#flights[0];
    if (this.duplicates !== DUPLICATES || first === undefined || this.isRecovering) return false;
    return this.loseFirst(segmentBytes);
  }

  loseFirst(segmentBytes: number): boolean {
    const first = this.#flights[0];
    if (first?.state !== 'out') return false;
    if (first.end - first.start > segmentBytes) this.#cut(0, first.start + segmentBytes);
    this.#lose(first);
    return true;
  }

  #lose(flight: Flight): void {
    if (flight.state === 'out') this.inFlight -= flight.end - flight.start;
    flight.state = 'lost';
    this.lostFlights += 1;
  }

  /** Nothing came back in time: all that is not acknowledged is taken for lost, what was held too. */
  loseAll(): void {
    for (const flight of this.#flights) this.#lose(flight);
    this.inFlight = 0;
    this.reorderAtMs = Number.POSITIVE_INFINITY;
    this.#hasReordered = false;
    this.duplicates = 0;
  }

  /** A loss was found: the window shrinks once for all that is on its way now. */
  beginRecovery(congestion: CongestionControl, nowMs: number): void {
    if (this.isRecovering) return;
    this.recoverUntil = this.nxt;
    congestion.lost(this.nxt - this.una, nowMs);
  }

  release(): void {
    this.ring.release();
    this.#flights.length = 0;
    this.inFlight = 0;
  }
}
