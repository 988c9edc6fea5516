// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EINVAL, EOVERFLOW } from '../../../abi/errno.ts';
import { NO_ID, UNMAPPED_ID } from '../../vfs/node.ts';
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
    expect(map.toHost(1000)).toBe(EINVAL);
  });

  it('without ranges leaves every id as it is', () => {
    expect(new IdMap().toHost(0xffff_fffe)).toBe(0xffff_fffe);
    expect(new IdMap().toGuest(12)).toBe(12);
  });

  it('goes through the mapping of the mount first', () => {
    const mounted = new IdMap(
      [[0, 100_000, 1000]],
      [
        [0, 100_000, 500],
        [500, 3, 1],
      ],
    );
    expect([mounted.toGuest(0), mounted.toHost(0)]).toEqual([0, 0]);
    // The mount's 3 on the host is nobody's in the container.
    expect(mounted.toGuest(500)).toBe(NO_ID);
    expect(mounted.toGuest(501)).toBe(UNMAPPED_ID);
    // 600 is the container's, but no file there can have it.
    expect(mounted.toHost(600)).toBe(EOVERFLOW);
    expect(mounted.toHost(1000)).toBe(EINVAL);
  });
});
