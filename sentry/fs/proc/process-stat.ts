// SPDX-License-Identifier: Apache-2.0
// /proc/PID/{stat,statm,status,limits,schedstat,sched,io,comm,wchan,syscall,...}: proc_pid_stat(5)
// and companions.

import { CAP_SYS_RESOURCE, type CapabilitySet } from '../../../abi/capability.ts';
import { EINVAL, EPERM, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import {
  RLIM_INFINITY,
  RLIMIT_AS,
  RLIMIT_CORE,
  RLIMIT_CPU,
  RLIMIT_DATA,
  RLIMIT_FSIZE,
  RLIMIT_LOCKS,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RSS,
  RLIMIT_RTPRIO,
  RLIMIT_RTTIME,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from '../../../abi/resource.ts';
import { SECCOMP_MODE_DISABLED } from '../../../abi/seccomp.ts';
import { type Timespec, toNs } from '../../../abi/time.ts';
import type { SignalSet } from '../../base/sigset.ts';
import { processCpuNs, threadCpuNs } from '../../kernel/cpu-time.ts';
import { pidSeenFrom } from '../../kernel/pid-namespace.ts';
import { mayAccessProcess } from '../../kernel/process-access.ts';
import { ordinaryScheduling, shownPriority } from '../../kernel/scheduling.ts';
import type { Task } from '../../kernel/task.ts';
import { noTimeOffsets } from '../../kernel/time-offsets.ts';
import type { ImageLayout } from '../../mm/image-layout.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { accountMemory, type MemoryAccount, noMemory } from './memory-account.ts';
import { parseInteger, rows, type Subject } from './subject.ts';

const tickNs = 10_000_000;

const ticks = (ns: number): number => Math.floor(ns / tickNs);

const tracingStop = { letter: 't', word: 'tracing stop' };

/** 'R', 'S', 'D', 'T', 't', 'Z' and the word that status adds. */
export function stateOf(subject: Subject): { readonly letter: string; readonly word: string } {
  const { group } = subject;
  const task = subject.task;
  if (group.isVirtual) return { letter: 'S', word: 'sleeping' };
  if (task === undefined) return { letter: 'Z', word: 'zombie' };
  switch (task.state) {
    case 'guest':
    case 'kernel':
      return { letter: 'R', word: 'running' };
    case 'stopped':
      if (subject.task?.trace?.stop !== undefined) return tracingStop;
      return { letter: 'T', word: 'stopped' };
    default:
      if (task.trace?.stop !== undefined) return tracingStop;
      return task.sleep?.killable === true
        ? { letter: 'D', word: 'disk sleep' }
        : { letter: 'S', word: 'sleeping' };
  }
}

export function nameOf(subject: Subject): string {
  return subject.remains?.comm ?? 'init';
}

function memoryOf(subject: Subject): MemoryAccount {
  const task = subject.task;
  return task === undefined ? noMemory : accountMemory(task.mm);
}

function cpuNsOf(subject: Subject): number {
  return subject.thread === undefined ? processCpuNs(subject.group) : threadCpuNs(subject.thread);
}

const low31 = (set: SignalSet): number => set.lo & 0x7fffffff;

/** proc_pid_stat(5), 52 fields. Addresses are for those only who may trace the process. */
export function renderStat(subject: Subject, caller: Caller): string {
  const { group } = subject;
  const task = subject.task;
  const open = task !== undefined && mayAccessProcess(caller as Task, group, 'file');
  const image = open ? task.mm.image : undefined;
  const fields: (number | string)[] = [
    ...identityFields(subject),
    ...timeFields(subject, (caller as Task).group.container.timeOffsets.boottime),
    ...sizeFields(subject),
    ...imageFields(task === undefined ? 0 : 1, image),
    ...signalFields(subject),
    ...placementFields(subject),
    ...rangeFields(image),
    image === undefined ? 0 : group.exitStatus,
  ];
  return `${fields.join(' ')}\n`;
}

/** pid comm state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt. */
function identityFields(subject: Subject): (number | string)[] {
  const { group } = subject;
  const session = group.processGroup?.session;
  const name = [subject.id, `(${nameOf(subject)})`, stateOf(subject).letter];
  const place = [group.parentId, group.processGroup?.id ?? 0, session?.id ?? 0];
  const terminal = [session?.terminal?.rdev ?? 0, session?.foreground?.id ?? -1];
  return [
    ...name,
    ...place,
    ...terminal,
    subject.task === undefined ? 0x400004 : 0x400000,
    0,
    0,
    0,
    0,
  ];
}

/** /proc/PID/timens_offsets (time_namespaces(7)). */
export function renderTimeOffsets({ group }: Subject): string {
  const { monotonic, boottime } = group.container.time?.shown ?? noTimeOffsets;
  const line = (name: string, { sec, nsec }: Timespec): string =>
    `${name.padEnd(10)} ${String(sec).padStart(10)} ${String(nsec).padStart(9)}\n`;
  return line('monotonic', monotonic) + line('boottime', boottime);
}

/** utime stime cutime cstime priority nice num_threads itrealvalue starttime. */
function timeFields(subject: Subject, boottime: Timespec): number[] {
  const { group } = subject;
  const niceness = subject.task?.niceness ?? 0;
  const started = subject.thread?.startTimeNs ?? group.startTimeNs;
  const times = [ticks(cpuNsOf(subject)), 0, ticks(group.childrenCpuNs), 0];
  return [
    ...times,
    subject.task === undefined ? 20 : shownPriority(subject.task),
    niceness,
    Math.max(1, group.tasks.size),
    0,
    ticks(started + toNs(boottime)),
  ];
}

/** vsize rss rsslim. */
function sizeFields(subject: Subject): (number | string)[] {
  const { totalBytes, residentBytes } = memoryOf(subject);
  return [totalBytes, Math.floor(residentBytes / PAGE_SIZE), '18446744073709551615'];
}

/** startcode endcode startstack kstkesp kstkeip; 1 for code that may not be shown. */
function imageFields(hidden: number, image: ImageLayout | undefined): number[] {
  return [image?.startCode ?? hidden, image?.endCode ?? hidden, image?.startStack ?? 0, 0, 0];
}

/** signal blocked sigignore sigcatch. */
function signalFields(subject: Subject): number[] {
  const task = subject.task;
  const { ignored, caught } = subject.group.actions.summary();
  const own = task === undefined ? [0, 0] : [low31(task.pendingSet()), low31(task.signalMask)];
  return [...own, low31(ignored), low31(caught)];
}

/**
 * wchan nswap cnswap exit_signal processor rt_priority policy delayacct_blkio_ticks guest_time
 * cguest_time.
 */
function placementFields(subject: Subject): number[] {
  const cpu = (subject.task?.tid ?? 0) % subject.kernel.cpuCount;
  const { priority, policy } = subject.task?.scheduling ?? ordinaryScheduling;
  return [0, 0, 0, subject.group.exitSignal, cpu, priority, policy, 0, 0, 0];
}

/** start_data end_data start_brk arg_start arg_end env_start env_end. */
function rangeFields(image: ImageLayout | undefined): number[] {
  if (image === undefined) return [0, 0, 0, 0, 0, 0, 0];
  const { startData, endData, startBrk, argStart, argEnd, envStart, envEnd } = image;
  return [startData, endData, startBrk, argStart, argEnd, envStart, envEnd];
}

/** size resident shared text lib data dt, in pages. */
export function renderStatm(subject: Subject): string {
  const memory = memoryOf(subject);
  const pages = [
    memory.totalBytes,
    memory.residentBytes,
    memory.sharedBytes,
    memory.textBytes,
    0,
    memory.dataBytes + memory.stackBytes,
    0,
  ];
  return `${pages.map((bytes) => Math.floor(bytes / PAGE_SIZE)).join(' ')}\n`;
}

const hexWord = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
const hexSet = (set: { readonly lo: number; readonly hi: number }): string =>
  hexWord(set.hi) + hexWord(set.lo);
const kib = (bytes: number): string => `${String(Math.floor(bytes / 1024)).padStart(8)} kB`;

/** The mask of CPUs, in groups of 32. */
export function cpuMask(count: number): string {
  const words: string[] = [];
  for (let left = count; left > 0; left -= 32) {
    words.unshift(
      (left >= 32 ? 0xffffffff : 2 ** left - 1)
        .toString(16)
        .padStart(left > 32 || words.length > 0 ? 8 : 0, '0'),
    );
  }
  return words.join(',');
}

export const cpuList = (count: number): string => (count === 1 ? '0' : `0-${count - 1}`);

/** Escapes as the kernel does in status: control characters would break the rows. */
const statusName = (comm: string): string => comm.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

function tracerOf(subject: Subject): number {
  const tracer = subject.task?.trace?.tracer.group;
  return tracer === undefined ? 0 : pidSeenFrom(subject.group.pids, tracer.pids, tracer.id);
}

export function renderStatus(subject: Subject): string {
  const { group } = subject;
  const state = stateOf(subject);
  const remains = subject.remains;
  const credentials = remains?.credentials;
  const ids = (...values: (number | undefined)[]): string =>
    values.map((value) => value ?? 0).join('\t');
  const head = rows([
    ['Name', statusName(nameOf(subject))],
    ['Umask', (subject.task?.fs.umask ?? 0o22).toString(8).padStart(4, '0')],
    ['State', `${state.letter} (${state.word})`],
    ['Tgid', group.id],
    ['Ngid', 0],
    ['Pid', subject.id],
    ['PPid', group.parentId],
    ['TracerPid', tracerOf(subject)],
    ['Uid', ids(credentials?.uid, credentials?.euid, credentials?.suid, credentials?.fsuid)],
    ['Gid', ids(credentials?.gid, credentials?.egid, credentials?.sgid, credentials?.fsgid)],
    ['FDSize', descriptorCapacity(subject.task)],
    ['Groups', (credentials?.groups ?? []).map((gid) => `${gid} `).join('')],
    ['NStgid', group.id],
    ['NSpid', subject.id],
    ['NSpgid', group.processGroup?.id ?? 0],
    ['NSsid', group.processGroup?.session.id ?? 0],
    ['Kthread', 0],
  ]);
  const memory = subject.task === undefined ? '' : memoryRows(accountMemory(subject.task.mm));
  return head + memory + threadRows(subject) + securityRows(subject) + placementRows(subject);
}

function descriptorCapacity(task: Task | undefined): number {
  if (task === undefined) return 0;
  let highest = 0;
  for (const [fd] of task.files.entries()) highest = Math.max(highest, fd);
  return Math.max(64, 2 ** Math.ceil(Math.log2(highest + 1)));
}

function memoryRows(memory: MemoryAccount): string {
  return rows([
    ['VmPeak', kib(memory.peakBytes)],
    ['VmSize', kib(memory.totalBytes)],
    ['VmLck', kib(memory.lockedBytes)],
    ['VmPin', kib(0)],
    ['VmHWM', kib(memory.residentBytes)],
    ['VmRSS', kib(memory.residentBytes)],
    ['RssAnon', kib(memory.residentBytes - memory.sharedBytes)],
    ['RssFile', kib(memory.sharedBytes)],
    ['RssShmem', kib(0)],
    ['VmData', kib(memory.dataBytes)],
    ['VmStk', kib(memory.stackBytes)],
    ['VmExe', kib(memory.textBytes)],
    ['VmLib', kib(memory.libraryBytes)],
    ['VmPTE', kib(memory.pageTableBytes)],
    ['VmSwap', kib(0)],
    ['HugetlbPages', kib(0)],
    ['CoreDumping', 0],
    ['THP_enabled', 1],
  ]);
}

function threadRows(subject: Subject): string {
  const { group } = subject;
  const task = subject.task;
  const { ignored, caught } = group.actions.summary();
  const empty = { lo: 0, hi: 0 };
  const queued = (task?.pending.count ?? 0) + group.pending.count;
  return rows([
    ['Threads', Math.max(1, group.tasks.size)],
    ['SigQ', `${queued}/${group.limits.soft(RLIMIT_SIGPENDING)}`],
    ['SigPnd', hexSet(task?.pending.set ?? empty)],
    ['ShdPnd', hexSet(group.pending.set)],
    ['SigBlk', hexSet(task?.signalMask ?? empty)],
    ['SigIgn', hexSet(ignored)],
    ['SigCgt', hexSet(caught)],
  ]);
}

function securityRows(subject: Subject): string {
  const credentials = subject.remains?.credentials;
  const none: CapabilitySet = { lo: 0, hi: 0 };
  return rows([
    ['CapInh', hexSet(credentials?.inheritable ?? none)],
    ['CapPrm', hexSet(credentials?.permitted ?? none)],
    ['CapEff', hexSet(credentials?.effective ?? none)],
    ['CapBnd', hexSet(credentials?.bounding ?? none)],
    ['CapAmb', hexSet(credentials?.ambient ?? none)],
    ['NoNewPrivs', subject.remains?.noNewPrivileges === true ? 1 : 0],
    ['Seccomp', subject.remains?.seccomp?.mode ?? SECCOMP_MODE_DISABLED],
    ['Seccomp_filters', subject.task?.seccomp?.filterCount ?? 0],
    ['Speculation_Store_Bypass', 'vulnerable'],
    ['SpeculationIndirectBranch', 'conditional enabled'],
  ]);
}

function placementRows(subject: Subject): string {
  const { cpuCount } = subject.kernel;
  return rows([
    ['Cpus_allowed', cpuMask(cpuCount)],
    ['Cpus_allowed_list', cpuList(cpuCount)],
    ['Mems_allowed', '1'],
    ['Mems_allowed_list', '0'],
    ['voluntary_ctxt_switches', subject.remains?.voluntarySwitches ?? 0],
    ['nonvoluntary_ctxt_switches', 0],
  ]);
}

const limitNames: readonly (readonly [name: string, resource: number, unit: string])[] = [
  ['Max cpu time', RLIMIT_CPU, 'seconds'],
  ['Max file size', RLIMIT_FSIZE, 'bytes'],
  ['Max data size', RLIMIT_DATA, 'bytes'],
  ['Max stack size', RLIMIT_STACK, 'bytes'],
  ['Max core file size', RLIMIT_CORE, 'bytes'],
  ['Max resident set', RLIMIT_RSS, 'bytes'],
  ['Max processes', RLIMIT_NPROC, 'processes'],
  ['Max open files', RLIMIT_NOFILE, 'files'],
  ['Max locked memory', RLIMIT_MEMLOCK, 'bytes'],
  ['Max address space', RLIMIT_AS, 'bytes'],
  ['Max file locks', RLIMIT_LOCKS, 'locks'],
  ['Max pending signals', RLIMIT_SIGPENDING, 'signals'],
  ['Max msgqueue size', RLIMIT_MSGQUEUE, 'bytes'],
  ['Max nice priority', RLIMIT_NICE, ''],
  ['Max realtime priority', RLIMIT_RTPRIO, ''],
  ['Max realtime timeout', RLIMIT_RTTIME, 'us'],
];

export function renderLimits(subject: Subject): string {
  const show = (value: number): string =>
    (value >= RLIM_INFINITY ? 'unlimited' : String(value)).padEnd(20);
  const head = `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} ${'Units'.padEnd(10)}\n`;
  const body = limitNames.map(([name, resource, unit]) => {
    const { soft, hard } = subject.group.limits.get(resource);
    return `${name.padEnd(25)} ${show(soft)} ${show(hard)} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  });
  return head + body.join('');
}

/** Time on a CPU, time waiting for one, times run. */
export function renderSchedstat(subject: Subject): string {
  return `${cpuNsOf(subject)} 0 ${subject.remains?.voluntarySwitches ?? 0}\n`;
}

export function renderSched(subject: Subject): string {
  const task = subject.remains;
  const rule = '-'.repeat(67);
  const line = (name: string, value: string | number): string =>
    `${name.padEnd(45)}:${String(value).padStart(21)}\n`;
  return [
    `${nameOf(subject)} (${subject.id}, #threads: ${Math.max(1, subject.group.tasks.size)})\n${rule}\n`,
    line('se.sum_exec_runtime', (cpuNsOf(subject) / 1e6).toFixed(6)),
    line('nr_switches', task?.voluntarySwitches ?? 0),
    line('nr_voluntary_switches', task?.voluntarySwitches ?? 0),
    line('nr_involuntary_switches', 0),
    line('policy', task?.scheduling.policy ?? 0),
    line('prio', task === undefined ? 120 : 100 + shownPriority(task)),
  ].join('');
}

/** Differs from Linux: bytes are not counted per process, so every row is zero. */
export function renderIo(): string {
  const names = [
    'rchar',
    'wchar',
    'syscr',
    'syscw',
    'read_bytes',
    'write_bytes',
    'cancelled_write_bytes',
  ];
  return names.map((name) => `${name}: 0\n`).join('');
}

export function writeComm(subject: Subject, text: string, caller: Caller): SysResult {
  const task = subject.task;
  if (task === undefined || (caller as Task).group !== subject.group) return EINVAL;
  task.comm = text.slice(0, 15).replace(/\0.*$/s, '');
  task.thread.showName(task.comm);
  return text.length;
}

export function writeOomScoreAdjustment(subject: Subject, text: string, caller: Caller): SysResult {
  const parsed = parseInteger(text, EINVAL);
  if (isErrno(parsed)) return parsed;
  const { value } = parsed;
  if (value < -1000 || value > 1000) return EINVAL;
  const { group } = subject;
  if (value < group.oomScoreAdjustment && !isCapable(caller.credentials, CAP_SYS_RESOURCE))
    return EPERM;
  group.oomScoreAdjustment = value;
  return text.length;
}

/**
 * Returns the weight that the OOM killer would use: resident memory in thousandths of all, moved by
 * the adjustment.
 */
export function renderOomScore(subject: Subject): string {
  const { memoryBytes } = subject.group.container.allowance;
  const share = Math.round((1000 * memoryOf(subject).residentBytes) / memoryBytes);
  return `${Math.max(0, Math.min(2000, Math.round(((share + 1000 + subject.group.oomScoreAdjustment) * 2) / 3)))}\n`;
}

/** 'running', or the number, arguments, stack and instruction pointers of the call that waits. */
export function renderSyscall(subject: Subject): Result<string> {
  const task = subject.task;
  if (task === undefined || task.state !== 'sleeping') return 'running\n';
  const { args } = task;
  const values = [0, 1, 2, 3, 4, 5].map((index) => `0x${args.u64(index).toString(16)}`);
  return `${args.number} ${values.join(' ')} 0x0 0x0\n`;
}
