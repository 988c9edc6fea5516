// SPDX-License-Identifier: Apache-2.0
// The policy on hosts that exist in this file only. Costs are microseconds for a call.
import { describe, expect, it } from 'vitest';
import { ANYWHERE, awayFrom, HandOver, ThreadPlace } from './hand-over.ts';

interface Host {
  readonly cpus: number;
  /** Other guest threads that run while a call is answered. */
  readonly running: number;
  /** The part of the answers that come late where stubs spin. */
  readonly late: number;
  readonly near: number;
  readonly far: number;
  readonly side: number;
}

const idle: Host = { cpus: 2, running: 0, late: 0.01, near: 1.5, far: 70, side: 5.5 };
const busy: Host = { ...idle, late: 0.6, far: 40, side: 9 };
const slowWakes: Host = { ...idle, late: 0.2, far: 150 };
const manyThreads: Host = { ...idle, running: 8, late: 0.5 };
const oneProcessor: Host = { ...idle, cpus: 1, late: 1, near: 40, far: 40 };

/** A generator of numbers in [0, 1) that are the same in each run. */
function* dice(): Generator<number, never> {
  for (let state = 12345; ; ) {
    state = (state * 1103515245 + 12345) % 0x80000000;
    yield state / 0x80000000;
  }
}

/** The mean cost of `calls` calls under the policy, from where it stands. */
function drive(policy: HandOver, host: Host, calls: number, numbers = dice()): number {
  let total = 0;
  for (let i = 0; i < calls; i++) {
    const late = policy.spins && numbers.next().value < host.late;
    if (!policy.spins) total += host.side;
    else total += late ? host.far : host.near;
    policy.answered(late || !policy.spins, host.running);
  }
  return total / calls;
}

/** What the better of "always spin" and "never spin" costs. */
function best({ cpus, late, near, far, side }: Host): number {
  return cpus === 1 ? side : Math.min(side, late * far + (1 - late) * near);
}

describe('costs no more than twice the best on a host that is', () => {
  const hosts = { idle, busy, slowWakes, manyThreads, oneProcessor };
  it.each(Object.entries(hosts))('%s', (_name, host) => {
    expect(drive(new HandOver(host.cpus), host, 50_000)).toBeLessThan(2 * best(host));
  });

  it('idle, after it was busy for long', () => {
    const policy = new HandOver(2);
    drive(policy, busy, 200_000);
    expect(drive(policy, idle, 100_000)).toBeLessThan(2 * best(idle));
  });

  it('busy and idle in turns', () => {
    const policy = new HandOver(2);
    let cost = 0;
    let least = 0;
    for (let turn = 0; turn < 20; turn++) {
      const host = turn % 2 === 0 ? busy : idle;
      cost += drive(policy, host, 5000);
      least += best(host);
    }
    expect(cost).toBeLessThan(2 * least);
  });
});

describe('the regime', () => {
  it('is to spin on an idle host, and side by side on a busy one', () => {
    const policy = new HandOver(2);
    drive(policy, { ...idle, late: 0 }, 10_000);
    expect(policy.spins).toBe(true);
    expect(policy.counters).toMatchObject({ turnsToSide: 0, answersToSleeping: 0 });
    drive(policy, { ...busy, late: 1 }, 300);
    expect(policy.spins).toBe(false);
  });

  it('is never to spin on one processor, nor where guest threads take all of them', () => {
    const one = new HandOver(1);
    drive(one, oneProcessor, 100_000);
    expect(one.counters.turnsToSpin).toBe(0);
    const many = new HandOver(2);
    drive(many, { ...manyThreads, late: 0 }, 64);
    expect(many.spins).toBe(false);
  });

  it('is tried ever more rarely where that fails', () => {
    const policy = new HandOver(2);
    drive(policy, { ...busy, late: 1 }, 10_000);
    const early = policy.counters.turnsToSpin;
    drive(policy, { ...busy, late: 1 }, 100_000);
    expect(early).toBeGreaterThan(2);
    expect(policy.counters.turnsToSpin - early).toBeLessThan(8);
  });
});

describe('a thread is woken', () => {
  const side = new HandOver(2);
  drive(side, { ...busy, late: 1 }, 20);

  it('beside the Sentry where both sleep, and elsewhere where both spin', () => {
    expect(side.placeFor(new ThreadPlace(), 1)).toBe(1);
    expect(new HandOver(2).placeFor(new ThreadPlace(), 1)).toBe(awayFrom(1));
  });

  it('anywhere while it computes, and beside the Sentry again soon afterwards', () => {
    const place = new ThreadPlace();
    for (let i = 0; i < 4; i++) place.stopped(10e6);
    expect(side.placeFor(place, 0)).toBe(ANYWHERE);
    for (let i = 0; i < 8; i++) {
      place.answeredNs = 1e9;
      place.stopped(1e9 + 5000);
    }
    expect(side.placeFor(place, 0)).toBe(0);
  });

  it('where it is, on one processor', () => {
    expect(new HandOver(1).placeFor(new ThreadPlace(), 0)).toBe(ANYWHERE);
  });
});
