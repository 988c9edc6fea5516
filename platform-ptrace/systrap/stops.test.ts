// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { STATE_POSTED, STATE_RUNNING } from '../../protocol/mailbox.ts';
import { FairShare } from '../../sentry/base/fair-queue.ts';
import { PIECE_NS } from '../../sentry/base/turn.ts';
import { Stops } from './stops.ts';

interface FakeThread {
  readonly base: number;
  runIndex: number;
  readonly space: { readonly stops: FairShare<FakeThread> };
  readonly name: string;
}

/** Threads of a crowded process and of one with a single thread, each call of which takes `costNs`. */
class FakeSentry {
  readonly words: Int32Array;
  readonly running: FakeThread[] = [];
  readonly handled: string[] = [];
  readonly stops: Stops<FakeThread>;
  #nowNs = 0;

  constructor(crowd: number, costNs: number) {
    this.words = new Int32Array(crowd + 1).fill(STATE_POSTED);
    const space = { stops: new FairShare<FakeThread>() };
    for (let i = 0; i < crowd; i += 1) this.#add(i, space, `crowd ${i}`);
    this.#add(crowd, { stops: new FairShare() }, 'lone');
    const clock = {
      monotonicNs: () => this.#nowNs,
      realtime: () => ({ sec: 0, nsec: 0 }),
    };
    // Whoever is answered makes its next call at once.
    const handle = (thread: FakeThread): void => {
      this.handled.push(thread.name);
      this.#nowNs += costNs;
    };
    this.stops = new Stops(this.words, this, clock, handle, (thread) => thread.space.stops);
  }

  #add(base: number, space: FakeThread['space'], name: string): void {
    this.running.push({ base, runIndex: this.running.length, space, name });
  }

  polls(count: number): void {
    for (let i = 0; i < count; i += 1) this.stops.poll();
  }
}

describe('Stops', () => {
  it('serves a few where they are found', () => {
    const sentry = new FakeSentry(3, 1000);
    sentry.stops.poll();
    expect(sentry.handled).toEqual(['lone', 'crowd 2', 'crowd 1', 'crowd 0']);
    sentry.words.fill(STATE_RUNNING);
    expect(sentry.stops.poll()).toBe(false);
  });

  it('serves a process with one thread as often as one with thousands', () => {
    const sentry = new FakeSentry(3000, PIECE_NS / 2);
    sentry.polls(50);
    const { handled } = sentry;
    const gaps = handled.flatMap((name, index) => (name === 'lone' ? [index] : []));
    // Of a hundred calls a good part are the lone one's, and it never waits for more than a few.
    expect(gaps.length).toBeGreaterThan(30);
    expect(Math.max(...gaps.slice(1).map((at, i) => at - (gaps[i] as number)))).toBeLessThan(20);
  });

  it('serves every thread of a crowd', () => {
    const sentry = new FakeSentry(100, PIECE_NS / 2);
    sentry.polls(300);
    for (let i = 0; i < 100; i += 1) expect(sentry.handled).toContain(`crowd ${i}`);
  });

  it('forgets those that are gone before their turn', () => {
    const sentry = new FakeSentry(100, PIECE_NS);
    sentry.polls(2);
    for (const thread of sentry.running) thread.runIndex = -1;
    sentry.words.fill(STATE_RUNNING);
    const before = sentry.handled.length;
    sentry.polls(200);
    expect(sentry.handled).toHaveLength(before);
    expect(sentry.stops.poll()).toBe(false);
  });
});
