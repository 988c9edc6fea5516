import { describe, expect, it } from 'vitest';
import { NO_ID } from '../../vfs/node.ts';
import { IdMap } from './id-map.ts';

describe('IdMap', () => {
  const map = new IdMap([
    [0, 100_000, 1000],
    [5000, 7, 1],
  ]);

  it.each([
    [0, 100_000],
    [999, 100_999],
    [5000, 7],
  ])('has %i inside for %i outside', (inside, outside) => {
    expect(map.toHost(inside)).toBe(outside);
    expect(map.toGuest(outside)).toBe(inside);
  });

  it('has no id for strangers on either side', () => {
    expect(map.toGuest(0)).toBe(NO_ID);
    expect(map.toGuest(101_000)).toBe(NO_ID);
    expect(map.toHost(1000)).toBeUndefined();
  });

  it('without ranges leaves every id as it is', () => {
    expect(new IdMap().toHost(0xffff_fffe)).toBe(0xffff_fffe);
    expect(new IdMap().toGuest(12)).toBe(12);
  });
});
