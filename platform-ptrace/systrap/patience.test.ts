// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { Patience } from './patience.ts';

describe('the patience with a stub', () => {
  it('ends where the Sentry has looked for ten seconds', () => {
    let now = 5e9;
    const patience = new Patience({ monotonicNs: () => now });
    let looks = 0;
    while (patience.isLeft()) {
      now += 10e6;
      looks += 1;
    }
    expect(looks).toBe(1000);
  });

  it('does not end by the time that a freezer takes', () => {
    let now = 5e9;
    const patience = new Patience({ monotonicNs: () => now });
    for (let turn = 0; turn < 100; turn++) {
      now += 3600e9;
      expect(patience.isLeft()).toBe(true);
    }
  });
});
