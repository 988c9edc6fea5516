// SPDX-License-Identifier: Apache-2.0
// Connections stepped by a scripted peer: what goes for what comes, at which time.
import { describe, expect, it } from 'vitest';
import { ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT } from '../../../abi/errno.ts';
import {
  deliver,
  FakeClock,
  FakeWire,
  newConnection,
  parsed,
} from '../../../test/support/fake-wire.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { Connection } from './connection.ts';
import type { Tuning } from './contract.ts';
import { ACK, FIN, PSH, RST, type Segment, SYN, writeSegment } from './segment.ts';

const FIRST = 0xffff_fff0;
const PEER_FIRST = 0xffff_ff00;

interface Said {
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly data?: string;
  readonly mss?: number;
  readonly scale?: number;
  readonly sack?: boolean;
  readonly stamp?: readonly [number, number];
  readonly blocks?: readonly number[];
}

/** A connection and its peer, which says what the test has it say. Places count from the SYNs. */
class Script {
  readonly clock = new FakeClock();
  readonly wire = new FakeWire(this.clock);
  readonly connection: Connection;
  readonly heard: number[] = [];

  constructor(tuning: Partial<Tuning> = {}, segmentBytes = 1000) {
    this.connection = newConnection(this.wire, tuning, segmentBytes, FIRST);
  }

  say(said: Said): 'taken' | 'reset' {
    const data = Buffer.from(said.data ?? '');
    const bytes = new Uint8Array(60 + data.length);
    const length = writeSegment(bytes, 0, {
      sourcePort: 2000,
      destinationPort: 1000,
      sequence: (PEER_FIRST + (said.seq ?? 1)) >>> 0,
      acknowledgement: (FIRST + (said.ack ?? 1)) >>> 0,
      flags: said.flags ?? ACK,
      window: said.window ?? 20_000,
      urgent: 0,
      mss: said.mss ?? 0,
      windowScale: said.scale ?? -1,
      isSackPermitted: said.sack ?? false,
      hasTimestamps: said.stamp !== undefined,
      timestamp: said.stamp?.[0] ?? 0,
      echo: said.stamp?.[1] ?? 0,
      sacks: (said.blocks ?? []).map((place) => (FIRST + place) >>> 0),
    });
    bytes.set(data, length);
    const verdict = deliver(this.connection, bytes.slice(0, length + data.length));
    this.wire.flush();
    return verdict;
  }

  /** Segments since the last question. */
  take(): Segment[] {
    return this.wire.sent.splice(0).map(parsed);
  }

  /** Shown as "flags seq..end ack". */
  shown(): string[] {
    return this.take().map((segment) => {
      const names = [
        [SYN, 'S'],
        [FIN, 'F'],
        [RST, 'R'],
        [PSH, 'P'],
        [ACK, '.'],
      ] as const;
      const flags = names.flatMap(([flag, name]) => (segment.has(flag) ? [name] : [])).join('');
      const from = (segment.sequence - FIRST) | 0;
      const to = from + segment.payload.length;
      const ack = segment.has(ACK) ? ` ${(segment.acknowledgement - PEER_FIRST) | 0}` : '';
      return `${flags} ${from}${to > from ? `..${to}` : ''}${ack}`;
    });
  }

  write(said: string): number {
    return this.connection.write(new BufferSource(Buffer.from(said)), false);
  }

  read(): string {
    const buffer = new Uint8Array(100_000);
    const count = this.connection.read(new BufferSink(buffer), buffer.length);
    return Buffer.from(buffer.subarray(0, Math.max(count, 0))).toString();
  }

  /** Lets time pass, doing what is due on the way. */
  pass(ms: number): void {
    const end = this.clock.nowMs + ms;
    while (this.wire.nextDeadlineMs <= end) {
      this.clock.nowMs = Math.max(this.clock.nowMs, this.wire.nextDeadlineMs);
      this.wire.runDue();
    }
    this.clock.nowMs = end;
  }

  establish(options: Said = {}): this {
    this.connection.open();
    this.say({ seq: 0, flags: SYN | ACK, mss: 1000, ...options });
    this.take();
    this.connection.quickAcks = 0;
    return this;
  }
}

const text = (length: number): string => 'x'.repeat(length);

