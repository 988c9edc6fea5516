// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MemoryAccount } from './memory-account.ts';

describe('MemoryAccount', () => {
  it('is charged with what is charged below, and refuses for each of the accounts', () => {
    const sandbox = new MemoryAccount(undefined, { limitBytes: 100 });
    const one = new MemoryAccount(sandbox, { limitBytes: 60 });
    const other = new MemoryAccount(sandbox);
    expect(one.charge(60)).toBe(true);
    expect(one.charge(1)).toBe(false);
    expect(other.charge(41)).toBe(false);
    expect(other.charge(40)).toBe(true);
    expect(sandbox.usedBytes).toBe(100);
    one.uncharge(10);
    expect(sandbox.usedBytes).toBe(90);
    expect(one.usedBytes).toBe(50);
  });

  it('takes what is there already, and refuses more until that is gone', () => {
    const account = new MemoryAccount(undefined, { limitBytes: 10 });
    account.force(15);
    expect(account.hasRoom(0)).toBe(false);
    account.uncharge(6);
    expect(account.charge(1)).toBe(true);
    expect(account.charge(1)).toBe(false);
  });

  it('counts what the host holds besides', () => {
    const account = new MemoryAccount(undefined, { limitBytes: 10 });
    account.outsideBytes = 8;
    expect(account.charge(3)).toBe(false);
    expect(account.charge(2)).toBe(true);
    expect(account.usedBytes).toBe(2);
    expect(account.hasRoomBesideGuests(8)).toBe(true);
    expect(account.hasRoomBesideGuests(9)).toBe(false);
  });

  it('holds objects to a limit of their own, and pages not', () => {
    const sandbox = new MemoryAccount(undefined, { limitBytes: 100, objectLimitBytes: 20 });
    const account = new MemoryAccount(sandbox);
    expect(account.chargePages(50)).toBe(true);
    expect(account.charge(21)).toBe(false);
    expect(account.charge(20)).toBe(true);
    expect(account.chargePages(30)).toBe(true);
    expect(account.chargePages(1)).toBe(false);
    expect(sandbox.pageBytes).toBe(80);
    expect(sandbox.usedBytes).toBe(100);
  });

  it('gives everything back at its end, and what comes later is no business of the accounts above', () => {
    const sandbox = new MemoryAccount();
    const account = new MemoryAccount(sandbox);
    account.force(7);
    account.forcePages(4096);
    account.close();
    expect([sandbox.usedBytes, sandbox.pageBytes]).toEqual([0, 0]);
    account.unchargePages(4096);
    expect([sandbox.usedBytes, sandbox.pageBytes]).toEqual([0, 0]);
  });

  it('settles what guests can fill, wherever it hangs', () => {
    const sandbox = new MemoryAccount();
    const account = new MemoryAccount(new MemoryAccount(sandbox));
    let settled = 0;
    const memory = {
      settle: (): void => {
        settled += 1;
      },
    };
    account.watch(memory);
    sandbox.settleUnseen();
    account.unwatch(memory);
    sandbox.settleUnseen();
    expect(settled).toBe(1);
  });
});
