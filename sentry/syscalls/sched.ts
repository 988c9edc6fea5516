// SPDX-License-Identifier: Apache-2.0
// sched_*(2): scheduling parameters are kept and shown (kernel/scheduling.ts); the host schedules.

import { CAP_SYS_NICE } from '../../abi/capability.ts';
import {
  E2BIG,
  EBUSY,
  EFAULT,
  EINVAL,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import {
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FLAG_KEEP_POLICY,
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_FLAG_UTIL_CLAMP,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
  type SchedulingRequest,
  schedAttr,
} from '../../abi/sched.ts';
import { fromNs, getU64, setI64, writeTimespec } from '../../abi/time.ts';
import {
  isPolicy,
  isRealTime,
  ordinaryScheduling,
  ownsScheduling,
  reschedule,
  type Scheduled,
} from '../kernel/scheduling.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function target(task: Task, pid: number): Scheduled | undefined {
  if (pid === 0) return task;
  const { tasks, init } = task.pids;
  return tasks.get(pid) ?? (init?.isVirtual && pid === init.id ? initProcess() : undefined);
}

/**
 * The Sentry's own process 1 has no task; changes to it are forgotten, as nothing of it is ever
 * scheduled.
 */
function initProcess(): Scheduled {
  return {
    scheduling: ordinaryScheduling,
    niceness: 0,
    ioPriority: 0,
    affinity: undefined,
    credentials: { uid: 0, euid: 0 },
  };
}

function sysYield(task: Task): SysResult {
  task.yieldsByItself();
  return 0;
}

function sysGetaffinity(task: Task, args: SyscallArgs): SysResult {
  const length = args.len(1);
  const { cpuCount } = task.kernel;
  if (length * 8 < cpuCount || length % 8 !== 0) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const bytes = other.affinity ?? allCpus(cpuCount);
  const written = task.memory.write(args.addr(2), bytes);
  return isErrno(written) ? written : bytes.length;
}

function allCpus(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 64) * 8);
  for (let cpu = 0; cpu < count; cpu += 1)
    bytes[cpu >> 3] = (bytes[cpu >> 3] as number) | (1 << (cpu & 7));
  return bytes;
}

function sysSetaffinity(task: Task, args: SyscallArgs): SysResult {
  const other = target(task, args.i32(0));
  const all = allCpus(task.kernel.cpuCount);
  const wanted = new Uint8Array(Math.min(all.length, args.len(1)));
  if (isErrno(task.memory.read(args.addr(2), wanted))) return EFAULT;
  if (other === undefined) return ESRCH;
  if (!ownsScheduling(task, other) && !isCapable(task.credentials, CAP_SYS_NICE)) return EPERM;
  if (other.scheduling.policy === SCHED_DEADLINE) return EBUSY;
  let any = 0;
  const mask = all.map((bits, index) => bits & (wanted[index] ?? 0));
  for (const bits of mask) any |= bits;
  if (any === 0) return EINVAL;
  other.affinity = mask;
  return 0;
}

function sysGetscheduler(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 0) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const { policy, resetsOnFork } = other.scheduling;
  return resetsOnFork ? policy | SCHED_RESET_ON_FORK : policy;
}

/** sched_setscheduler(2), and with policy -1 sched_setparam(2). */
function setPolicy(task: Task, pid: number, policy: number, paramAddr: number): SysResult {
  if (pid < 0 || paramAddr === 0) return EINVAL;
  const bits = task.memory.readU32(paramAddr);
  if (isErrno(bits)) return EFAULT;
  const other = target(task, pid);
  if (other === undefined) return ESRCH;
  const resets = policy >= 0 && (policy & SCHED_RESET_ON_FORK) !== 0;
  return reschedule(task, other, {
    policy: resets ? policy & ~SCHED_RESET_ON_FORK : policy,
    flags: resets ? SCHED_FLAG_RESET_ON_FORK : 0,
    niceness: other.niceness,
    priority: bits,
    runtimeNs: 0,
    deadlineNs: 0,
    periodNs: 0,
  });
}

function sysGetparam(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 0 || args.addr(1) === 0) return EINVAL;
  const other = target(task, args.i32(0));
  return other === undefined
    ? ESRCH
    : task.memory.writeU32(args.addr(1), other.scheduling.priority);
}

const ROUND_ROBIN_NS = 100_000_000;

/** Differs from Linux: fair tasks show no interval. */
function sysRrGetInterval(task: Task, args: SyscallArgs): SysResult {
  if (args.i32(0) < 0) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const view = new DataView(new ArrayBuffer(16));
  writeTimespec(view, 0, fromNs(other.scheduling.policy === SCHED_RR ? ROUND_ROBIN_NS : 0));
  return task.memory.write(args.addr(1), new Uint8Array(view.buffer));
}

const { at } = schedAttr;

function sysSetattr(task: Task, args: SyscallArgs): SysResult {
  const addr = args.addr(1);
  if (addr === 0 || args.i32(0) < 0 || args.u32(2) !== 0) return EINVAL;
  const request = readAttributes(task, addr);
  if (isErrno(request)) return request;
  const other = target(task, args.i32(0));
  return other === undefined ? ESRCH : reschedule(task, other, request);
}

