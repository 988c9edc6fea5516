// SPDX-License-Identifier: Apache-2.0
// linux.resources → files of cgroup v1, with the order and the exceptions that runc has.
// Documentation/admin-guide/cgroup-v1/, config-linux.md of the runtime specification.
import { Failure } from '../../failure.ts';
import type {
  BlockIoResources,
  CpuResources,
  HugepageLimit,
  MemoryResources,
  NetworkResources,
  RdmaLimit,
  Resources,
  ThrottleDevice,
} from '../spec/types.ts';
import { isAsked, isNumberAsked } from './asked.ts';
import { type ControlFiles, isErrnoOf } from './control-files.ts';
import { writeCpuBandwidth } from './cpu-bandwidth.ts';
import { writeDeviceRules } from './device-rules.ts';

interface Setter {
  readonly controller: string;
  readonly isAsked: (resources: Resources) => boolean;
  readonly write: (files: ControlFiles, resources: Resources) => void;
}

const setters: readonly Setter[] = [
  {
    controller: 'cpuset',
    isAsked: ({ cpu }) => isAsked(cpu?.cpus) || isAsked(cpu?.mems),
    write: (files, { cpu }) => {
      if (isAsked(cpu?.cpus)) files.write('cpuset.cpus', cpu.cpus);
      if (isAsked(cpu?.mems)) files.write('cpuset.mems', cpu.mems);
    },
  },
  {
    controller: 'memory',
    isAsked: ({ memory = {} }) =>
      memory.disableOOMKiller === true ||
      memory.swappiness !== undefined ||
      [memory.limit, memory.swap, memory.reservation, memory.kernelTCP].some(isNumberAsked),
    write: (files, { memory = {} }) => {
      writeMemory(files, memory);
    },
  },
  {
    controller: 'cpu',
    isAsked: ({ cpu = {} }) =>
      cpu.idle !== undefined ||
      cpu.burst !== undefined ||
      [cpu.shares, cpu.quota, cpu.period, cpu.realtimeRuntime, cpu.realtimePeriod].some(
        isNumberAsked,
      ),
    write: (files, { cpu = {} }) => {
      writeCpu(files, cpu);
    },
  },
  {
    controller: 'pids',
    isAsked: ({ pids }) => isNumberAsked(pids?.limit),
    write: (files, { pids }) => {
      const limit = Number(pids?.limit);
      files.write('pids.max', limit > 0 ? String(limit) : 'max');
    },
  },
  {
    controller: 'blkio',
    isAsked: ({ blockIO = {} }) =>
      isNumberAsked(blockIO.weight) ||
      isNumberAsked(blockIO.leafWeight) ||
      Object.values(blockIO).some((value) => Array.isArray(value) && value.length > 0),
    write: (files, { blockIO = {} }) => {
      writeBlockIo(files, blockIO);
    },
  },
  {
    controller: 'hugetlb',
    isAsked: ({ hugepageLimits = [] }) => hugepageLimits.length > 0,
    write: (files, { hugepageLimits = [] }) => {
      writeHugepages(files, hugepageLimits);
    },
  },
  {
    controller: 'net_cls',
    isAsked: ({ network }) => isNumberAsked(network?.classID),
    write: (files, { network }) => {
      files.write('net_cls.classid', String(network?.classID));
    },
  },
  {
    controller: 'net_prio',
    isAsked: ({ network }) => (network?.priorities ?? []).length > 0,
    write: (files, { network }) => {
      writePriorities(files, network?.priorities ?? []);
    },
  },
  {
    controller: 'rdma',
    isAsked: ({ rdma = {} }) => Object.keys(rdma).length > 0,
    write: (files, { rdma = {} }) => {
      writeRdma(files, rdma);
    },
  },
];

