// SPDX-License-Identifier: Apache-2.0
// linux.resources → files of cgroup v2, with the conversions that runc has for values that are meant for v1.
// Documentation/admin-guide/cgroup-v2.rst
import { Failure } from '../../failure.ts';
import type {
  BlockIoResources,
  CpuResources,
  HugepageLimit,
  MemoryResources,
  Resources,
} from '../spec/types.ts';
import { isAsked, isNumberAsked } from './asked.ts';
import { ControlFailure, type ControlFiles, isErrnoOf } from './control-files.ts';
import { writeCpuBandwidth } from './cpu-bandwidth.ts';
import { writeRdma } from './resources-v1.ts';

export function writeResourcesV2(files: ControlFiles, resources: Resources): void {
  const { memory, cpu, pids, blockIO, hugepageLimits = [], rdma, unified = {} } = resources;
  if (isNumberAsked(pids?.limit)) write(files, 'pids.max', limitText(pids.limit));
  if (memory !== undefined) writeMemory(files, memory);
  if (blockIO !== undefined) writeIo(files, blockIO);
  if (cpu !== undefined) writeCpu(files, cpu);
  writeHugepages(files, hugepageLimits);
  if (rdma !== undefined) writeRdma(files, rdma);
  writeUnified(files, unified);
}

/** 2..262144 → 1..10000, runc's straight line. */
export function weightOfShares(shares: number): number {
  if (shares === 0) return 0;
  const clamped = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor(((clamped - 2) * 9999) / 262_142);
}

/** The least shares that make this weight. */
export function sharesOfWeight(weight: number): number {
  return 2 + Math.ceil(((weight - 1) * 262_142) / 9999);
}

/** 10..1000 → 1..10000. */
export function ioWeightOf(blockIoWeight: number): number {
  if (blockIoWeight === 0) return 0;
  return 1 + Math.floor(((Math.max(blockIoWeight, 10) - 10) * 9999) / 990);
}

/** v1 counts memory and swap together, v2 swap alone. Empty: nothing to write. */
export function swapLimit(memory: MemoryResources): string {
  const { swap, limit } = memory;
  // Memory without a limit means swap without one.
  if (Number(limit) === -1 && !isNumberAsked(swap)) return 'max';
  if (!isNumberAsked(swap)) return '';
  if (Number(swap) === -1) return 'max';
  if (Number(limit) === -1)
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      'memory.swap: a limit of swap needs a limit of memory',
    );
  if (!isNumberAsked(limit))
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      'memory.swap: unable to set swap limit without memory limit',
    );
  if (Number(limit) < 0 || Number(swap) < 0)
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      `memory.swap: invalid value ${swap} with limit ${limit}`,
    );
  if (BigInt(swap) < BigInt(limit))
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      'memory.swap: memory+swap limit should be >= memory limit',
    );
  return String(BigInt(swap) - BigInt(limit));
}

/** Where the controller has not been handed down, there is no file. */
function write(files: ControlFiles, file: string, value: string): void {
  try {
    files.write(file, value);
  } catch (error) {
    if (!isErrnoOf(error, 'ENOENT')) throw error;
    const controller = file.slice(0, file.indexOf('.'));
    throw new Failure(
      'RUNTS_E_CGROUP_CONTROLLER',
      `cannot set ${file}: the controller ${controller} is not available in ${files.path}`,
    );
  }
}

function limitText(limit: number | bigint): string {
  return Number(limit) < 0 ? 'max' : String(limit);
}

function writeMemory(files: ControlFiles, memory: MemoryResources): void {
  checkUsage(files, memory);
  const swap = swapLimit(memory);
  if (swap !== '') writeSwap(files, swap);
  if (isNumberAsked(memory.limit)) write(files, 'memory.max', limitText(memory.limit));
  if (isNumberAsked(memory.reservation)) write(files, 'memory.low', limitText(memory.reservation));
}

/** Without swap in the kernel there is nothing to limit; but some limit was asked for then. */
function writeSwap(files: ControlFiles, swap: string): void {
  const isMoot = (swap === 'max' || swap === '0') && !files.has('memory.swap.max');
  if (!isMoot) write(files, 'memory.swap.max', swap);
}

