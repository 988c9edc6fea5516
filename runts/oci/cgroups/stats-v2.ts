// SPDX-License-Identifier: Apache-2.0
// Usage from cgroup v2, in v1's terms where `events` knows no others. cgroup-v2.rst
import { type ControlFiles, exact, parseFlat } from './control-files.ts';
import {
  type BlkioEntry,
  type CgroupStats,
  type Count,
  type HugetlbStats,
  noMemory,
  withoutZeros,
} from './stats.ts';

const NO_LIMIT: Count = 0xffff_ffff_ffff_ffffn;

export function statsV2(files: ControlFiles, hugepageSizes: readonly string[]): CgroupStats {
  return {
    cpu: cpu(files),
    cpuset: {
      cpu_exclusive: 0,
      mem_hardwall: 0,
      mem_exclusive: 0,
      memory_migrate: 0,
      memory_spread_page: 0,
      memory_spread_slab: 0,
      memory_pressure: 0,
      sched_load_balance: 0,
      sched_relax_domain_level: 0,
    },
    memory: memory(files),
    pids: withoutZeros({
      current: exact(files.read('pids.current') ?? '0'),
      limit: limitOf(files.read('pids.max') ?? 'max', 0),
    }),
    blkio: io(files.read('io.stat') ?? ''),
    hugetlb: Object.fromEntries(hugepageSizes.flatMap((size) => hugetlb(files, size))),
    intel_rdt: {},
    network_interfaces: null,
  };
}

function limitOf(text: string, none: Count): Count {
  return text === 'max' ? none : exact(text);
}

function cpu(files: ControlFiles): CgroupStats['cpu'] {
  const stat = parseFlat(files.read('cpu.stat'));
  const nanoseconds = (name: string): Count => {
    const micros = BigInt(stat.get(name) ?? 0);
    return exact(String(micros * 1000n));
  };
  return {
    usage: {
      ...withoutZeros({ total: nanoseconds('usage_usec') }),
      kernel: nanoseconds('system_usec'),
      user: nanoseconds('user_usec'),
    },
    throttling: withoutZeros({
      periods: stat.get('nr_periods') ?? 0,
      throttledPeriods: stat.get('nr_throttled') ?? 0,
      throttledTime: nanoseconds('throttled_usec'),
    }),
  };
}

function memory(files: ControlFiles): CgroupStats['memory'] {
  const raw = parseFlat(files.read('memory.stat'));
  const usage = exact(files.read('memory.current') ?? '0');
  const limit = limitOf(files.read('memory.max') ?? 'max', NO_LIMIT);
  const swapLimit = limitOf(files.read('memory.swap.max') ?? 'max', NO_LIMIT);
  const swapUsage = exact(files.read('memory.swap.current') ?? '0');
  // v1 counts memory and swap together, and so do those who read this.
  const isSwapUnlimited = swapLimit === NO_LIMIT || limit === NO_LIMIT;
  return {
    ...withoutZeros({ cache: raw.get('file') ?? 0 }),
    usage: {
      limit,
      ...withoutZeros({ usage, max: exact(files.read('memory.peak') ?? '0') }),
      failcnt: 0,
    },
    swap: {
      limit: isSwapUnlimited ? NO_LIMIT : sum(swapLimit, limit),
      ...withoutZeros({ usage: sum(swapUsage, usage) }),
      failcnt: 0,
    },
    kernel: noMemory,
    kernelTCP: noMemory,
    raw: Object.fromEntries(raw),
  };
}

function sum(left: Count, right: Count): Count {
  return exact(String(BigInt(left) + BigInt(right)));
}

const operations: readonly (readonly [key: string, kind: 'bytes' | 'count', op: string])[] = [
  ['rbytes', 'bytes', 'Read'],
  ['wbytes', 'bytes', 'Write'],
  ['dbytes', 'bytes', 'Discard'],
  ['rios', 'count', 'Read'],
  ['wios', 'count', 'Write'],
  ['dios', 'count', 'Discard'],
];

/** '8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0' */
function io(text: string): CgroupStats['blkio'] {
  const entries: Record<'bytes' | 'count', BlkioEntry[]> = { bytes: [], count: [] };
  for (const line of text.split('\n')) {
    const match = /^(\d+):(\d+) (.*)$/.exec(line);
    if (match === null) continue;
    const [, major = '0', minor = '0', rest = ''] = match;
    const values = new Map(rest.split(' ').map((word) => word.split('=') as [string, string]));
    for (const [key, kind, op] of operations) {
      const value = values.get(key);
      if (value === undefined) continue;
      entries[kind].push(
        withoutZeros({ major: exact(major), minor: exact(minor), op, value: exact(value) }),
      );
    }
  }
  return withoutZeros({
    ioServiceBytesRecursive: entries.bytes,
    ioServicedRecursive: entries.count,
  }) as CgroupStats['blkio'];
}

function hugetlb(files: ControlFiles, size: string): [string, HugetlbStats][] {
  const usage = files.read(`hugetlb.${size}.current`);
  if (usage === undefined) return [];
  const events = parseFlat(files.read(`hugetlb.${size}.events`));
  return [[size, { ...withoutZeros({ usage: exact(usage) }), failcnt: events.get('max') ?? 0 }]];
}
