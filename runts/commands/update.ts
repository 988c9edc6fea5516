// SPDX-License-Identifier: Apache-2.0
// `runts update`: other limits for a running container.
import { readFileSync } from 'node:fs';
import { describe, Failure } from '../failure.ts';
import { restoreCgroup } from '../oci/cgroups/cgroup.ts';
import type { OciContext } from '../oci/context.ts';
import { foldUnified } from '../oci/fold-unified.ts';
import type { CommandLog } from '../oci/log.ts';
import { guestLimits, hostResources } from '../oci/plan-resources.ts';
import { parseResources } from '../oci/spec/parse.ts';
import type { CpuResources, MemoryResources, Resources } from '../oci/spec/types.ts';
import { statusOf } from '../oci/state/status.ts';
import { tellSentry } from '../oci/tell-sentry.ts';
import { parseSize } from '../quantities.ts';

/** The options of `runts update`, which are runc's, in commander's form. */
export interface UpdateOptions {
  readonly resources?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpuBurst?: string;
  readonly cpuShare?: string;
  readonly cpuRtPeriod?: string;
  readonly cpuRtRuntime?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly cpuIdle?: string;
  readonly memory?: string;
  readonly memoryReservation?: string;
  readonly memorySwap?: string;
  readonly kernelMemory?: string;
  readonly kernelMemoryTcp?: string;
  readonly pidsLimit?: string;
  readonly blkioWeight?: string;
}

export async function update(
  context: OciContext,
  id: string,
  options: UpdateOptions,
): Promise<void> {
  const record = context.store.load(id);
  const resources = foldUnified(
    options.resources === undefined
      ? fromOptions(options)
      : fromFile(options.resources, context.log),
  );
  if (statusOf(context.store, record) === 'stopped')
    throw new Failure('RUNTS_E_CONTAINER_NOT_RUNNING', 'container not running');
  if (record.cgroup === null)
    throw new Failure(
      'RUNTS_E_CGROUP_NONE',
      `container ${id} has no cgroup: its limits cannot be changed`,
    );
  const memory = Number(resources.memory?.limit ?? 0);
  if (record.smallMemory !== undefined && (memory === -1 || memory > record.smallMemory))
    throw new Failure(
      'RUNTS_E_MEMORY_FIXED',
      `the memory limit of a container that was made with ${record.smallMemory} bytes cannot be raised`,
    );
  const cgroup = restoreCgroup(record.cgroup);
  cgroup.update(hostResources(resources));
  context.store.save({ ...record, cgroup: cgroup.toJSON() });
  const request = { type: 'update', container: id, limits: guestLimits(resources) } as const;
  await tellSentry(context, record, request, 'the container does not know of its new limits');
}

function fromFile(path: string, log: CommandLog): Resources {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `--resources: ${path}: ${describe(error)}`);
  }
  const { resources, warnings } = parseResources(text, path === '-' ? '--resources' : path);
  for (const warning of warnings) log.write('warning', warning);
  return resources;
}

function fromOptions(options: UpdateOptions): Resources {
  const cpu: Record<string, number | string> = {};
  const memory: Record<string, number> = {};
  setCount(cpu, 'period', options.cpuPeriod, '--cpu-period');
  setCount(cpu, 'quota', options.cpuQuota, '--cpu-quota');
  setCount(cpu, 'burst', options.cpuBurst, '--cpu-burst');
  setCount(cpu, 'shares', options.cpuShare, '--cpu-share');
  setCount(cpu, 'realtimePeriod', options.cpuRtPeriod, '--cpu-rt-period');
  setCount(cpu, 'realtimeRuntime', options.cpuRtRuntime, '--cpu-rt-runtime');
  setCount(cpu, 'idle', options.cpuIdle, '--cpu-idle');
  if (options.cpusetCpus !== undefined) cpu['cpus'] = options.cpusetCpus;
  if (options.cpusetMems !== undefined) cpu['mems'] = options.cpusetMems;
  setSize(memory, 'limit', options.memory, '--memory');
  setSize(memory, 'reservation', options.memoryReservation, '--memory-reservation');
  setSize(memory, 'swap', options.memorySwap, '--memory-swap');
  const pids: Record<string, number> = {};
  setCount(pids, 'limit', options.pidsLimit, '--pids-limit');
  const blockIO: Record<string, number> = {};
  setCount(blockIO, 'weight', options.blkioWeight, '--blkio-weight');
  return {
    cpu: cpu as CpuResources,
    memory: memory as MemoryResources,
    ...(pids['limit'] === undefined ? {} : { pids: { limit: pids['limit'] } }),
    ...(blockIO['weight'] === undefined ? {} : { blockIO }),
  };
}

function setCount(
  target: Record<string, number | string>,
  name: string,
  text: string | undefined,
  option: string,
): void {
  if (text === undefined) return;
  if (!/^-?\d+$/.test(text))
    throw new Failure('RUNTS_E_OPTION_VALUE', `${option}: '${text}' is not a number`);
  target[name] = Number(text);
}

function setSize(
  target: Record<string, number>,
  name: string,
  text: string | undefined,
  option: string,
): void {
  if (text !== undefined) target[name] = text === '-1' ? -1 : parseSize(text, option);
}
