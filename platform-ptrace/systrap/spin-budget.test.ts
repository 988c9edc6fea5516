// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { SpinBudget } from './spin-budget.ts';

const feed = (budget: SpinBudget, count: number, late: boolean): void => {
  for (let i = 0; i < count; i++) budget.note(late);
};

it('stays while answers come in time, goes to nothing when they do not', () => {
  const budget = new SpinBudget(2000);
  feed(budget, 1000, false);
  expect(budget.pauses).toBe(2000);
  feed(budget, 64 + 63, true);
  expect(budget.pauses).toBe(0);
});

it('tries again after a rest, carefully, and grows back', () => {
  const budget = new SpinBudget(2000);
  feed(budget, 64, true);
  feed(budget, 1023, true);
  expect(budget.pauses).toBe(0);
  budget.note(true);
  expect(budget.pauses).toBe(500);
  feed(budget, 64, false);
  expect(budget.pauses).toBe(1000);
  feed(budget, 64, false);
  expect(budget.pauses).toBe(2000);
});

it('rests longer after each failed try', () => {
  const budget = new SpinBudget(2000);
  feed(budget, 64 + 1024 + 64, true);
  expect(budget.pauses).toBe(0);
  feed(budget, 2047, true);
  expect(budget.pauses).toBe(0);
  budget.note(true);
  expect(budget.pauses).toBe(500);
});

it('on one processor nobody spins', () => {
  const budget = new SpinBudget(0);
  feed(budget, 100_000, false);
  expect(budget.pauses).toBe(0);
});
