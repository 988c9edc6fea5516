// SPDX-License-Identifier: Apache-2.0
// linux.resources.unified → the fields that say the same, so that a limit given in cgroup v2's own
// words is treated as any other: told to the guest and to systemd, and with room for runts' own
// threads and memory in the host's cgroup. What has no such field stays. config-linux.md "Unified";
// Documentation/admin-guide/cgroup-v2.rst
import { discoverLayout } from './cgroups/layout.ts';
import { sharesOfWeight } from './cgroups/resources-v2.ts';
import type { CpuResources, MemoryResources, Resources } from './spec/types.ts';

/** On hosts without v2 the map stays as it is, and is refused where it would be written. */
export function foldUnified(
  resources: Resources,
  isV2: () => boolean = () => discoverLayout().kind === 'v2',
): Resources {
  const { unified = {} } = resources;
  if (Object.keys(unified).length === 0 || !isV2()) return resources;
  const rest = { ...unified };
  let folded = resources;
  for (const [file, fold] of Object.entries(folds)) {
    const value = rest[file]?.trim();
    const next = value === undefined ? undefined : fold(folded, value);
    if (next === undefined) continue;
    folded = next;
    delete rest[file];
  }
  return { ...folded, unified: rest };
}

/** Undefined: left to the kernel, which has the last word on what is wrong with it. */
type Fold = (resources: Resources, value: string) => Resources | undefined;

const folds: Readonly<Record<string, Fold>> = {
  'memory.max': (resources, value) => {
    const limit = limitOf(value);
    return limit === undefined ? undefined : withMemory(resources, withLimit(resources, limit));
  },
  'memory.low': (resources, value) => {
    const reservation = limitOf(value);
    return reservation === undefined ? undefined : withMemory(resources, { reservation });
  },
  'pids.max': (resources, value) => {
    const limit = limitOf(value);
    return limit === undefined ? undefined : { ...resources, pids: { limit } };
  },
  'cpu.max': (resources, value) => {
    const [, quota, period] = /^(max|\d+)(?: (\d+))?$/.exec(value) ?? [];
    const number = quota === undefined ? undefined : limitOf(quota);
    if (number === undefined) return undefined;
    return withCpu(resources, {
      quota: number,
      ...(period === undefined ? {} : { period: Number(period) }),
    });
  },
  'cpu.weight': (resources, value) => {
    const weight = /^\d{1,5}$/.test(value) ? Number(value) : 0;
    if (weight < 1 || weight > 10_000) return undefined;
    return withCpu(resources, { shares: sharesOfWeight(weight) });
  },
  'cpuset.cpus': (resources, cpus) =>
    isList(cpus) ? withCpu(resources, { cpus: cpus }) : undefined,
  'cpuset.mems': (resources, mems) =>
    isList(mems) ? withCpu(resources, { mems: mems }) : undefined,
};

/** -1 is no limit. 0 is for a field "not set", and a real limit in v2: it cannot be folded. */
function limitOf(value: string): number | undefined {
  if (value === 'max') return -1;
  if (!/^\d+$/.test(value)) return undefined;
  const number = Number(value);
  return number > 0 && Number.isSafeInteger(number) ? number : undefined;
}

const isList = (value: string): boolean => /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/.test(value);

/**
 * Sets the limit of memory. The amount of swap stays as it was, so memory and swap together change
 * by as much.
 */
function withLimit({ memory = {} }: Resources, limit: number): MemoryResources {
  const swap = Number(memory.swap ?? 0);
  const before = Number(memory.limit ?? 0);
  if (swap <= 0 || before <= 0) return { limit };
  return { limit, swap: limit < 0 ? -1 : swap - before + limit };
}

function withMemory(resources: Resources, memory: MemoryResources): Resources {
  return { ...resources, memory: { ...resources.memory, ...memory } };
}

function withCpu(resources: Resources, cpu: CpuResources): Resources {
  return { ...resources, cpu: { ...resources.cpu, ...cpu } };
}