/** sched_copy_attr */
function readAttributes(task: Task, addr: number): Result<SchedulingRequest> {
  const given = task.memory.readU32(addr);
  if (isErrno(given)) return EFAULT;
  const size = given === 0 ? schedAttr.sizeVer0 : given;
  // Linux copies no more than a page of a struct that may grow.
  const bytes = new Uint8Array(Math.max(schedAttr.size, Math.min(size, PAGE_SIZE)));
  const isSized = size >= schedAttr.sizeVer0 && size <= PAGE_SIZE;
  if (isSized && isErrno(task.memory.read(addr, bytes.subarray(0, size)))) return EFAULT;
  if (!isSized || bytes.subarray(schedAttr.size).some((byte) => byte !== 0)) {
    const told = task.memory.writeU32(addr, schedAttr.size);
    return isErrno(told) ? told : E2BIG;
  }
  const view = new DataView(bytes.buffer);
  const flags = view.getUint32(at.flags, true);
  if ((flags & SCHED_FLAG_UTIL_CLAMP) !== 0 && size < schedAttr.size) return EINVAL;
  const policy = view.getInt32(at.policy, true);
  if (policy < 0 || view.getUint32(at.flags + 4, true) !== 0) return EINVAL;
  return {
    policy: (flags & SCHED_FLAG_KEEP_POLICY) !== 0 ? -1 : policy,
    flags,
    niceness: Math.max(-20, Math.min(19, view.getInt32(at.nice, true))),
    priority: view.getUint32(at.priority, true),
    runtimeNs: getU64(view, at.runtime),
    deadlineNs: getU64(view, at.deadline),
    periodNs: getU64(view, at.period),
  };
}

/** Returns how long a task runs at a time: base_slice_ns, longer on larger machines. */
function defaultSliceNs(cpuCount: number): number {
  return 750_000 * (1 + Math.floor(Math.log2(Math.min(8, cpuCount))));
}

function sysGetattr(task: Task, args: SyscallArgs): SysResult {
  const size = args.u32(2);
  const addr = args.addr(1);
  if (addr === 0 || args.i32(0) < 0 || args.u32(3) !== 0) return EINVAL;
  if (size < schedAttr.sizeVer0 || size > PAGE_SIZE) return EINVAL;
  const other = target(task, args.i32(0));
  if (other === undefined) return ESRCH;
  const { policy, priority, sliceNs, ...rest } = other.scheduling;
  const bytes = new Uint8Array(Math.max(size, schedAttr.size));
  const view = new DataView(bytes.buffer);
  view.setUint32(at.size, Math.min(size, schedAttr.size), true);
  view.setUint32(at.policy, policy, true);
  const resets = rest.resetsOnFork ? SCHED_FLAG_RESET_ON_FORK : 0;
  view.setUint32(at.flags, resets | rest.deadlineFlags, true);
  if (policy === SCHED_DEADLINE) {
    setI64(view, at.runtime, rest.runtimeNs);
    setI64(view, at.deadline, rest.deadlineNs);
    setI64(view, at.period, rest.periodNs);
  } else if (isRealTime(policy)) {
    view.setUint32(at.priority, priority, true);
  } else {
    view.setInt32(at.nice, other.niceness, true);
    const hasSlice = sliceNs > 0 && (policy === SCHED_OTHER || policy === SCHED_BATCH);
    setI64(view, at.runtime, hasSlice ? sliceNs : defaultSliceNs(task.kernel.cpuCount));
  }
  return task.memory.write(addr, bytes.subarray(0, size));
}

const withoutEffect = 'kept and shown, without effect on scheduling';

export const schedRows: readonly Row[] = [
  direct(24, 'sched_yield', [], sysYield),
  direct(142, 'sched_setparam', ['pid', 'addr'], (task, args) =>
    setPolicy(task, args.i32(0), -1, args.addr(1)),
  ),
  direct(143, 'sched_getparam', ['pid', 'addr'], sysGetparam),
  direct(
    144,
    'sched_setscheduler',
    ['pid', 'int', 'addr'],
    (task, args) =>
      args.i32(1) < 0 ? EINVAL : setPolicy(task, args.i32(0), args.i32(1), args.addr(2)),
    { partial: withoutEffect },
  ),
  direct(145, 'sched_getscheduler', ['pid'], sysGetscheduler),
  direct(146, 'sched_get_priority_max', ['int'], (_task, args) =>
    isPolicy(args.i32(0)) ? (isRealTime(args.i32(0)) ? 99 : 0) : EINVAL,
  ),
  direct(147, 'sched_get_priority_min', ['int'], (_task, args) =>
    isPolicy(args.i32(0)) ? (isRealTime(args.i32(0)) ? 1 : 0) : EINVAL,
  ),
  direct(148, 'sched_rr_get_interval', ['pid', 'addr'], sysRrGetInterval),
  direct(203, 'sched_setaffinity', ['pid', 'len', 'addr'], sysSetaffinity, {
    partial: withoutEffect,
  }),
  direct(204, 'sched_getaffinity', ['pid', 'len', 'addr'], sysGetaffinity),
  direct(314, 'sched_setattr', ['pid', 'addr', 'hex'], sysSetattr, { partial: withoutEffect }),
  direct(315, 'sched_getattr', ['pid', 'addr', 'uint', 'hex'], sysGetattr),
];
