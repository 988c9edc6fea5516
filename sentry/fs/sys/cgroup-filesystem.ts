// cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) as a container sees it from inside its cgroup
// namespace: one group with the sandbox's limits, which cannot be divided. Processes are the container's, memory
// and CPU time those of the sandbox.
import { EINVAL, EPERM, type SysResult } from '../../../abi/errno.ts';
import { CGROUP2_SUPER_MAGIC } from '../../../abi/fs.ts';
import { processCpuNs } from '../../kernel/cpu-time.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread-group.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { directory } from '../pseudo/directory.ts';
import type { Entry } from '../pseudo/entry.ts';
import { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';

/** A new instance for a mount of type 'cgroup2'. */
export function newCgroupFileSystem(kernel: Kernel): PseudoFileSystem<Kernel> {
  return new PseudoFileSystem<Kernel>({
    type: 'cgroup2',
    magic: CGROUP2_SUPER_MAGIC,
    dev: allocateDevice(),
    clock: kernel.clock,
    subject: kernel,
    root,
  });
}

const shown = (render: (kernel: Kernel, caller: Caller) => string | number): Entry<Kernel> =>
  textFile<Kernel>(0o444, (kernel, caller) => `${render(kernel, caller)}\n`);

/** Limits are set from outside: writing from inside answers EPERM, as on a delegated group's own limits. */
const limit = (render: (kernel: Kernel) => string | number): Entry<Kernel> =>
  textFile<Kernel>(0o644, (kernel) => `${render(kernel)}\n`, { write: () => EPERM });

const orMax = (value: number): number | string => (Number.isFinite(value) ? value : 'max');

const memoryInUse = (kernel: Kernel): number => kernel.memoryBytes - kernel.freeMemoryBytes();

function cpuMicroseconds(kernel: Kernel): number {
  let ns = 0;
  for (const group of kernel.groups) ns += processCpuNs(group) + group.childrenCpuNs;
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
  'cpu.max': limit(
    ({ groupLimits: { cpuQuotaUs, cpuPeriodUs } }) => `${orMax(cpuQuotaUs)} ${cpuPeriodUs}`,
  ),
  'cpu.pressure': shown(() => pressure),
  'cpu.stat': shown((kernel) => {
    const usage = cpuMicroseconds(kernel);
    return lines([
      ['usage_usec', usage],
      ['user_usec', usage],
      ['system_usec', 0],
      ['nr_periods', 0],
      ['nr_throttled', 0],
      ['throttled_usec', 0],
    ]);
  }),
  'cpu.weight': limit((kernel) => kernel.groupLimits.cpuWeight),
  'memory.current': shown(memoryInUse),
  'memory.events': shown(() =>
    lines([
      ['low', 0],
      ['high', 0],
      ['max', 0],
      ['oom', 0],
      ['oom_kill', 0],
      ['oom_group_kill', 0],
    ]),
  ),
  'memory.high': limit(() => 'max'),
  'memory.low': limit(() => 0),
  'memory.max': limit((kernel) => orMax(kernel.groupLimits.memoryBytes)),
  'memory.min': limit(() => 0),
  'memory.pressure': shown(() => pressure),
  'memory.stat': shown((kernel) =>
    lines([
      ['anon', memoryInUse(kernel)],
      ['file', 0],
      ['kernel', 0],
      ['shmem', 0],
      ['inactive_file', 0],
      ['active_file', 0],
    ]),
  ),
  'memory.swap.current': shown(() => 0),
  'memory.swap.max': limit(() => 0),
  'pids.current': shown((_kernel, caller) => threads(caller).length),
  'pids.events': shown(() => 'max 0'),
  'pids.max': limit((kernel) => orMax(kernel.pidLimit)),
});
