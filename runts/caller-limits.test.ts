// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { limitsOf } from './caller-limits.ts';

const head = 'Limit                     Soft Limit           Hard Limit           Units     \n';
const row = (name: string, soft: string, hard: string): string =>
  `${name.padEnd(26)}${soft.padEnd(21)}${hard.padEnd(21)}x\n`;

it('reads rows in the order of RLIMIT_*', () => {
  const text =
    head +
    row('Max cpu time', 'unlimited', 'unlimited') +
    row('Max file size', '4096', 'unlimited') +
    row('Max data size', '0', '0');
  expect(limitsOf(text, undefined)).toEqual([
    [0, null, null],
    [1, 4096, null],
    [2, 0, 0],
  ]);
});

it('knows all sixteen of this kernel', () => {
  const limits = limitsOf(readFileSync('/proc/self/limits', 'latin1'), undefined);
  expect(limits.map(([resource]) => resource)).toEqual(Array.from({ length: 16 }, (_, n) => n));
});

it('takes the soft limit of descriptors from before Node raised it, and bounds both', () => {
  const rows = (soft: string, hard: string): string =>
    head + row('Max x', '1', '1').repeat(7) + row('Max open files', soft, hard);
  expect(limitsOf(rows('20000', '20000'), 256)[7]).toEqual([7, 256, 20000]);
  expect(limitsOf(rows('20000', '20000'), undefined)[7]).toEqual([7, 20000, 20000]);
  expect(limitsOf(rows('2000000', '2000000'), undefined)[7]).toEqual([7, 1048576, 1048576]);
});
