// SPDX-License-Identifier: Apache-2.0
// A wire and a clock for connections of TCP (sentry/net/tcp): segments are bytes, time passes when
// the test says so.
import { unlimitedAccount } from '../../sentry/base/memory-account.ts';
import { Connection } from '../../sentry/net/tcp/connection.ts';
import { defaultTuning, type Tuning, type Wire } from '../../sentry/net/tcp/contract.ts';
import { receiveSegment, takeSyn } from '../../sentry/net/tcp/input.ts';
import {
  ACK,
  FIN,
  type Header,
  PSH,
  RST,
  Segment,
  SYN,
  writeSegment,
} from '../../sentry/net/tcp/segment.ts';
import { expire } from '../../sentry/net/tcp/timers.ts';
import type { ByteRing } from '../../sentry/vfs/byte-ring.ts';
import { BufferSink } from '../../sentry/vfs/io.ts';

export class FakeClock {
  nowMs = 1000;
}

/** Carries the segments of one connection; cuts what is too long, as the host's kernel does. */
export class FakeWire implements Wire {
  readonly clock: FakeClock;
  /** Segments that went and that nobody took. */
  readonly sent: Uint8Array[] = [];
  readonly #deadlines = new Map<Connection, number>();
  readonly #flushes: Connection[] = [];
  isForgotten = false;
  /** The host takes no frame. */
  isFull = false;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  nowMs(): number {
    return this.clock.nowMs;
  }

  transmit(
    _connection: Connection,
    header: Header,
    ring: ByteRing | undefined,
    skip: number,
    length: number,
    segmentBytes: number,
  ): boolean {
    if (this.isFull) return false;
    let at = 0;
    do {
      const part = Math.min(length - at, segmentBytes);
      const isLast = at + part >= length;
      const flags = isLast ? header.flags : header.flags & ~(FIN | PSH);
      const bytes = new Uint8Array(60 + Math.max(part, 0));
      const headerBytes = writeSegment(bytes, 0, {
        ...header,
        flags,
        sequence: (header.sequence + at) >>> 0,
      });
      if (ring !== undefined && part > 0)
        ring.peek(new BufferSink(bytes.subarray(headerBytes, headerBytes + part)), part, skip + at);
      this.sent.push(bytes.slice(0, headerBytes + Math.max(part, 0)));
      at += Math.max(part, 1);
    } while (at < length);
    return true;
  }

  schedule(connection: Connection, deadlineMs: number): void {
    const known = this.#deadlines.get(connection) ?? Number.POSITIVE_INFINITY;
    this.#deadlines.set(connection, Math.min(known, deadlineMs));
  }

  get nextDeadlineMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#deadlines.values());
  }

  /** Does what is due. */
  runDue(): void {
    for (const [connection, deadline] of [...this.#deadlines]) {
      if (deadline > this.clock.nowMs) continue;
      this.#deadlines.delete(connection);
      expire(connection);
    }
    this.flush();
  }

  flushLater(connection: Connection): void {
    this.#flushes.push(connection);
  }

  flush(): void {
    for (const connection of this.#flushes.splice(0)) connection.flush();
  }

  forget(connection: Connection): void {
    this.isForgotten = true;
    this.#deadlines.delete(connection);
  }

  confirm(): void {}
}

export function newConnection(
  wire: Wire,
  tuning: Partial<Tuning> = {},
  segmentBytes = 1460,
  first = 0xffff_fff0,
): Connection {
  return new Connection({
    localPort: 1000,
    remotePort: 2000,
    first,
    segmentBytes,
    timestampOffset: 0x8000_0000,
    wire,
    account: unlimitedAccount,
    tuning: { ...defaultTuning, ...tuning },
  });
}

export function parsed(bytes: Uint8Array): Segment {
  const segment = new Segment();
  if (!segment.parse(bytes, 0, bytes.length)) throw new Error('no segment');
  return segment;
}

/** Gives a segment to a connection; one that listens takes a SYN. */
export function deliver(connection: Connection, bytes: Uint8Array): 'taken' | 'reset' {
  const segment = parsed(bytes);
  if (connection.state !== 'closed') return receiveSegment(connection, segment);
  if (!segment.has(SYN) || segment.has(ACK) || segment.has(RST)) return 'reset';
  connection.isPassive = true;
  connection.hasTimestamps = true;
  connection.hasSack = true;
  connection.state = 'syn-received';
  takeSyn(connection, segment);
  connection.sendSyn();
  return 'taken';
}
