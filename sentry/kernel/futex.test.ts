// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { EFAULT, EINVAL } from '../../abi/errno.ts';
import { CountingWaker } from '../../test/support/fake-task.ts';
import type { MemoryManager } from '../mm/memory-manager.ts';
import { FutexTable, FutexWaiter } from './futex.ts';

const ANY = 0xffffffff;

function waiterOn(table: FutexTable, key: string, bitset = ANY): FutexWaiter {
  const waiter = new FutexWaiter(key, 4096, bitset, undefined);
  waiter.waker = new CountingWaker();
  table.add(waiter);
  return waiter;
}

const woken = (...waiters: FutexWaiter[]): boolean[] => waiters.map((waiter) => waiter.woken);

describe('FutexTable', () => {
  it('wakes the oldest first, as many as asked for', () => {
    const table = new FutexTable();
    const waiters = [1, 2, 3].map(() => waiterOn(table, 'a'));
    expect(table.wake('a', 2, ANY)).toBe(2);
    expect(woken(...waiters)).toEqual([true, true, false]);
    expect(table.wake('a', 0, ANY)).toBe(0);
    expect(table.wake('b', 9, ANY)).toBe(0);
  });

  it('passes over waiters whose bits do not meet', () => {
    const table = new FutexTable();
    const odd = waiterOn(table, 'a', 1);
    const even = waiterOn(table, 'a', 2);
    expect(table.wake('a', 9, 2)).toBe(1);
    expect(woken(odd, even)).toEqual([false, true]);
  });

  it('moves waiters behind those of the other queue, from where they can leave', () => {
    const table = new FutexTable();
    const [first, second] = [waiterOn(table, 'a'), waiterOn(table, 'a')];
    const there = waiterOn(table, 'b');
    expect(table.requeue('a', 'b', 1, 8192)).toBe(1);
    expect(table.wake('b', 1, ANY)).toBe(1);
    expect(woken(first, second, there)).toEqual([false, false, true]);
    table.remove(first);
    expect(table.wake('b', 1, ANY)).toBe(0);
    expect(table.wake('a', 1, ANY)).toBe(1);
  });

  it('names private words by memory, shared ones by what is mapped', () => {
    const table = new FutexTable();
    const mm = {
      id: 4,
      addressLimit: 2 ** 47,
      sharedKey: (addr: number) => (addr === 64 ? 'file:0' : undefined),
      vmaAt: (addr: number) => (addr < 4096 ? {} : undefined),
    } as unknown as MemoryManager;
    expect(table.key(mm, 64, true)).not.toBe(table.key(mm, 64, false));
    expect(table.key(mm, 128, true)).toBe(table.key(mm, 128, false));
    expect([table.key(mm, 66, true), table.key(mm, 2 ** 47, true)]).toEqual([EINVAL, EFAULT]);
    expect(table.key(mm, 4096, false)).toBe(EFAULT);
  });
});
