// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TimerQueue } from './timer-queue.ts';

describe('TimerQueue', () => {
  it('runs timers by deadline, equal ones in the order they were added', () => {
    const queue = new TimerQueue();
    const order: string[] = [];
    for (const [name, deadline] of [
      ['c', 30],
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
    ] as const) {
      queue.add(deadline, () => order.push(name));
    }
    queue.runDue(20);
    expect(order).toEqual(['a', 'b1', 'b2']);
    expect(queue.nextDeadlineNs()).toBe(30);
  });

  it('forgets cancelled timers, and runs what a callback adds if it is due', () => {
    const queue = new TimerQueue();
    const order: string[] = [];
    queue.add(5, () => order.push('never')).cancel();
    queue.add(10, () => queue.add(10, () => order.push('added')));
    queue.runDue(10);
    expect(order).toEqual(['added']);
    expect(queue.nextDeadlineNs()).toBe(Number.POSITIVE_INFINITY);
  });

  it('drops cancelled timers at once and keeps the rest in order', () => {
    const queue = new TimerQueue();
    const seen: number[] = [];
    const deadlines = Array.from({ length: 300 }, (_, index) => (index * 7919) % 1009);
    const timers = deadlines.map((deadline) => queue.add(deadline, () => seen.push(deadline)));
    for (const [index, timer] of timers.entries()) if (index % 3 !== 0) timer.cancel();
    expect(queue.size).toBe(100);
    timers[1]?.cancel(); // Again: no effect.
    queue.runDue(Number.POSITIVE_INFINITY);
    timers[0]?.cancel(); // Too late: no effect.
    const kept = deadlines.filter((_, index) => index % 3 === 0);
    expect(seen).toEqual(kept.sort((a, b) => a - b));
  });

  it('agrees with sorting on many random deadlines', () => {
    const queue = new TimerQueue();
    const seen: number[] = [];
    const deadlines = Array.from({ length: 500 }, (_, index) => (index * 7919) % 1009);
    for (const deadline of deadlines) queue.add(deadline, () => seen.push(deadline));
    queue.runDue(Number.POSITIVE_INFINITY);
    expect(seen).toEqual([...deadlines].sort((a, b) => a - b));
  });

  it('leaves the rest for the next call where the time is over', () => {
    const queue = new TimerQueue();
    let ran = 0;
    for (let i = 0; i < 100; i += 1) queue.add(i, () => (ran += 1));
    queue.runDue(1000, () => true);
    expect(ran).toBeGreaterThan(0);
    expect(ran).toBeLessThan(100);
    queue.runDue(1000);
    expect([ran, queue.size]).toEqual([100, 0]);
  });
});
