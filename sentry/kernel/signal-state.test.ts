// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  SA_RESETHAND,
  SIG_DFL,
  SIG_IGN,
  SIGCHLD,
  SIGRTMIN,
  SIGUSR1,
  SIGUSR2,
} from '../../abi/signal.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import { SignalSet } from '../base/sigset.ts';
import { defaultAction, PendingSignals, SignalActions } from './signal-state.ts';

describe('PendingSignals', () => {
  it('keeps a standard signal once and queues real-time ones in order', () => {
    const pending = new PendingSignals(new MemoryAccount());
    expect(pending.add({ signal: SIGUSR1, code: 0, pid: 1 })).toBe(true);
    expect(pending.add({ signal: SIGUSR1, code: 0, pid: 2 })).toBe(false);
    for (const value of [7, 8]) pending.add({ signal: SIGRTMIN + 1, code: -1, valueLo: value });
    expect(pending.take(SIGUSR1)?.pid).toBe(1);
    expect(pending.set.has(SIGUSR1)).toBe(false);
    expect([pending.take(SIGRTMIN + 1)?.valueLo, pending.take(SIGRTMIN + 1)?.valueLo]).toEqual([
      7, 8,
    ]);
    expect(pending.isEmpty).toBe(true);
  });

  it('discards every instance of the signals named', () => {
    const pending = new PendingSignals(new MemoryAccount());
    pending.add({ signal: SIGUSR1, code: 0 });
    pending.add({ signal: SIGUSR2, code: 0 });
    pending.discard(SignalSet.of(SIGUSR1));
    expect(pending.take(SIGUSR1)).toBeUndefined();
    expect(pending.take(SIGUSR2)?.signal).toBe(SIGUSR2);
  });
});

describe('SignalActions', () => {
  it('lets ignored signals survive exec, and nothing else', () => {
    const actions = new SignalActions();
    actions.set(SIGUSR1, { ...defaultAction, handler: 0x1000 });
    actions.set(SIGUSR2, { ...defaultAction, handler: SIG_IGN });
    actions.resetHandled();
    expect(actions.get(SIGUSR1).handler).toBe(SIG_DFL);
    expect(actions.get(SIGUSR2).handler).toBe(SIG_IGN);
  });

  it('throws away what is ignored by default, unless handled', () => {
    const actions = new SignalActions();
    expect(actions.ignores(SIGCHLD)).toBe(true);
    actions.set(SIGCHLD, { ...defaultAction, handler: 0x1000 });
    expect(actions.ignores(SIGCHLD)).toBe(false);
  });

  it('resets a one-shot handler', () => {
    const actions = new SignalActions();
    actions.set(SIGUSR1, { ...defaultAction, handler: 0x1000, flags: SA_RESETHAND });
    actions.resetOnDelivery(SIGUSR1);
    expect(actions.get(SIGUSR1).handler).toBe(SIG_DFL);
  });
});