describe('opening', () => {
  it('sends SYN with all options, and an ACK for the answer', () => {
    const script = new Script();
    script.connection.open();
    const [syn] = script.take();
    expect(syn?.flags).toBe(SYN);
    expect(syn?.mss).toBe(1000);
    expect(syn?.isSackPermitted).toBe(true);
    expect(syn?.hasTimestamps).toBe(true);
    expect(syn?.windowScale).toBeGreaterThan(0);
    script.say({ seq: 0, flags: SYN | ACK, mss: 900, scale: 3, sack: true, stamp: [5, 0] });
    expect(script.connection.state).toBe('established');
    expect(script.connection.segmentBytes).toBe(900 - 12);
    const [ack] = script.take();
    expect([ack?.flags, ack?.echo]).toEqual([ACK, 5]);
  });

  it('repeats the SYN after 1, 2, 4 … seconds and gives up after its retries', () => {
    const script = new Script({ synRetries: 2 });
    script.connection.open();
    const times: number[] = [];
    const began = script.clock.nowMs;
    for (let second = 0; second < 20; second += 0.5) {
      script.pass(500);
      for (const { flags } of script.take()) {
        expect(flags).toBe(SYN);
        times.push(script.clock.nowMs - began);
      }
    }
    expect(times).toEqual([500, 1000, 3000]);
    expect(script.connection.takeError()).toBe(ETIMEDOUT);
  });

  it('is refused by RST that acknowledges the SYN, and by no other', () => {
    const script = new Script();
    script.connection.open();
    script.say({ seq: 0, flags: RST });
    script.say({ seq: 0, flags: RST | ACK, ack: 77 });
    expect(script.connection.state).toBe('syn-sent');
    script.say({ seq: 0, flags: RST | ACK });
    expect(script.connection.state).toBe('closed');
    expect(script.connection.takeError()).toBe(ECONNREFUSED);
  });

  it('answers an acknowledgement of what was never sent with RST', () => {
    const script = new Script();
    script.connection.open();
    expect(script.say({ seq: 0, flags: SYN | ACK, ack: 9 })).toBe('reset');
    expect(script.connection.state).toBe('syn-sent');
  });

  it('works from both ends at once', () => {
    const script = new Script();
    script.connection.open();
    script.take();
    script.say({ seq: 0, flags: SYN, mss: 1000 });
    expect(script.shown()).toEqual(['S. 0 1']);
    script.say({ seq: 1, ack: 1 });
    expect(script.connection.state).toBe('established');
  });

  it('from a listener: SYN-ACK, again for the SYN again, and established by the ACK', () => {
    const script = new Script();
    script.say({ seq: 0, flags: SYN, mss: 1000 });
    expect(script.shown()).toEqual(['S. 0 1']);
    script.say({ seq: 0, flags: SYN, mss: 1000 });
    expect(script.shown()).toEqual(['S. 0 1']);
    script.say({ seq: 1, ack: 1, data: 'hello' });
    expect(script.connection.state).toBe('established');
    expect(script.read()).toBe('hello');
  });
});

