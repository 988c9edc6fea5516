// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { SIGKILL, SIGRTMAX, SIGSTOP, SIGUSR1 } from '../../abi/signal.ts';
import { SignalSet } from './sigset.ts';

describe('SignalSet', () => {
  it('holds the first and the last signal of each word', () => {
    for (const signal of [1, 32, 33, SIGRTMAX]) {
      const set = SignalSet.of(signal);
      expect(set.has(signal)).toBe(true);
      expect(set.firstNotIn(new SignalSet())).toBe(signal);
      set.remove(signal);
      expect(set.isEmpty).toBe(true);
    }
  });

  it('answers the lowest signal outside a mask', () => {
    const set = SignalSet.of(5, 12, 40);
    expect(set.firstNotIn(SignalSet.of(5))).toBe(12);
    expect(set.firstNotIn(SignalSet.of(5, 12))).toBe(40);
    expect(set.firstNotIn(set)).toBe(0);
  });

  it('never blocks SIGKILL and SIGSTOP', () => {
    const mask = SignalSet.of(SIGKILL, SIGSTOP, SIGUSR1).blockable();
    expect([SIGKILL, SIGSTOP, SIGUSR1].map((signal) => mask.has(signal))).toEqual([
      false,
      false,
      true,
    ]);
  });
});
