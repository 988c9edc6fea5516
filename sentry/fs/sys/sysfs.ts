// SPDX-License-Identifier: Apache-2.0
// sysfs(5): what programs ask of the machine: CPUs, NUMA nodes, the loopback device, huge pages.

import { SYSFS_MAGIC } from '../../../abi/fs.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { cpuList, cpuMask } from '../proc/process-stat.ts';
import { directory } from '../pseudo/directory.ts';
import { type Entries, type Entry, settingOperations } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';
import { newClassNetDirectory, newNetDevicesDirectory } from './network-interface.ts';

/** A new instance for a mount of type 'sysfs'. */
export function newSysFileSystem(kernel: Kernel): PseudoFileSystem<Kernel> {
  return new PseudoFileSystem<Kernel>({
    type: 'sysfs',
    magic: SYSFS_MAGIC,
    dev: allocateDevice(),
    operations: settingOperations,
    clock: kernel.clock,
    subject: kernel,
    root: directory<Kernel>(rootEntries(kernel)),
  });
}

const attribute = (render: (kernel: Kernel, caller: Caller) => string | number): Entry<Kernel> =>
  textFile<Kernel>(0o444, (kernel, caller) => `${render(kernel, caller)}\n`, {
    sizeBytes: PAGE_SIZE,
  });

const fixed = (value: string | number): Entry<Kernel> => attribute(() => value);

const empty: Entry<Kernel> = directory<Kernel>({});

function rootEntries(kernel: Kernel): Entries<Kernel> {
  return {
    block: empty,
    bus: empty,
    class: directory<Kernel>({
      net: newClassNetDirectory(),
      tty: empty,
    }),
    dev: directory<Kernel>({ block: empty, char: empty }),
    devices: directory<Kernel>({
      system: directory<Kernel>({
        cpu: cpuDirectory(kernel.cpuCount),
        node: nodeDirectory(kernel.cpuCount),
      }),
      virtual: directory<Kernel>({ net: newNetDevicesDirectory() }),
    }),
    firmware: empty,
    // A cgroup file system is mounted here (cgroup-filesystem.ts).
    fs: directory<Kernel>({ cgroup: empty }),
    kernel: directory<Kernel>({
      debug: empty,
      mm: directory<Kernel>({ hugepages: empty, transparent_hugepage: hugePages }),
      security: empty,
    }),
    module: empty,
    power: empty,
  };
}

const all = (kernel: Kernel): string => cpuList(kernel.cpuCount);
const mask = (kernel: Kernel): string => cpuMask(kernel.cpuCount);

function cpuDirectory(count: number): Entry<Kernel> {
  const entries: Record<string, Entry<Kernel>> = {};
  for (let cpu = 0; cpu < count; cpu += 1) entries[`cpu${cpu}`] = oneCpu(cpu);
  return directory<Kernel>({
    ...entries,
    isolated: fixed(''),
    kernel_max: attribute(() => 8191),
    offline: fixed(''),
    online: attribute(all),
    possible: attribute(all),
    present: attribute(all),
    smt: directory<Kernel>({ active: fixed(0), control: fixed('notsupported') }),
  });
}

/** One socket, one thread a core, as /proc/cpuinfo has it. */
function oneCpu(cpu: number): Entry<Kernel> {
  const own = (2 ** (cpu % 32)).toString(16) + ',00000000'.repeat(Math.floor(cpu / 32));
  return directory<Kernel>({
    topology: directory<Kernel>({
      core_cpus: fixed(own),
      core_cpus_list: fixed(cpu),
      core_id: fixed(cpu),
      core_siblings: attribute(mask),
      core_siblings_list: attribute(all),
      die_id: fixed(0),
      package_cpus: attribute(mask),
      package_cpus_list: attribute(all),
      physical_package_id: fixed(0),
      thread_siblings: fixed(own),
      thread_siblings_list: fixed(cpu),
    }),
  });
}

function nodeDirectory(count: number): Entry<Kernel> {
  const cpus: Record<string, Entry<Kernel>> = {};
  for (let cpu = 0; cpu < count; cpu += 1) cpus[`cpu${cpu}`] = link(() => `../../cpu/cpu${cpu}`);
  const kib = (bytes: number): string => `${String(Math.floor(bytes / 1024)).padStart(15)} kB`;
  return directory<Kernel>({
    has_cpu: fixed(0),
    has_memory: fixed(0),
    has_normal_memory: fixed(0),
    node0: directory<Kernel>({
      ...cpus,
      cpulist: attribute(all),
      cpumap: attribute(mask),
      distance: fixed(10),
      meminfo: attribute((_kernel, caller) => {
        const { memoryBytes, freeMemoryBytes } = (caller as Task).group.container.allowance;
        const rows = [
          `MemTotal: ${kib(memoryBytes)}`,
          `MemFree:  ${kib(freeMemoryBytes)}`,
          `MemUsed:  ${kib(memoryBytes - freeMemoryBytes)}`,
        ];
        return rows.map((row) => `Node 0 ${row}`).join('\n');
      }),
      numastat: fixed(
        'numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0',
      ),
    }),
    online: fixed(0),
    possible: fixed(0),
  });
}

const hugePages: Entry<Kernel> = directory<Kernel>({
  defrag: fixed('always defer defer+madvise [madvise] never'),
  enabled: fixed('always [madvise] never'),
  hpage_pmd_size: fixed(2_097_152),
  shmem_enabled: fixed('always within_size advise [never] deny force'),
  use_zero_page: fixed(1),
});
