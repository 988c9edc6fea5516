// SPDX-License-Identifier: Apache-2.0
// cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) as a container sees it from inside its cgroup
// namespace: one group with the container's limits, which cannot be divided.
import { EINVAL, EPERM, type SysResult } from '../../../abi/errno.ts';
import { CGROUP2_SUPER_MAGIC } from '../../../abi/fs.ts';
import type { Allowance, GroupLimits } from '../../kernel/allowance.ts';
import { processCpuNs } from '../../kernel/cpu-time.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { directory } from '../pseudo/directory.ts';
import { type Entry, settingOperations } from '../pseudo/entry.ts';
import { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';

/** A new instance for a mount of type 'cgroup2'. */
export function newCgroupFileSystem(kernel: Kernel): PseudoFileSystem<Kernel> {
  return new PseudoFileSystem<Kernel>({
    type: 'cgroup2',
    magic: CGROUP2_SUPER_MAGIC,
    dev: allocateDevice(),
    operations: settingOperations,
    clock: kernel.clock,
    subject: kernel,
    root,
  });
}

const shown = (render: (kernel: Kernel, caller: Caller) => string | number): Entry<Kernel> =>
  textFile<Kernel>(0o444, (kernel, caller) => `${render(kernel, caller)}\n`);

/** Limits are set from outside: writing from inside answers EPERM, as on a delegated group's own limits. */
const limit = (render: (kernel: Kernel, caller: Caller) => string | number): Entry<Kernel> =>
  textFile<Kernel>(0o644, (kernel, caller) => `${render(kernel, caller)}\n`, {
    write: () => EPERM,
  });

const orMax = (value: number): number | string => (Number.isFinite(value) ? value : 'max');

const allowanceOf = (caller: Caller): Allowance => (caller as Task).group.container.allowance;
const limitsOf = (caller: Caller): GroupLimits => allowanceOf(caller).limits;

function cpuMicroseconds(caller: Caller): number {
  let ns = 0;
  for (const group of members(caller)) ns += processCpuNs(group) + group.childrenCpuNs;
  return Math.floor(ns / 1000);
}

/** Moving a process into the group it is in already is all there is to do. */
function joinGroup(_kernel: Kernel, text: string, caller: Caller): SysResult {
  const id = Number(text.trim());
  const { pids } = caller as Task;
  return Number.isInteger(id) && (id === 0 || pids.groups.has(id)) ? text.length : EINVAL;
}

/** The processes of the reader's container. */
function members(caller: Caller): ThreadGroup[] {
  const { container, pids } = (caller as Task).group;
  return [...pids.groups.values()].filter((group) => group.container === container);
}

function threads(caller: Caller): Task[] {
  return members(caller).flatMap((group) => [...group.tasks]);
}

const lines = (values: readonly (readonly [string, number])[]): string =>
  values.map(([name, value]) => `${name} ${value}`).join('\n');
const pressure =
  'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0';

const root: Entry<Kernel> = directory<Kernel>({
  'cgroup.controllers': shown(() => 'cpu memory pids'),
  'cgroup.events': shown(() => 'populated 1\nfrozen 0'),
  'cgroup.freeze': limit(() => 0),
  'cgroup.max.depth': limit(() => 0),
  'cgroup.max.descendants': limit(() => 0),
  'cgroup.procs': textFile(
    0o644,
    (_kernel, caller) =>
      members(caller)
        .map(({ id }) => `${id}\n`)
        .join(''),
    { write: joinGroup },
  ),
  'cgroup.stat': shown(() => 'nr_descendants 0\nnr_dying_descendants 0'),
  'cgroup.subtree_control': limit(() => ''),
  'cgroup.threads': shown((_kernel, caller) =>
    threads(caller)
      .map(({ tid }) => tid)
      .join('\n'),
  ),
  'cgroup.type': shown(() => 'domain'),
  'cpu.max': limit((_kernel, caller) => {
    const { cpuQuotaUs, cpuPeriodUs } = limitsOf(caller);
    return `${orMax(cpuQuotaUs)} ${cpuPeriodUs}`;
  }),
  'cpu.pressure': shown(() => pressure),
  'cpu.stat': shown((_kernel, caller) => {
    const usage = cpuMicroseconds(caller);
    return lines([
      ['usage_usec', usage],
      ['user_usec', usage],
      ['system_usec', 0],
      ['nr_periods', 0],
      ['nr_throttled', 0],
      ['throttled_usec', 0],
    ]);
  }),
  'cpu.weight': limit((_kernel, caller) => limitsOf(caller).cpuWeight),
  'memory.current': shown((_kernel, caller) => allowanceOf(caller).memoryInUseBytes),
  'memory.events': shown((_kernel, caller) => {
    const kills = allowanceOf(caller).memoryKills;
    return lines([
      ['low', 0],
      ['high', 0],
      ['max', kills],
      ['oom', kills],
      ['oom_kill', kills],
      ['oom_group_kill', 0],
    ]);
  }),
  'memory.high': limit(() => 'max'),
  'memory.low': limit(() => 0),
  'memory.max': limit((_kernel, caller) => orMax(limitsOf(caller).memoryBytes)),
  'memory.min': limit(() => 0),
  'memory.pressure': shown(() => pressure),
  'memory.stat': shown((_kernel, caller) => {
    const { account, anonymousBytes } = allowanceOf(caller);
    return lines([
      ['anon', anonymousBytes],
      ['file', account.pageBytes],
      ['kernel', account.usedBytes - account.pageBytes],
      ['shmem', account.pageBytes],
      ['inactive_file', 0],
      ['active_file', 0],
    ]);
  }),
  'memory.swap.current': shown(() => 0),
  'memory.swap.max': limit(() => 0),
  'pids.current': shown((_kernel, caller) => allowanceOf(caller).pidsInUse),
  'pids.events': shown((_kernel, caller) => `max ${allowanceOf(caller).pidRefusals}`),
  'pids.max': limit((_kernel, caller) => orMax(limitsOf(caller).pids)),
});
