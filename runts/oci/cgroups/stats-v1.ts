// SPDX-License-Identifier: Apache-2.0
// Usage from cgroup v1. cgroup-v1/{cpuacct,memory,blkio-controller,pids,hugetlb}.rst
import { type ControlFiles, exact, parseFlat } from './control-files.ts';
import {
  type BlkioEntry,
  type CgroupStats,
  type Count,
  type HugetlbStats,
  type MemoryEntry,
  noMemory,
  parseList,
  withoutZeros,
} from './stats.ts';

type Find = (controller: string) => ControlFiles | undefined;

export function statsV1(find: Find, hugepageSizes: readonly string[]): CgroupStats {
  return {
    cpu: cpu(find('cpu'), find('cpuacct')),
    cpuset: cpuset(find('cpuset')),
    memory: memory(find('memory')),
    pids: pids(find('pids')),
    blkio: blkio(find('blkio')),
    hugetlb: hugetlb(find('hugetlb'), hugepageSizes),
    intel_rdt: {},
    network_interfaces: null,
  };
}

/** Ticks of 1/100 s. */
const TICK_NS = 10_000_000;

function cpu(
  bandwidth: ControlFiles | undefined,
  accounting: ControlFiles | undefined,
): CgroupStats['cpu'] {
  const throttled = parseFlat(bandwidth?.read('cpu.stat'));
  const ticks = parseFlat(accounting?.read('cpuacct.stat'));
  const each = (accounting?.read('cpuacct.usage_percpu') ?? '').split(/\s+/).filter(Boolean);
  // 'cpu user system', then '0 4000000 0' a line.
  const all = (accounting?.read('cpuacct.usage_all') ?? '')
    .split('\n')
    .slice(1)
    .map((line) => line.split(' ').map(exact));
  return {
    usage: {
      ...withoutZeros({
        total: exact(accounting?.read('cpuacct.usage') ?? '0'),
        percpu: each.map(exact),
        percpu_kernel: all.map(([, , kernel]) => kernel ?? 0),
        percpu_user: all.map(([, user]) => user ?? 0),
      }),
      kernel: Number(ticks.get('system') ?? 0) * TICK_NS,
      user: Number(ticks.get('user') ?? 0) * TICK_NS,
    },
    throttling: withoutZeros({
      periods: throttled.get('nr_periods') ?? 0,
      throttledPeriods: throttled.get('nr_throttled') ?? 0,
      throttledTime: throttled.get('throttled_time') ?? 0,
    }),
  };
}

function cpuset(files: ControlFiles | undefined): CgroupStats['cpuset'] {
  const number = (name: string): Count => exact(files?.read(`cpuset.${name}`) ?? '0');
  return {
    ...withoutZeros({
      cpus: parseList(files?.read('cpuset.cpus') ?? ''),
      mems: parseList(files?.read('cpuset.mems') ?? ''),
    }),
    cpu_exclusive: number('cpu_exclusive'),
    mem_hardwall: number('mem_hardwall'),
    mem_exclusive: number('mem_exclusive'),
    memory_migrate: number('memory_migrate'),
    memory_spread_page: number('memory_spread_page'),
    memory_spread_slab: number('memory_spread_slab'),
    memory_pressure: number('memory_pressure'),
    sched_load_balance: number('sched_load_balance'),
    sched_relax_domain_level: number('sched_relax_domain_level'),
  };
}

function memory(files: ControlFiles | undefined): CgroupStats['memory'] {
  if (files === undefined)
    return { usage: noMemory, swap: noMemory, kernel: noMemory, kernelTCP: noMemory };
  const entry = (kind: string): MemoryEntry => {
    const number = (name: string): Count => exact(files.read(`memory.${kind}${name}`) ?? '0');
    return {
      limit: number('limit_in_bytes'),
      ...withoutZeros({ usage: number('usage_in_bytes'), max: number('max_usage_in_bytes') }),
      failcnt: number('failcnt'),
    };
  };
  const raw = parseFlat(files.read('memory.stat'));
  return {
    ...withoutZeros({ cache: raw.get('cache') ?? 0 }),
    usage: entry(''),
    swap: entry('memsw.'),
    kernel: entry('kmem.'),
    kernelTCP: entry('kmem.tcp.'),
    raw: Object.fromEntries(raw),
  };
}

function pids(files: ControlFiles | undefined): CgroupStats['pids'] {
  const limit = files?.read('pids.max') ?? 'max';
  return withoutZeros({
    current: exact(files?.read('pids.current') ?? '0'),
    limit: limit === 'max' ? 0 : exact(limit),
  });
}

/** BFQ's files where it keeps them, else those of throttling. */
function blkio(files: ControlFiles | undefined): CgroupStats['blkio'] {
  if (files === undefined) return {};
  const first = (...names: readonly string[]): BlkioEntry[] => {
    for (const name of names) {
      const entries = blkioEntries(files.read(`blkio.${name}`) ?? '');
      if (entries.length > 0) return entries;
    }
    return [];
  };
  return withoutZeros({
    ioServiceBytesRecursive: first(
      'bfq.io_service_bytes_recursive',
      'io_service_bytes_recursive',
      'throttle.io_service_bytes_recursive',
      'throttle.io_service_bytes',
    ),
    ioServicedRecursive: first(
      'bfq.io_serviced_recursive',
      'io_serviced_recursive',
      'throttle.io_serviced_recursive',
      'throttle.io_serviced',
    ),
    ioQueueRecursive: first('bfq.io_queued_recursive', 'io_queued_recursive'),
    ioServiceTimeRecursive: first('bfq.io_service_time_recursive', 'io_service_time_recursive'),
    ioWaitTimeRecursive: first('bfq.io_wait_time_recursive', 'io_wait_time_recursive'),
    ioMergedRecursive: first('bfq.io_merged_recursive', 'io_merged_recursive'),
    ioTimeRecursive: first('bfq.time_recursive', 'time_recursive'),
    sectorsRecursive: first('bfq.sectors_recursive', 'sectors_recursive'),
  }) as CgroupStats['blkio'];
}

/** '8:0 Read 4096', or without the word; the sum at the end, 'Total 0', belongs to no device. */
function blkioEntries(text: string): BlkioEntry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+)(?: (\w+))? (\d+)$/.exec(line.trim());
    if (match === null) return [];
    const [, major = '0', minor = '0', op = '', value = '0'] = match;
    return [withoutZeros({ major: exact(major), minor: exact(minor), op, value: exact(value) })];
  });
}

function hugetlb(
  files: ControlFiles | undefined,
  sizes: readonly string[],
): CgroupStats['hugetlb'] {
  if (files === undefined) return {};
  const entry = (size: string): [string, HugetlbStats][] => {
    // Reserved pages are counted apart since Linux 5.7.
    const prefix = [`hugetlb.${size}.rsvd`, `hugetlb.${size}`].find((name) =>
      files.has(`${name}.usage_in_bytes`),
    );
    if (prefix === undefined) return [];
    const number = (name: string): Count => exact(files.read(`${prefix}.${name}`) ?? '0');
    return [
      [
        size,
        {
          ...withoutZeros({ usage: number('usage_in_bytes'), max: number('max_usage_in_bytes') }),
          failcnt: number('failcnt'),
        },
      ],
    ];
  };
  return Object.fromEntries(sizes.flatMap(entry));
}
