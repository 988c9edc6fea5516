// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { NamespaceNumbers } from './namespace-numbers.ts';

test('each type has numbers of its own, that of the initial namespace first where it is made as others are', () => {
  const numbers = new NamespaceNumbers();
  expect([numbers.next('pid'), numbers.next('pid'), numbers.next('pid')]).toEqual([
    0xeffffffc, 0xf1000002, 0xf1000003,
  ]);
  expect([numbers.next('uts'), numbers.next('ipc')]).toEqual([0xeffffffe, 0xefffffff]);
  expect([numbers.next('mnt'), numbers.next('time')]).toEqual([0xf0000001, 0xf4000001]);
  expect(new NamespaceNumbers().next('pid')).toBe(0xeffffffc);
});
