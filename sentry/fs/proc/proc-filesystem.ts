// SPDX-License-Identifier: Apache-2.0
// proc(5): the root of /proc.
import { ENOENT, EPERM, isErrno, type Result } from '../../../abi/errno.ts';
import { PROC_SUPER_MAGIC } from '../../../abi/fs.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type PidNamespace, pidSeenFrom } from '../../kernel/pid-namespace.ts';
import type { Task } from '../../kernel/task.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import type { Node } from '../../vfs/node.ts';
import { type Computed, type ComputedName, directory } from '../pseudo/directory.ts';
import type { Entries, Entry } from '../pseudo/entry.ts';
import { link } from '../pseudo/links.ts';
import { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';
import { textFile } from '../pseudo/text-file.ts';
import { type CpuFacts, cpuinfoFor } from './cpuinfo.ts';
import { processNode } from './process-directory.ts';
import { sysDirectory } from './sysctl.ts';
import {
  characterDevices,
  filesystemTypes,
  renderInterrupts,
  renderLoadavg,
  renderMeminfo,
  renderStat,
  renderUptime,
  renderVersion,
  renderVmstat,
  renderZoneinfo,
} from './system-files.ts';
import { sysvipcDirectory } from './sysvipc.ts';

/** A new instance for a mount of type 'proc', which shows the processes of one PID namespace. */
export function newProcFileSystem(pids: PidNamespace, facts: CpuFacts): PseudoFileSystem<Kernel> {
  const { kernel } = pids;
  const root = directory<Kernel>(rootEntries(pids, facts), { computed: processes(pids) });
  return new PseudoFileSystem<Kernel>({
    type: 'proc',
    magic: PROC_SUPER_MAGIC,
    dev: allocateDevice(),
    clock: kernel.clock,
    subject: kernel,
    root,
  });
}

const constant = (text: string): Entry<Kernel> => textFile<Kernel>(0o444, () => text);

function rootEntries(pids: PidNamespace, facts: CpuFacts): Entries<Kernel> {
  return {
    cgroups: constant('#subsys_name\thierarchy\tnum_cgroups\tenabled\n'),
    cmdline: constant('runts\n'),
    consoles: constant(''),
    cpuinfo: textFile(0o444, (kernel) => cpuinfoFor(facts, kernel.cpuCount)),
    crypto: constant(''),
    devices: constant(characterDevices),
    diskstats: constant(''),
    filesystems: constant(filesystemTypes),
    fs: directory<Kernel>({}),
    interrupts: textFile(0o444, renderInterrupts),
    irq: directory<Kernel>({}),
    loadavg: textFile(0o444, renderLoadavg),
    locks: constant(''),
    meminfo: textFile(0o444, renderMeminfo),
    misc: constant(''),
    modules: constant(''),
    mounts: link(() => 'self/mounts'),
    net: link(() => 'self/net'),
    partitions: constant('major minor  #blocks  name\n\n'),
    self: link((_kernel, caller) => ownDirectory(pids, caller as Task)),
    softirqs: constant(''),
    stat: textFile(0o444, renderStat),
    swaps: constant('Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
    sys: sysDirectory,
    'sysrq-trigger': textFile(0o200, () => EPERM),
    sysvipc: sysvipcDirectory,
    'thread-self': link((_kernel, caller) => {
      const own = ownDirectory(pids, caller as Task);
      return isErrno(own) ? own : `${own}/task/${(caller as Task).tid}`;
    }),
    tty: directory<Kernel>({ drivers: constant(ttyDrivers) }),
    uptime: textFile(0o444, renderUptime),
    version: textFile(0o444, renderVersion),
    vmstat: textFile(0o444, renderVmstat),
    zoneinfo: textFile(0o444, renderZoneinfo),
  };
}

/** ps finds the names of terminals by this. */
const ttyDrivers = [
  '/dev/tty             /dev/tty        5       0 system:/dev/tty',
  '/dev/console         /dev/console    5       1 system:console',
  '/dev/ptmx            /dev/ptmx       5       2 system',
  'pty_slave            /dev/pts      136 0-1048575 pty:slave',
  'pty_master           /dev/ptm      128 0-1048575 pty:master',
  '',
].join('\n');

/** ENOENT for somebody of another namespace. */
function ownDirectory(pids: PidNamespace, caller: Task): Result<string> {
  // What boot looks up for a container is done by no process.
  if ((caller as Partial<Task>).group === undefined) return ENOENT;
  const id = pidSeenFrom(pids, caller.pids, caller.group.id);
  return id === 0 ? ENOENT : String(id);
}

/** One directory a process; threads have theirs too, but are not listed. */
const processes = (pids: PidNamespace): Computed<Kernel> => ({
  directoryCount: () => pids.groups.size,
  list: () => {
    const names: ComputedName[] = [];
    for (const id of pids.groups.keys()) names.push({ name: String(id), key: id });
    return names.sort((a, b) => a.key - b.key);
  },
  lookup: (filesystem, _kernel, name): Node | undefined => {
    if (!/^[1-9]\d{0,9}$/.test(name)) return undefined;
    const group = pids.processOf(Number(name));
    return group === undefined ? undefined : processNode(filesystem, group);
  },
});
