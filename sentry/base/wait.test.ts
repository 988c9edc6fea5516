// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { doLeftover, hasLeftovers } from './leftovers.ts';
import { WaitQueue } from './wait.ts';

describe('WaitQueue', () => {
  it('tells those who asked for the event, at once', () => {
    const queue = new WaitQueue();
    const told: string[] = [];
    queue.join({ wake: (events) => told.push(`in ${events}`) }, POLLIN);
    queue.join({ wake: (events) => told.push(`out ${events}`) }, POLLOUT);
    queue.notify(POLLIN);
    expect(told).toEqual([`in ${POLLIN}`]);
  });

  it('tells very many in several turns, each of every event', () => {
    const queue = new WaitQueue();
    let told = 0;
    const count = 100_000;
    for (let i = 0; i < count; i += 1) {
      const waker = {
        wake: () => {
          told += 1;
        },
      };
      queue.join(waker, POLLIN | POLLOUT);
    }
    queue.notify(POLLIN);
    expect(told).toBeLessThan(count);
    // Another event while the first is being told.
    queue.notify(POLLOUT);
    while (hasLeftovers()) doLeftover();
    expect(told).toBe(2 * count);
    queue.notify(POLLIN);
    while (hasLeftovers()) doLeftover();
    expect(told).toBe(3 * count);
  });
});
