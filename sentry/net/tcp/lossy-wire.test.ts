// SPDX-License-Identifier: Apache-2.0
// Two connections of ours over a link that loses, repeats and reorders: whatever it does, the bytes
// arrive whole and in order, both ways, and both ends close.
import { describe, expect, it } from 'vitest';
import { deliver, FakeClock, FakeWire, newConnection } from '../../../test/support/fake-wire.ts';
import { generator } from '../../../test/support/random.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { Connection } from './connection.ts';
import type { Tuning } from './contract.ts';

interface Link {
  readonly lossPercent: number;
  readonly repeatPercent: number;
  readonly reorderPercent: number;
  readonly delayMs: number;
  readonly segmentBytes?: number;
  readonly tuning?: Partial<Tuning>;
  readonly hasSack?: boolean;
}

interface InFlight {
  readonly atMs: number;
  readonly to: Connection;
  readonly bytes: Uint8Array;
}

const bytesOf = (length: number, random: (below: number) => number): Uint8Array =>
  Uint8Array.from({ length }, () => random(256));

/** What each end has got after both have sent and closed. */
function exchange(seed: number, link: Link, size: number): { took: number; segments: number } {
  const random = generator(seed);
  const clock = new FakeClock();
  const wires = [new FakeWire(clock), new FakeWire(clock)] as const;
  const ends = wires.map((wire, place) =>
    newConnection(wire, link.tuning, link.segmentBytes, 0xffff_f000 + place * 77),
  ) as [Connection, Connection];
  const toSend = ends.map(() => bytesOf(size, random));
  const sentSoFar = [0, 0];
  const got: Uint8Array[][] = [[], []];
  const closed = [false, false];
  let flying: InFlight[] = [];
  let segments = 0;

  const collect = (): void => {
    wires.forEach((wire, place) => {
      for (const bytes of wire.sent.splice(0)) {
        segments += 1;
        const to = ends[1 - place] as Connection;
        if (random(100) < link.lossPercent) continue;
        const late = random(100) < link.reorderPercent ? random(30) : 0;
        flying.push({ atMs: clock.nowMs + link.delayMs + late, to, bytes });
        if (random(100) < link.repeatPercent)
          flying.push({ atMs: clock.nowMs + link.delayMs + random(20), to, bytes });
      }
    });
  };

  const work = (): void => {
    ends.forEach((end, place) => {
      const all = toSend[place] as Uint8Array;
      for (;;) {
        const at = sentSoFar[place] as number;
        if (!end.mayWrite || at === all.length) break;
        const part = all.subarray(at, at + 1 + random(20_000));
        const taken = end.write(new BufferSource(part), false);
        if (taken <= 0) break;
        sentSoFar[place] = at + taken;
      }
      if (sentSoFar[place] === all.length && end.mayWrite) end.shutdownWrite();
      const buffer = new Uint8Array(1 + random(60_000));
      const count = end.read(new BufferSink(buffer), buffer.length);
      if (count > 0) (got[place] as Uint8Array[]).push(buffer.slice(0, count));
      if (
        end.isEnded &&
        end.in.ring.length === 0 &&
        end.out.finPlace !== undefined &&
        !closed[place]
      ) {
        closed[place] = true;
        end.close(false);
      }
    });
  };

  ends[0].open();
  const restrict = (): void => {
    if (link.hasSack === false) for (const end of ends) end.hasSack = false;
  };
  const isOver = (): boolean =>
    ends.every(({ state }) => state === 'closed' || state === 'time-wait');
  for (let step = 0; step < 200_000 && !isOver(); step += 1) {
    work();
    for (const wire of wires) wire.flush();
    collect();
    flying.sort((a, b) => a.atMs - b.atMs);
    const next = Math.min(
      flying[0]?.atMs ?? Number.POSITIVE_INFINITY,
      ...wires.map((w) => w.nextDeadlineMs),
    );
    if (next === Number.POSITIVE_INFINITY) break;
    clock.nowMs = Math.max(clock.nowMs, next);
    const due = flying.filter(({ atMs }) => atMs <= clock.nowMs);
    flying = flying.filter(({ atMs }) => atMs > clock.nowMs);
    restrict();
    for (const { to, bytes } of due) {
      if (to.state !== 'closed' || to === ends[1]) deliver(to, bytes);
      restrict();
    }
    wires.forEach((wire) => {
      wire.flush();
      wire.runDue();
    });
  }
  // What came with the last segments is still to be read.
  for (let round = 0; round < 1000 && ends.some((end) => end.in.ring.length > 0); round += 1)
    work();
  for (const place of [0, 1]) {
    const whole = Buffer.concat(got[place] as Uint8Array[]);
    expect(whole.length, `seed ${seed}: bytes at end ${place}, ${ends[place]?.state}`).toBe(size);
    expect(whole.equals(toSend[1 - place] as Uint8Array), `seed ${seed}`).toBe(true);
  }
  expect(isOver(), `seed ${seed}: ${ends.map(({ state }) => state).join(' ')}`).toBe(true);
  return { took: clock.nowMs - 1000, segments };
}

const seeds = Array.from({ length: 12 }, (_, index) => 1 + index * 7919);

describe('a link of TCP', () => {
  it('that does no harm carries bytes both ways, once each', () => {
    const link = { lossPercent: 0, repeatPercent: 0, reorderPercent: 0, delayMs: 5 };
    const { segments } = exchange(1, link, 300_000);
    // Data, and at most one acknowledgement for each.
    expect(segments).toBeLessThan(2 * 2 * (300_000 / 1448) + 60);
  });

  it.each([1, 5, 20])('that loses %i % of its segments', (lossPercent) => {
    for (const seed of seeds)
      exchange(seed, { lossPercent, repeatPercent: 0, reorderPercent: 0, delayMs: 10 }, 100_000);
  });

  it('that reorders', () => {
    for (const seed of seeds)
      exchange(
        seed,
        { lossPercent: 0, repeatPercent: 0, reorderPercent: 30, delayMs: 10 },
        100_000,
      );
  });

  it('that repeats', () => {
    for (const seed of seeds)
      exchange(
        seed,
        { lossPercent: 0, repeatPercent: 50, reorderPercent: 0, delayMs: 10 },
        100_000,
      );
  });

  it('that does all of it', () => {
    for (const seed of seeds)
      exchange(
        seed,
        { lossPercent: 5, repeatPercent: 10, reorderPercent: 20, delayMs: 3 },
        100_000,
      );
  });

  it('to a peer without SACK', () => {
    for (const seed of seeds) {
      const link = {
        lossPercent: 5,
        repeatPercent: 5,
        reorderPercent: 10,
        delayMs: 10,
        hasSack: false,
      };
      exchange(seed, link, 60_000);
    }
  });

  it('with small segments and small buffers', () => {
    const tuning = { sendBufferBytes: 3000, receiveBufferBytes: 2000, mostReceiveBytes: 2000 };
    for (const seed of seeds) {
      const link = {
        lossPercent: 3,
        repeatPercent: 3,
        reorderPercent: 3,
        delayMs: 4,
        segmentBytes: 536,
        tuning,
      };
      exchange(seed, link, 20_000);
    }
  });

  it('under Reno, and with Nagle off', () => {
    for (const tuning of [{ congestion: 'reno' as const }, { noDelay: true }])
      for (const seed of seeds)
        exchange(
          seed,
          { lossPercent: 3, repeatPercent: 0, reorderPercent: 5, delayMs: 10, tuning },
          80_000,
        );
  });
});