/** `find` answers the cgroup of a controller, nothing where there is none. */
export function writeResourcesV1(
  find: (controller: string) => ControlFiles | undefined,
  resources: Resources,
): void {
  if (resources.unified !== undefined && Object.keys(resources.unified).length > 0)
    throw new Failure(
      'RUNTS_E_CGROUP_CONTROLLER',
      'invalid configuration: cannot use unified on cgroup v1',
    );
  for (const setter of setters) {
    if (!setter.isAsked(resources)) continue;
    const files = find(setter.controller);
    if (files === undefined)
      throw new Failure(
        'RUNTS_E_CGROUP_CONTROLLER',
        `cannot set ${setter.controller} limit: container could not join or create cgroup`,
      );
    setter.write(files, resources);
  }
}

/** Separate, as `update` leaves them alone. */
export function writeDevicesV1(
  find: (controller: string) => ControlFiles | undefined,
  resources: Resources,
): void {
  const files = find('devices');
  if (files !== undefined) writeDeviceRules(files, resources.devices ?? []);
}

function writeMemory(files: ControlFiles, memory: MemoryResources): void {
  const { swappiness } = memory;
  if (swappiness !== undefined && (Number(swappiness) < 0 || Number(swappiness) > 100))
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      `invalid memory swappiness value: ${swappiness} (valid range is 0-100)`,
    );
  writeMemoryAndSwap(files, memory);
  if (isNumberAsked(memory.reservation))
    files.write('memory.soft_limit_in_bytes', String(memory.reservation));
  if (isNumberAsked(memory.kernelTCP))
    files.write('memory.kmem.tcp.limit_in_bytes', String(memory.kernelTCP));
  if (memory.disableOOMKiller === true) files.write('memory.oom_control', '1');
  if (swappiness !== undefined) files.write('memory.swappiness', String(swappiness));
}

const MEMORY = 'memory.limit_in_bytes';
const MEMORY_AND_SWAP = 'memory.memsw.limit_in_bytes';

/** The kernel wants memory <= memory + swap after each single write. */
function writeMemoryAndSwap(files: ControlFiles, memory: MemoryResources): void {
  const limit = memory.limit ?? 0;
  // Memory without a limit means swap without one, where swap is counted at all.
  const isUnlimited = Number(limit) === -1 && !isNumberAsked(memory.swap);
  const swap = isUnlimited && files.has(MEMORY_AND_SWAP) ? -1 : (memory.swap ?? 0);
  const writeLimit = (): void => {
    if (isNumberAsked(limit)) writeLimitInBytes(files, limit);
  };
  const writeSwap = (): void => {
    if (isNumberAsked(swap)) files.write(MEMORY_AND_SWAP, String(swap));
  };
  const grows = Number(swap) === -1 || Number(files.read(MEMORY) ?? 0) < Number(swap);
  const order = isNumberAsked(swap) && grows ? [writeSwap, writeLimit] : [writeLimit, writeSwap];
  for (const step of order) step();
}

function writeLimitInBytes(files: ControlFiles, limit: number | bigint): void {
  try {
    files.write(MEMORY, String(limit));
  } catch (error) {
    if (!isErrnoOf(error, 'EBUSY')) throw error;
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      `unable to set memory limit to ${limit} (current usage: ${files.read('memory.usage_in_bytes')}, ` +
        `peak usage: ${files.read('memory.max_usage_in_bytes')})`,
    );
  }
}

function writeCpu(files: ControlFiles, cpu: CpuResources): void {
  if (isNumberAsked(cpu.realtimePeriod))
    files.write('cpu.rt_period_us', String(cpu.realtimePeriod));
  if (isNumberAsked(cpu.realtimeRuntime))
    files.write('cpu.rt_runtime_us', String(cpu.realtimeRuntime));
  if (isNumberAsked(cpu.shares)) writeShares(files, Number(cpu.shares));
  writeCpuBandwidth(files, 'cpu.cfs_burst_us', cpu.burst, cpu.quota, () => {
    writePeriodAndQuota(files, cpu);
  });
  if (cpu.idle !== undefined) files.write('cpu.idle', String(cpu.idle));
}

