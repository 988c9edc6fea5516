// SPDX-License-Identifier: Apache-2.0
// The files of /proc about the machine as a whole (proc(5)). Every number speaks of the sandbox.

import { PAGE_SIZE } from '../../../abi/page.ts';
import { fromNs, type Timespec, toNs } from '../../../abi/time.ts';
import type { Allowance } from '../../kernel/allowance.ts';
import { processCpuNs } from '../../kernel/cpu-time.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { addTimes } from '../../kernel/time-offsets.ts';
import type { Caller } from '../../vfs/caller.ts';
import { accountMemory } from './memory-account.ts';

const kib = (bytes: number): number => Math.floor(bytes / 1024);
const tickNs = 10_000_000;

/** Memory is that of the reader's container. */
const allowanceOf = (caller: Caller): Allowance => (caller as Task).group.container.allowance;

export function renderMeminfo(_kernel: Kernel, caller: Caller): string {
  const allowance = allowanceOf(caller);
  const total = kib(allowance.memoryBytes);
  const free = kib(allowance.freeMemoryBytes);
  const { anonymousBytes, mappedBytes, pageTableBytes } = guestMemory(allowance);
  const shared = kib(allowance.account.pageBytes);
  const objects = kib(allowance.account.usedBytes) - shared;
  const zero = 0;
  const rows: [string, number][] = [
    ['MemTotal', total],
    ['MemFree', free],
    ['MemAvailable', free],
    ['Buffers', zero],
    ['Cached', kib(mappedBytes) + shared],
    ['SwapCached', zero],
    ['Active', kib(anonymousBytes)],
    ['Inactive', kib(mappedBytes)],
    ['Active(anon)', kib(anonymousBytes)],
    ['Inactive(anon)', zero],
    ['Active(file)', zero],
    ['Inactive(file)', kib(mappedBytes)],
    ['Unevictable', zero],
    ['Mlocked', zero],
    ['SwapTotal', zero],
    ['SwapFree', zero],
    ['Dirty', zero],
    ['Writeback', zero],
    ['AnonPages', kib(anonymousBytes)],
    ['Mapped', kib(mappedBytes)],
    ['Shmem', shared],
    ['KReclaimable', zero],
    ['Slab', objects],
    ['SReclaimable', zero],
    ['SUnreclaim', objects],
    ['KernelStack', zero],
    ['PageTables', kib(pageTableBytes)],
    ['NFS_Unstable', zero],
    ['Bounce', zero],
    ['WritebackTmp', zero],
    ['CommitLimit', total],
    ['Committed_AS', total - free],
    ['VmallocTotal', 34_359_738_367],
    ['VmallocUsed', zero],
    ['VmallocChunk', zero],
    ['Percpu', zero],
    ['AnonHugePages', zero],
    ['ShmemHugePages', zero],
    ['ShmemPmdMapped', zero],
    ['FileHugePages', zero],
    ['FilePmdMapped', zero],
  ];
  const sizes = rows
    .map(([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`)
    .join('');
  const pages = ['HugePages_Total', 'HugePages_Free', 'HugePages_Rsvd', 'HugePages_Surp'];
  const huge = pages.map((name) => `${`${name}:`.padEnd(16)}${'0'.padStart(8)}\n`).join('');
  return `${sizes}${huge}${'Hugepagesize:'.padEnd(16)}${'2048'.padStart(8)} kB\n${'Hugetlb:'.padEnd(16)}${'0'.padStart(8)} kB\n`;
}

function guestMemory(allowance: Allowance): {
  anonymousBytes: number;
  mappedBytes: number;
  pageTableBytes: number;
} {
  let anonymousBytes = 0;
  let mappedBytes = 0;
  let pageTableBytes = 0;
  for (const task of allowance.processes()) {
    const account = accountMemory(task.mm);
    anonymousBytes += account.residentBytes - account.sharedBytes;
    mappedBytes += account.sharedBytes;
    pageTableBytes += account.pageTableBytes;
  }
  return { anonymousBytes, mappedBytes, pageTableBytes };
}

/** CPU time of everything that ran in the sandbox, and what was left of its CPUs. */
function cpuTimes(kernel: Kernel): { readonly busyNs: number; readonly idleNs: number } {
  let busyNs = 0;
  for (const group of kernel.groups) busyNs += processCpuNs(group) + group.childrenCpuNs;
  return { busyNs, idleNs: Math.max(0, kernel.clock.monotonicNs() * kernel.cpuCount - busyNs) };
}

function runningTasks(tasks: Iterable<Task>): number {
  let running = 0;
  for (const task of tasks) if (task.state === 'guest' || task.state === 'kernel') running += 1;
  return running;
}

/** Differs from Linux: time is not told apart by CPU or by user and kernel; CPUs get equal shares. */
export function renderStat(kernel: Kernel, caller: Caller): string {
  const { busyNs, idleNs } = cpuTimes(kernel);
  const cpu = (name: string, share: number): string =>
    `${name} ${Math.floor(busyNs / share / tickNs)} 0 0 ${Math.floor(idleNs / share / tickNs)} 0 0 0 0 0 0\n`;
  let text = cpu('cpu ', 1);
  for (let index = 0; index < kernel.cpuCount; index += 1)
    text += cpu(`cpu${index}`, kernel.cpuCount);
  let switches = 0;
  for (const task of kernel.tasks) switches += task.voluntarySwitches;
  return [
    text,
    'intr 0\n',
    `ctxt ${switches}\n`,
    `btime ${bootTimeSec(kernel, caller)}\n`,
    `processes ${kernel.forkCount}\n`,
    `procs_running ${Math.max(1, runningTasks(kernel.tasks))}\n`,
    'procs_blocked 0\n',
    'softirq 0 0 0 0 0 0 0 0 0 0 0\n',
  ].join('');
}

/**
 * Wall-clock second at which the sandbox started; with a time namespace, the one at which its clock
 * was 0.
 */
function bootTimeSec(kernel: Kernel, caller: Caller): number {
  return kernel.clock.realtime().sec - uptimeOf(kernel, caller).sec;
}

function uptimeOf(kernel: Kernel, caller: Caller): Timespec {
  const { boottime } = (caller as Task).group.container.timeOffsets;
  return addTimes(fromNs(kernel.clock.monotonicNs()), boottime);
}

function seconds(ns: number): string {
  const centis = Math.floor(ns / 1e7);
  return `${Math.floor(centis / 100)}.${String(centis % 100).padStart(2, '0')}`;
}

export function renderUptime(kernel: Kernel, caller: Caller): string {
  return `${seconds(toNs(uptimeOf(kernel, caller)))} ${seconds(cpuTimes(kernel).idleNs)}\n`;
}

/** Differs from Linux: the threads that it counts are those of the reader's PID namespace. */
export function renderLoadavg(kernel: Kernel, caller: Caller): string {
  const running = runningTasks(kernel.tasks);
  const averages = kernel.loadAverage
    .sample(kernel.clock.monotonicNs(), running)
    .map((value) => value.toFixed(2));
  const { tasks, lastPid } = (caller as Task).pids;
  const shown = Math.max(1, runningTasks(tasks.values()));
  return `${averages.join(' ')} ${shown}/${tasks.size} ${lastPid}\n`;
}

export function renderVersion(kernel: Kernel): string {
  return `${kernel.sysname} version ${kernel.release} (runts@runts) ${kernel.version}\n`;
}

export const filesystemTypes = `${['sysfs', 'tmpfs', 'proc', 'devtmpfs', 'sockfs', 'pipefs', 'devpts', 'overlay', 'cgroup2', 'mqueue'].map((name) => `nodev\t${name}\n`).join('')}`;

export const characterDevices = [
  'Character devices:',
  '  1 mem',
  '  5 /dev/tty',
  '  5 /dev/console',
  '  5 /dev/ptmx',
  '128 ptm',
  '136 pts',
  '',
  'Block devices:',
  '',
].join('\n');

export function renderVmstat(_kernel: Kernel, caller: Caller): string {
  const allowance = allowanceOf(caller);
  const pages = (bytes: number): number => Math.floor(bytes / PAGE_SIZE);
  const { anonymousBytes, mappedBytes, pageTableBytes } = guestMemory(allowance);
  const rows: [string, number][] = [
    ['nr_free_pages', pages(allowance.freeMemoryBytes)],
    ['nr_inactive_anon', 0],
    ['nr_active_anon', pages(anonymousBytes)],
    ['nr_inactive_file', pages(mappedBytes)],
    ['nr_active_file', 0],
    ['nr_anon_pages', pages(anonymousBytes)],
    ['nr_mapped', pages(mappedBytes)],
    ['nr_file_pages', pages(mappedBytes)],
    ['nr_dirty', 0],
    ['nr_writeback', 0],
    ['nr_page_table_pages', pages(pageTableBytes)],
    ['pgpgin', 0],
    ['pgpgout', 0],
    ['pswpin', 0],
    ['pswpout', 0],
    ['pgfault', 0],
    ['pgmajfault', 0],
    ['oom_kill', allowance.memoryKills],
  ];
  return rows.map(([name, value]) => `${name} ${value}\n`).join('');
}

export function renderInterrupts(kernel: Kernel): string {
  const columns = Array.from({ length: kernel.cpuCount }, (_, cpu) => `CPU${cpu}`.padEnd(11)).join(
    '',
  );
  return `${' '.repeat(11)}${columns}\n`;
}

export function renderZoneinfo(_kernel: Kernel, caller: Caller): string {
  const allowance = allowanceOf(caller);
  const pages = Math.floor(allowance.memoryBytes / PAGE_SIZE);
  const free = Math.floor(allowance.freeMemoryBytes / PAGE_SIZE);
  const row = (name: string, value: number): string => `        ${name.padEnd(8)} ${value}\n`;
  return [
    'Node 0, zone   Normal\n',
    `  pages free     ${free}\n`,
    row('boost', 0),
    row('min', 0),
    row('low', 0),
    row('high', 0),
    row('spanned', pages),
    row('present', pages),
    row('managed', pages),
  ].join('');
}
