// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Range, RangeMap } from './range-map.ts';

/** The same questions answered by a plain sorted array. */
class NaiveMap {
  items: Range[] = [];

  gaps(low: number, high: number): { start: number; end: number }[] {
    const gaps: { start: number; end: number }[] = [];
    let previousEnd = 0;
    for (const item of [...this.items, undefined]) {
      const start = Math.max(previousEnd, low);
      const end = Math.min(item === undefined ? Infinity : item.start - item.guardBytes, high);
      if (end > start) gaps.push({ start, end });
      previousEnd = item?.end ?? 0;
    }
    return gaps;
  }

  topDown(length: number, low: number, high: number): number {
    const gap = this.gaps(low, high).findLast((g) => g.end - g.start >= length);
    return gap === undefined ? -1 : gap.end - length;
  }

  bottomUp(length: number, low: number, high: number): number {
    return this.gaps(low, high).find((g) => g.end - g.start >= length)?.start ?? -1;
  }
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
}

describe('RangeMap', () => {
  it('agrees with a plain array over random changes', () => {
    const next = random(7);
    const map = new RangeMap<Range>();
    const naive = new NaiveMap();
    for (let step = 0; step < 6000; step += 1) {
      const start = next(20000);
      const end = start + 1 + next(8);
      const growing = step < 3500;
      const hit = naive.items.find((i) => i.end > start);
      if (hit !== undefined && (hit.start < end || (!growing && next(3) > 0))) {
        map.remove(hit);
        naive.items.splice(naive.items.indexOf(hit), 1);
      } else {
        const item = { start, end, guardBytes: next(10) === 0 ? 3 : 0 };
        map.insert(item);
        const at = naive.items.findIndex((i) => i.start > start);
        naive.items.splice(at < 0 ? naive.items.length : at, 0, item);
      }
      const addr = next(20010);
      expect(map.find(addr)).toBe(naive.items.find((i) => i.start <= addr && i.end > addr));
      expect(map.firstEndingAfter(addr)).toBe(naive.items.find((i) => i.end > addr));
      expect(map.lastEndingBy(addr)).toBe(naive.items.findLast((i) => i.end <= addr));
      const low = next(8) === 0 ? next(20000) : 100;
      const high = next(8) === 0 ? low + next(5000) : 20500;
      const length = next(3) > 0 ? 5 : 1 + next(next(5) === 0 ? 200 : 12);
      expect(map.findGapTopDown(length, low, high)).toBe(naive.topDown(length, low, high));
      expect(map.findGapBottomUp(length, low, high)).toBe(naive.bottomUp(length, low, high));
    }
    expect([...map]).toEqual(naive.items);
    expect(map.size).toBe(naive.items.length);
    expect(map.overlapping(5000, 9000)).toEqual(
      naive.items.filter((i) => i.end > 5000 && i.start < 9000),
    );
  });

  it('keeps gaps right when bounds change', () => {
    const map = new RangeMap<Range>();
    const items = Array.from({ length: 500 }, (_, i) => ({
      start: i * 10,
      end: i * 10 + 10,
      guardBytes: 0,
    }));
    for (const item of items) map.insert(item);
    expect(map.findGapTopDown(5, 0, 5000)).toBe(-1);
    const item = items[200] as Range;
    map.setBounds(item, item.start, item.end - 5);
    expect(map.findGapTopDown(5, 0, 5000)).toBe(item.end);
    expect(map.findGapBottomUp(5, 0, 5000)).toBe(item.end);
  });

  it('replaces what lies in a range', () => {
    const next = random(11);
    const map = new RangeMap<Range>();
    let items: Range[] = [];
    for (let step = 0; step < 400; step += 1) {
      const start = next(200) * 10;
      const end = start + next(60) * 10;
      const fresh: Range[] = [];
      for (let at = start; at + 10 <= end; at += 10)
        if (next(3) > 0) fresh.push({ start: at, end: at + 1 + next(10), guardBytes: 0 });
      map.replace(start, end, fresh);
      items = items.filter((item) => item.end <= start || item.start >= end);
      items = [...items, ...fresh].sort((a, b) => a.start - b.start);
      expect([...map]).toEqual(items);
      expect(map.size).toBe(items.length);
      const naive = new NaiveMap();
      naive.items = items;
      const length = 1 + next(40);
      expect(map.findGapTopDown(length, 0, 3000)).toBe(naive.topDown(length, 0, 3000));
      expect(map.findGapBottomUp(length, 0, 3000)).toBe(naive.bottomUp(length, 0, 3000));
    }
  });
});