describe('sending', () => {
  it('goes as far as the window of the peer', () => {
    const script = new Script().establish({ window: 2500 });
    expect(script.write(text(5000))).toBe(5000);
    expect(script.shown()).toEqual(['. 1..1001 1', '. 1001..2001 1']);
    script.say({ ack: 2001, window: 2500 });
    expect(script.shown()).toEqual(['. 2001..3001 1', '. 3001..4001 1']);
  });

  it('scales the window that the peer says', () => {
    const script = new Script().establish({ scale: 4, window: 1000 });
    script.write(text(100_000));
    script.take();
    script.say({ ack: 1001, window: 400 });
    expect(script.connection.peerWindow).toBe(6400);
  });

  it('holds back a small segment while one is on its way (Nagle), unless told not to', () => {
    const script = new Script().establish();
    script.write('a');
    script.write('b');
    script.write('c');
    expect(script.shown()).toEqual(['P. 1..2 1']);
    script.say({ ack: 2 });
    expect(script.shown()).toEqual(['P. 2..4 1']);
    const hasty = new Script({ noDelay: true }).establish();
    hasty.write('a');
    hasty.write('b');
    expect(hasty.shown()).toEqual(['P. 1..2 1', 'P. 2..3 1']);
  });

  it('corks for 200 ms, and no longer than until the segment is full', () => {
    const script = new Script({ cork: true }).establish();
    script.write(text(400));
    expect(script.shown()).toEqual([]);
    script.write(text(700));
    expect(script.shown()).toEqual(['. 1..1001 1']);
    script.say({ ack: 1001 });
    script.take();
    script.pass(199);
    expect(script.shown()).toEqual([]);
    script.pass(2);
    expect(script.shown()).toEqual(['P. 1001..1101 1']);
  });

  it('repeats what is not acknowledged, with a time-out that doubles', () => {
    const script = new Script().establish();
    script.write(text(10));
    script.take();
    const began = script.clock.nowMs;
    const times: number[] = [];
    for (let step = 0; step < 1600; step += 1) {
      script.pass(10);
      for (const segment of script.take())
        if (segment.payload.length > 0) times.push(script.clock.nowMs - began);
    }
    const gaps = times.map((time, index) => time - (times[index - 1] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(4);
    gaps.slice(1).forEach((gap, index) => {
      expect(Math.abs(gap / (gaps[index] as number) - 2)).toBeLessThan(0.11);
    });
  });

  it('gives up in the end', () => {
    const script = new Script({ userTimeoutMs: 5000 }).establish();
    script.write('x');
    script.pass(4000);
    expect(script.connection.state).toBe('established');
    script.pass(30_000);
    expect(script.connection.takeError()).toBe(ETIMEDOUT);
  });

  it('repeats the first segment after three duplicates where the peer has no SACK', () => {
    const script = new Script().establish();
    script.write(text(5000));
    script.take();
    for (let count = 0; count < 2; count += 1) script.say({ ack: 1 });
    expect(script.shown()).toEqual([]);
    script.say({ ack: 1 });
    expect(script.shown()[0]).toBe('. 1..1001 1');
  });

  it('repeats exactly the gap that SACK tells of', () => {
    const script = new Script().establish({ sack: true });
    script.write(text(5000));
    script.take();
    script.say({ ack: 1, blocks: [1001, 2001] });
    script.say({ ack: 1, blocks: [1001, 3001] });
    script.say({ ack: 1, blocks: [1001, 4001] });
    expect(script.shown()).toContain('. 1..1001 1');
    script.say({ ack: 5001 });
    expect(script.connection.out.inFlight).toBe(0);
  });

  it('believes no block beyond what was sent', () => {
    const script = new Script().establish({ sack: true });
    script.write(text(3000));
    script.take();
    script.say({ ack: 1, blocks: [2001, 90_001] });
    script.say({ ack: 1, blocks: [3001, 2001] });
    expect(script.connection.out.inFlight).toBe(3000);
  });

  it('probes a tail that nobody acknowledges before the time-out', () => {
    const script = new Script().establish({ sack: true });
    script.connection.roundTrip.measured(20, script.clock.nowMs);
    script.write(text(3000));
    script.take();
    script.pass(60);
    expect(script.shown()).toEqual(['. 2001..3001 1']);
  });

  it('halves the window for a loss, and begins anew after a time-out', () => {
    const script = new Script({ congestion: 'reno' }).establish({ sack: true, window: 60_000 });
    script.write(text(10_000));
    const before = script.connection.congestion.window;
    expect(before).toBe(10_000);
    script.take();
    script.say({ ack: 1, blocks: [1001, 5001], window: 60_000 });
    script.say({ ack: 1, blocks: [1001, 6001], window: 60_000 });
    script.say({ ack: 1, blocks: [1001, 7001], window: 60_000 });
    expect(script.connection.congestion.window).toBe(5000);
    script.pass(5000);
    expect(script.connection.congestion.window).toBeLessThanOrEqual(2000);
  });

  it('asks a closed window whether it still is, and goes on when it opens', () => {
    const script = new Script().establish({ window: 1000 });
    script.write(text(3000));
    script.take();
    script.say({ ack: 1001, window: 0 });
    expect(script.shown()).toEqual([]);
    script.pass(1500);
    const [probe] = script.shown();
    // Before what is acknowledged: it has to be answered.
    expect(probe).toBe('. 1000 1');
    script.say({ ack: 1001, window: 2000 });
    expect(script.shown()).toEqual(['. 1001..2001 1', 'P. 2001..3001 1']);
  });

  it('keeps asking while the peer answers, however long the window stays closed', () => {
    const script = new Script().establish({ window: 0 });
    script.write('x');
    for (let count = 0; count < 40; count += 1) {
      script.pass(130_000);
      if (script.take().length > 0) script.say({ ack: 1, window: 0 });
    }
    expect(script.connection.state).toBe('established');
  });
});

describe('receiving', () => {
  it('puts off acknowledgements by 40 ms, but not for two full segments', () => {
    const script = new Script().establish();
    script.say({ data: 'one' });
    expect(script.shown()).toEqual([]);
    script.pass(41);
    expect(script.shown()).toEqual(['. 1 4']);
    script.say({ seq: 4, data: text(1000) });
    expect(script.shown()).toEqual([]);
    script.say({ seq: 1004, data: text(1000) });
    expect(script.shown()).toEqual(['. 1 2004']);
  });

  it('keeps what comes too early and says so at once', () => {
    const script = new Script().establish({ sack: true });
    script.say({ seq: 4, data: 'def' });
    script.say({ seq: 10, data: 'jkl' });
    const acks = script.take();
    expect(acks.map(({ sacks }) => sacks.map((edge) => (edge - PEER_FIRST) | 0))).toEqual([
      [4, 7],
      [10, 13, 4, 7],
    ]);
    script.say({ seq: 1, data: 'abc' });
    expect(script.read()).toBe('abcdef');
    script.say({ seq: 7, data: 'ghi' });
    expect(script.read()).toBe('ghijkl');
    expect(script.shown().at(-1)).toBe('. 1 13');
  });

  it('takes segments that overlap, once', () => {
    const script = new Script().establish();
    script.say({ seq: 3, data: 'cdef' });
    script.say({ seq: 5, data: 'EFGH' });
    script.say({ seq: 1, data: 'abcd' });
    expect(script.read()).toBe('abcdefGH');
  });

  it('never takes back a promise of its window, and tells when it opens', () => {
    const script = new Script({ receiveBufferBytes: 4000, mostReceiveBytes: 4000 }).establish();
    for (let at = 1; at < 4001; at += 1000) script.say({ seq: at, data: text(1000) });
    const last = script.take().at(-1) as Segment;
    expect(last.window << script.connection.receiveScale).toBe(0);
    script.say({ seq: 4001, data: 'beyond' });
    expect(script.connection.in.ring.length).toBe(4000);
    script.take();
    expect(script.read().length).toBe(4000);
    expect((script.take()[0] as Segment).window << script.connection.receiveScale).toBe(4000);
  });

  it('grows its window for a program that reads as fast as bytes come', () => {
    const script = new Script({ receiveBufferBytes: 8000 }).establish();
    const before = script.connection.in.capacityBytes;
    let seq = 1;
    for (let round = 0; round < 40; round += 1) {
      for (let part = 0; part < 6; part += 1) {
        script.say({ seq, data: text(1000) });
        seq += 1000;
        script.read();
      }
      script.pass(5);
    }
    expect(script.connection.in.capacityBytes).toBeGreaterThanOrEqual(before * 2);
  });
});

describe('closing', () => {
  it('from this end: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT for a minute', () => {
    const script = new Script().establish();
    script.connection.shutdownWrite();
    expect(script.shown()).toEqual(['F. 1 1']);
    expect(script.connection.state).toBe('fin-wait-1');
    script.say({ ack: 2 });
    expect(script.connection.state).toBe('fin-wait-2');
    script.say({ ack: 2, data: 'more' });
    expect(script.read()).toBe('more');
    script.say({ seq: 5, ack: 2, flags: FIN | ACK });
    expect(script.connection.state).toBe('time-wait');
    expect(script.shown().at(-1)).toBe('. 2 6');
    script.pass(59_000);
    expect(script.connection.state).toBe('time-wait');
    script.pass(2000);
    expect(script.connection.state).toBe('closed');
    expect(script.wire.isForgotten).toBe(true);
  });

  it('from the other end: CLOSE-WAIT, LAST-ACK', () => {
    const script = new Script().establish();
    script.say({ flags: FIN | ACK, data: 'bye' });
    expect(script.connection.state).toBe('close-wait');
    expect(script.read()).toBe('bye');
    expect(script.connection.isEnded).toBe(true);
    script.take();
    script.connection.close(false);
    expect(script.shown()).toEqual(['F. 1 5']);
    script.say({ seq: 5, ack: 2 });
    expect(script.connection.state).toBe('closed');
  });

  it('from both ends at once: CLOSING', () => {
    const script = new Script().establish();
    script.connection.shutdownWrite();
    script.say({ ack: 1, flags: FIN | ACK });
    expect(script.connection.state).toBe('closing');
    script.say({ seq: 2, ack: 2 });
    expect(script.connection.state).toBe('time-wait');
  });

  it('answers a FIN that comes again in TIME-WAIT', () => {
    const script = new Script().establish();
    script.connection.shutdownWrite();
    script.say({ ack: 2, flags: FIN | ACK });
    script.take();
    script.say({ ack: 2, flags: FIN | ACK });
    expect(script.shown()).toEqual(['. 2 2']);
  });

  it('sends what was written before FIN', () => {
    const script = new Script().establish();
    script.write('last words');
    script.connection.close(false);
    expect(script.shown()).toEqual(['P. 1..11 1', 'F. 11 1']);
  });

  it('with unread bytes, or data for nobody, is RST', () => {
    const unread = new Script().establish();
    unread.say({ data: 'nobody reads this' });
    unread.connection.close(false);
    expect(unread.shown().at(-1)).toMatch(/^R/);
    const late = new Script().establish();
    late.connection.close(false);
    late.take();
    late.say({ ack: 2, data: 'too late' });
    expect(late.shown().at(-1)).toMatch(/^R/);
    expect(late.connection.state).toBe('closed');
  });

  it('forgets an end that nobody closes after a minute', () => {
    const script = new Script().establish();
    script.connection.close(false);
    script.say({ ack: 2 });
    expect(script.connection.state).toBe('fin-wait-2');
    script.pass(61_000);
    expect(script.connection.state).toBe('closed');
  });
});

describe('attacks', () => {
  it('RST is believed at the very place only (RFC 5961 3)', () => {
    const script = new Script().establish();
    script.say({ seq: 500, flags: RST });
    expect(script.shown()).toEqual(['. 1 1']);
    script.say({ seq: 90_000_000, flags: RST });
    expect(script.shown()).toEqual([]);
    expect(script.connection.state).toBe('established');
    script.say({ seq: 1, flags: RST });
    expect(script.connection.takeError()).toBe(ECONNRESET);
  });

  it('RST after the end is EPIPE', () => {
    const script = new Script().establish();
    script.say({ flags: FIN | ACK });
    script.say({ seq: 2, flags: RST });
    expect(script.connection.takeError()).toBe(EPIPE);
  });

  it('a SYN on a connection is answered with an acknowledgement (RFC 5961 4)', () => {
    const script = new Script().establish();
    script.say({ seq: 300, flags: SYN });
    expect(script.shown()).toEqual(['. 1 1']);
    expect(script.connection.state).toBe('established');
  });

  it('acknowledgements of what was never sent, or long ago, are not taken (RFC 5961 5)', () => {
    const script = new Script().establish();
    script.say({ ack: 5000, data: 'bad' });
    script.say({ ack: -90_000, data: 'bad' });
    expect(script.read()).toBe('');
    expect(script.shown()).toEqual(['. 1 1', '. 1 1']);
  });

  it('challenges are counted: ten a second', () => {
    const script = new Script().establish();
    for (let count = 0; count < 100; count += 1) script.say({ seq: 500, flags: RST });
    expect(script.shown().length).toBe(10);
  });

  it('old timestamps are not taken (PAWS)', () => {
    const script = new Script().establish({ stamp: [1000, 0] });
    script.say({ data: 'new', stamp: [1010, 0] });
    script.say({ seq: 4, data: 'old', stamp: [900, 0] });
    expect(script.read()).toBe('new');
    script.say({ seq: 4, data: 'now', stamp: [1020, 0] });
    expect(script.read()).toBe('now');
  });
});

describe('keep-alive', () => {
  it('probes an idle peer and ends what does not answer', () => {
    const tuning = { keepAlive: true, keepIdleMs: 10_000, keepIntervalMs: 1000, keepCount: 3 };
    const script = new Script(tuning).establish();
    script.pass(9000);
    expect(script.shown()).toEqual([]);
    script.pass(1500);
    expect(script.shown()).toEqual(['. 0 1']);
    script.say({ ack: 1 });
    script.pass(9000);
    expect(script.shown()).toEqual([]);
    script.pass(15_000);
    expect(script.connection.takeError()).toBe(ETIMEDOUT);
  });
});
