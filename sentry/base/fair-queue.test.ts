// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { FairQueue, FairShare } from './fair-queue.ts';

/** Takes `count` items, each of which takes as long as `costNs` says. */
function taken(
  queue: FairQueue<string>,
  count: number,
  costNs: (item: string) => number,
): string[] {
  const items: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const item = queue.take();
    if (item === undefined) break;
    queue.charge(costNs(item));
    items.push(item);
  }
  return items;
}

describe('FairQueue', () => {
  it('serves one owner in order', () => {
    const queue = new FairQueue<string>();
    const owner = new FairShare<string>();
    for (const item of ['a', 'b', 'c']) queue.add(owner, item);
    expect(queue.size).toBe(3);
    expect(taken(queue, 9, () => 1)).toEqual(['a', 'b', 'c']);
    expect(queue.size).toBe(0);
  });

  it('gives an owner with many items no more than one with few', () => {
    const queue = new FairQueue<string>();
    const crowd = new FairShare<string>();
    const lone = new FairShare<string>();
    for (let i = 0; i < 5000; i += 1) queue.add(crowd, 'crowd');
    for (let i = 0; i < 3; i += 1) queue.add(lone, 'lone');
    const order = taken(queue, 6, () => 10);
    expect(order.filter((item) => item === 'lone')).toHaveLength(3);
    expect(taken(queue, 6000, () => 10)).toHaveLength(4997);
  });

  it('serves one that comes late before those who have had much', () => {
    const queue = new FairQueue<string>();
    const crowd = new FairShare<string>();
    for (let i = 0; i < 100; i += 1) queue.add(crowd, 'crowd');
    taken(queue, 50, () => 2e6);
    queue.add(new FairShare(), 'late');
    expect(queue.take()).toBe('late');
  });

  it('lets nobody save up time', () => {
    const queue = new FairQueue<string>();
    const crowd = new FairShare<string>();
    const sleeper = new FairShare<string>();
    queue.add(sleeper, 'sleeper');
    for (let i = 0; i < 1000; i += 1) queue.add(crowd, 'crowd');
    taken(queue, 901, (item) => (item === 'crowd' ? 1e6 : 0));
    for (let i = 0; i < 1000; i += 1) queue.add(sleeper, 'sleeper');
    const next = taken(queue, 100, () => 1e6);
    expect(next.filter((item) => item === 'crowd').length).toBeGreaterThan(40);
  });
});