function writeShares(files: ControlFiles, shares: number): void {
  files.write('cpu.shares', String(shares));
  // The kernel takes every number and clamps it.
  const taken = Number(files.read('cpu.shares'));
  if (shares > taken)
    throw new Failure('RUNTS_E_CGROUP_LIMIT', `the maximum allowed cpu-shares is ${taken}`);
  if (shares < taken)
    throw new Failure('RUNTS_E_CGROUP_LIMIT', `the minimum allowed cpu-shares is ${taken}`);
}

/** A shorter period with the old quota may be more than the parent has: then it goes after the quota. */
function writePeriodAndQuota(files: ControlFiles, { period, quota }: CpuResources): void {
  let isPeriodDue = isNumberAsked(period);
  if (isPeriodDue) {
    try {
      files.write('cpu.cfs_period_us', String(period));
      isPeriodDue = false;
    } catch (error) {
      if (!isErrnoOf(error, 'EINVAL') || !isNumberAsked(quota)) throw error;
    }
  }
  if (isNumberAsked(quota)) files.write('cpu.cfs_quota_us', String(quota));
  if (isPeriodDue) files.write('cpu.cfs_period_us', String(period));
}

function writeBlockIo(files: ControlFiles, blockIO: BlockIoResources): void {
  // The BFQ scheduler's files have its name in v1.
  const prefix = files.has('blkio.weight') ? 'blkio' : 'blkio.bfq';
  if (isNumberAsked(blockIO.weight)) files.write(`${prefix}.weight`, String(blockIO.weight));
  if (isNumberAsked(blockIO.leafWeight))
    files.write('blkio.leaf_weight', String(blockIO.leafWeight));
  for (const { major, minor, weight, leafWeight } of blockIO.weightDevice ?? []) {
    if (isNumberAsked(weight))
      files.write(`${prefix}.weight_device`, `${major}:${minor} ${weight}`);
    if (isNumberAsked(leafWeight))
      files.write('blkio.leaf_weight_device', `${major}:${minor} ${leafWeight}`);
  }
  const throttles: readonly (readonly [string, readonly ThrottleDevice[] | undefined])[] = [
    ['blkio.throttle.read_bps_device', blockIO.throttleReadBpsDevice],
    ['blkio.throttle.write_bps_device', blockIO.throttleWriteBpsDevice],
    ['blkio.throttle.read_iops_device', blockIO.throttleReadIOPSDevice],
    ['blkio.throttle.write_iops_device', blockIO.throttleWriteIOPSDevice],
  ];
  for (const [file, devices = []] of throttles)
    for (const { major, minor, rate } of devices) files.write(file, `${major}:${minor} ${rate}`);
}

function writeHugepages(files: ControlFiles, limits: readonly HugepageLimit[]): void {
  for (const { pageSize, limit } of limits) {
    files.write(`hugetlb.${pageSize}.limit_in_bytes`, String(limit));
    // Reserved pages too, since Linux 5.7.
    const reserved = `hugetlb.${pageSize}.rsvd.limit_in_bytes`;
    if (files.has(reserved)) files.write(reserved, String(limit));
  }
}

function writePriorities(
  files: ControlFiles,
  priorities: NonNullable<NetworkResources['priorities']>,
): void {
  for (const { name, priority } of priorities)
    files.write('net_prio.ifpriomap', `${name} ${priority}`);
}

/** The same file in both versions. */
export function writeRdma(files: ControlFiles, limits: Readonly<Record<string, RdmaLimit>>): void {
  for (const [device, { hcaHandles, hcaObjects }] of Object.entries(limits)) {
    const handles = hcaHandles === undefined ? '' : ` hca_handle=${hcaHandles}`;
    const objects = hcaObjects === undefined ? '' : ` hca_object=${hcaObjects}`;
    files.write('rdma.max', `${device}${handles}${objects}`);
  }
}
