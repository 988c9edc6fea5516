// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import type { PendingClone } from './clones.ts';
import { Strangers } from './strangers.ts';

const clone = (kind: 'process' | 'thread'): PendingClone => ({ kind }) as PendingClone;

function setUp(unknown: number[]): { strangers: Strangers; killed: number[] } {
  const killed: number[] = [];
  const strangers = new Strangers({
    unknownChildren: () => [...unknown],
    killUnknown: (pids) => killed.push(...pids),
  });
  return { strangers, killed };
}

it('kills at once when no fork is under way', () => {
  const { strangers, killed } = setUp([7]);
  strangers.suspect([clone('thread')]);
  expect(killed).toEqual([7]);
});

it('waits for the forks of that time, not for later ones', () => {
  const { strangers, killed } = setUp([7, 8]);
  const [first, second] = [clone('process'), clone('process')];
  strangers.suspect([first, second]);
  strangers.settled(first);
  strangers.settled(clone('process'));
  expect(killed).toEqual([]);
  strangers.settled(second);
  expect(killed).toEqual([7, 8]);
  strangers.settled(second);
  expect(killed).toEqual([7, 8]);
});
