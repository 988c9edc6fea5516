// SPDX-License-Identifier: Apache-2.0
// Limits that hang together. An update names some of them only, and the other one is needed to
// write it: swap of v2 is what is left when memory is taken away; a quota is for a period.
import type { CpuResources, MemoryResources, Resources } from '../spec/types.ts';
import { isNumberAsked } from './asked.ts';

export interface Limits {
  readonly memory?: number;
  readonly swap?: number;
  readonly quota?: number;
  readonly period?: number;
}

/** The limits now in force, which `resources` has changed. */
export function limitsOf(resources: Resources, before: Limits = {}): Limits {
  const { memory = {}, cpu = {} } = resources;
  return {
    ...before,
    ...(isNumberAsked(memory.limit) ? { memory: Number(memory.limit) } : {}),
    ...(isNumberAsked(memory.swap) ? { swap: Number(memory.swap) } : {}),
    ...(isNumberAsked(cpu.quota) ? { quota: Number(cpu.quota) } : {}),
    ...(isNumberAsked(cpu.period) ? { period: Number(cpu.period) } : {}),
  };
}

/** The resources with the partners of those that are given. */
export function mergeLimits(before: Limits, resources: Resources): Resources {
  const { memory, cpu } = resources;
  return {
    ...resources,
    ...(memory === undefined ? {} : { memory: mergeMemory(before, memory) }),
    ...(cpu === undefined ? {} : { cpu: mergeCpu(before, cpu) }),
  };
}

function mergeMemory(before: Limits, memory: MemoryResources): MemoryResources {
  const hasLimit = isNumberAsked(memory.limit);
  const hasSwap = isNumberAsked(memory.swap);
  // No limit of memory is no limit of swap.
  if (hasLimit && !hasSwap && before.swap !== undefined && Number(memory.limit) !== -1)
    return { ...memory, swap: before.swap };
  if (hasSwap && !hasLimit && before.memory !== undefined)
    return { ...memory, limit: before.memory };
  return memory;
}

function mergeCpu(before: Limits, cpu: CpuResources): CpuResources {
  const hasQuota = isNumberAsked(cpu.quota);
  const hasPeriod = isNumberAsked(cpu.period);
  if (hasQuota && !hasPeriod && before.period !== undefined)
    return { ...cpu, period: before.period };
  if (hasPeriod && !hasQuota && before.quota !== undefined) return { ...cpu, quota: before.quota };
  return cpu;
}
