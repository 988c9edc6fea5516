// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { weightOfShares } from './cgroups/resources-v2.ts';
import { foldUnified } from './fold-unified.ts';
import type { Resources } from './spec/types.ts';

const fold = (resources: Resources): Resources => foldUnified(resources, () => true);

describe('limits in the words of cgroup v2', () => {
  it('are those of the fields that say the same, and win over them', () => {
    const unified = {
      'memory.max': '90000000',
      'memory.low': '5000000',
      'memory.high': '80000000',
      'pids.max': '9\n',
      'cpu.max': '70000 50000',
      'cpuset.cpus': '0-1,3',
      'cpuset.mems': '0',
    };
    expect(fold({ unified, pids: { limit: 3 }, memory: { swap: -1 } })).toEqual({
      memory: { limit: 90_000_000, reservation: 5_000_000, swap: -1 },
      pids: { limit: 9 },
      cpu: { quota: 70_000, period: 50_000, cpus: '0-1,3', mems: '0' },
      unified: { 'memory.high': '80000000' },
    });
    expect(fold({ unified: { 'memory.max': 'max', 'cpu.max': 'max', 'pids.max': 'max' } })).toEqual(
      { memory: { limit: -1 }, cpu: { quota: -1 }, pids: { limit: -1 }, unified: {} },
    );
  });

  it('leave swap as much as it had', () => {
    const memory = { limit: 100, swap: 150 };
    expect(fold({ memory, unified: { 'memory.max': '300' } }).memory).toEqual({
      limit: 300,
      swap: 350,
    });
  });

  it('keep every weight', () => {
    for (let weight = 1; weight <= 10_000; weight++) {
      const { cpu } = fold({ unified: { 'cpu.weight': String(weight) } });
      expect(weightOfShares(Number(cpu?.shares))).toBe(weight);
    }
  });

  it('are left to the kernel where they are wrong, and to others where there is no v2', () => {
    const unified = {
      'memory.max': '1G',
      'pids.max': '0',
      'cpu.max': 'x 1',
      'cpu.weight': '0',
      'cpuset.cpus': 'all',
    };
    expect(fold({ unified })).toEqual({ unified });
    const other = { unified: { 'pids.max': '9' } };
    expect(foldUnified(other, () => false)).toBe(other);
  });
});
