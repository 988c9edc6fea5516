// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { hexadecimal } from './hexadecimal.ts';
import { IdPool } from './id-pool.ts';

test('the lowest free number is given', () => {
  const pool = new IdPool();
  expect([pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 2]);
  pool.release(1);
  pool.release(0);
  pool.release(7);
  expect([pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 3]);
});

test('64 bits in hexadecimal digits', () => {
  expect(hexadecimal(0, 0)).toBe('0');
  expect(hexadecimal(0, 0xffff_ffff)).toBe('ffffffff');
  expect(hexadecimal(0x12, 0x345)).toBe('1200000345');
});
