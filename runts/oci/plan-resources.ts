// SPDX-License-Identifier: Apache-2.0
// What of a container's limits goes to the host's cgroup, where runts' own processes are too.
import type { LimitsConfig } from '../../protocol/boot-config.ts';
import { Failure } from '../failure.ts';
import type { MemoryResources, Resources } from './spec/types.ts';

/**
 * Threads of a front, a launcher, a Sentry and a Gofer. The Sentry counts the guest's own
 * (`pidLimit`), so that a limit of ten is one of ten.
 */
const OWN_TASKS = 64;

const MIB = 1024 * 1024;
/** The memory that Sentry and Gofer need; they have about 28 MiB when the first program starts. */
const OWN_MEMORY = 32 * MIB;
/**
 * Limits from here on are the cgroup's as they are; and below the other, in which no program runs.
 * Docker's least is 6 MiB.
 */
const SMALL_MEMORY = 44 * MIB;
const SMALLEST_MEMORY = 4 * MIB;

/**
 * A limit that leaves a guest little or nothing beside the sandbox: the cgroup gets a higher one,
 * and the Sentry holds the guest to what was asked for (kernel/memory-guard.ts).
 */
export function hasRaisedMemory(limit: number): boolean {
  return limit >= SMALLEST_MEMORY && limit < SMALL_MEMORY;
}

/** Refuses a limit that no container could be made in, before anything is made. */
export function checkMemoryLimit({ memory }: Resources): void {
  const limit = Number(memory?.limit ?? 0);
  if (limit > 0 && limit < SMALLEST_MEMORY)
    throw new Failure(
      'RUNTS_E_MEMORY_TOO_SMALL',
      `linux.resources.memory.limit: ${limit} bytes are too few: at least ${SMALLEST_MEMORY} are needed`,
    );
}

/** Never falls with a rising limit. */
function hostMemory(memory: MemoryResources): MemoryResources {
  const limit = Number(memory.limit ?? 0);
  if (!hasRaisedMemory(limit)) return memory;
  const raised = Math.min(SMALL_MEMORY, limit + OWN_MEMORY);
  const swap = Number(memory.swap ?? 0);
  return { ...memory, limit: raised, ...(swap > 0 ? { swap: swap + raised - limit } : {}) };
}

export function hostResources(resources: Resources): Resources {
  const { memory, pids } = resources;
  const tasks = Number(pids?.limit ?? 0);
  return {
    ...resources,
    ...(memory === undefined ? {} : { memory: hostMemory(memory) }),
    ...(tasks <= 0 ? {} : { pids: { limit: tasks + OWN_TASKS } }),
  };
}

/**
 * Returns the limits that the guest sees. Where no limit is asked for, the guest sees the earlier
 * one.
 */
export function guestLimits({ memory, pids, cpu }: Resources): LimitsConfig {
  const set = (name: keyof LimitsConfig, value: number | bigint | undefined): LimitsConfig => {
    const number = Number(value ?? 0);
    return number === 0 ? {} : { [name]: Math.max(0, number) };
  };
  return {
    ...set('memoryBytes', memory?.limit),
    ...set('pidLimit', pids?.limit),
    ...set('cpuQuotaUs', cpu?.quota),
    ...set('cpuPeriodUs', cpu?.period),
    ...set('cpuShares', cpu?.shares),
  };
}