function checkUsage(files: ControlFiles, { limit, checkBeforeUpdate }: MemoryResources): void {
  if (checkBeforeUpdate !== true || limit === undefined || Number(limit) <= 0) return;
  const usage = Number(files.read('memory.current') ?? 0);
  if (usage > Number(limit))
    throw new Failure(
      'RUNTS_E_CGROUP_LIMIT',
      `rejecting memory limit ${limit}: the current usage ${usage} is more than that`,
    );
}

function writeCpu(files: ControlFiles, cpu: CpuResources): void {
  if (cpu.idle !== undefined) write(files, 'cpu.idle', String(cpu.idle));
  const weight = weightOfShares(Number(cpu.shares ?? 0));
  if (weight !== 0) write(files, 'cpu.weight', String(weight));
  writeCpuBandwidth(files, 'cpu.max.burst', cpu.burst, cpu.quota, () => {
    if (isNumberAsked(cpu.quota) || isNumberAsked(cpu.period)) writeQuota(files, cpu);
  });
  if (isAsked(cpu.cpus)) write(files, 'cpuset.cpus', cpu.cpus);
  if (isAsked(cpu.mems)) write(files, 'cpuset.mems', cpu.mems);
}

/** One file for both; what is not given stays. */
function writeQuota(files: ControlFiles, { quota, period }: CpuResources): void {
  const [oldQuota = 'max', oldPeriod = '100000'] = (files.read('cpu.max') ?? '').split(' ');
  const newQuota = isNumberAsked(quota) ? limitText(quota) : oldQuota || 'max';
  const newPeriod = isNumberAsked(period) ? String(period) : oldPeriod;
  write(files, 'cpu.max', `${newQuota} ${newPeriod}`);
}

function writeIo(files: ControlFiles, blockIO: BlockIoResources): void {
  const bfq = 'io.bfq.weight';
  const hasBfq = files.has(bfq);
  if (isNumberAsked(blockIO.weight)) {
    // BFQ's weights have v1's range.
    if (hasBfq) files.write(bfq, String(blockIO.weight));
    else write(files, 'io.weight', String(ioWeightOf(Number(blockIO.weight))));
  }
  for (const { major, minor, weight } of blockIO.weightDevice ?? []) {
    if (!isNumberAsked(weight)) continue;
    if (hasBfq) files.write(bfq, `${major}:${minor} ${weight}`);
    else write(files, 'io.weight', `${major}:${minor} ${ioWeightOf(Number(weight))}`);
  }
  const throttles = [
    ['rbps', blockIO.throttleReadBpsDevice],
    ['wbps', blockIO.throttleWriteBpsDevice],
    ['riops', blockIO.throttleReadIOPSDevice],
    ['wiops', blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [name, devices = []] of throttles)
    for (const { major, minor, rate } of devices)
      write(files, 'io.max', `${major}:${minor} ${name}=${Number(rate) === 0 ? 'max' : rate}`);
}

function writeHugepages(files: ControlFiles, limits: readonly HugepageLimit[]): void {
  for (const { pageSize, limit } of limits) {
    write(files, `hugetlb.${pageSize}.max`, String(limit));
    const reserved = `hugetlb.${pageSize}.rsvd.max`;
    if (files.has(reserved)) files.write(reserved, String(limit));
  }
}

/** Last, as they are meant literally and win over what was converted. */
function writeUnified(files: ControlFiles, unified: Readonly<Record<string, string>>): void {
  for (const [file, value] of Object.entries(unified)) {
    if (file.includes('/') || !/^[a-z]\w*(\.\w+)+$/i.test(file))
      throw new Failure(
        'RUNTS_E_CGROUP_LIMIT',
        `unified resource "${file}" must be a file name (no slashes)`,
      );
    // cgroup.procs, cgroup.freeze and the like are runts' own means.
    if (file.startsWith('cgroup.') && !file.startsWith('cgroup.max.'))
      throw new Failure(
        'RUNTS_E_CGROUP_LIMIT',
        `unified resource "${file}" is not a limit of a controller`,
      );
    try {
      files.write(file, value);
    } catch (error) {
      if (!(error instanceof ControlFailure) || !isErrnoOf(error, 'ENOENT', 'EACCES', 'EPERM'))
        throw error;
      const controller = file.slice(0, file.indexOf('.'));
      const isThere = (files.read('cgroup.controllers') ?? '').split(' ').includes(controller);
      if (isThere || controller === 'cgroup') throw error;
      throw new Failure(
        'RUNTS_E_CGROUP_CONTROLLER',
        `unified resource "${file}" can't be set: controller "${controller}" not available`,
      );
    }
  }
}
