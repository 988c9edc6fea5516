// SPDX-License-Identifier: Apache-2.0
// getrlimit(2), setrlimit(2), prlimit64(2), getrusage(2), getpriority(2), setpriority(2).

import { CAP_SYS_NICE, CAP_SYS_RESOURCE } from '../../abi/capability.ts';
import { EACCES, EINVAL, EPERM, ESRCH, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  PRIO_PGRP,
  PRIO_PROCESS,
  PRIO_USER,
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_CPU,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RUSAGE_BYTES,
  RUSAGE_CHILDREN,
  RUSAGE_SELF,
  RUSAGE_THREAD,
} from '../../abi/resource.ts';
import { fromNs, setI64, writeTimeval } from '../../abi/time.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { watchCpuLimit } from '../kernel/cpu-limit.ts';
import { ownCpuNs, processCpuNs } from '../kernel/cpu-time.ts';
import type { Limit } from '../kernel/limits.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

/** sysctl fs.nr_open: the most that RLIMIT_NOFILE may be. */
const NR_OPEN = 1_048_576;

function readLimit(view: DataView, at: number): number {
  const lo = view.getUint32(at, true);
  const hi = view.getUint32(at + 4, true);
  return lo === 0xffffffff && hi === 0xffffffff ? RLIM_INFINITY : hi * 0x1_0000_0000 + lo;
}

function writeLimit(view: DataView, at: number, value: number): void {
  if (value === RLIM_INFINITY) {
    view.setUint32(at, 0xffffffff, true);
    view.setUint32(at + 4, 0xffffffff, true);
  } else setI64(view, at, value);
}

function putLimit(task: Task, addr: number, limit: Limit): SysResult {
  const view = new DataView(new ArrayBuffer(16));
  writeLimit(view, 0, limit.soft);
  writeLimit(view, 8, limit.hard);
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function changeLimit(task: Task, group: ThreadGroup, resource: number, addr: number): SysResult {
  const view = task.memory.view(addr, 16);
  if (isErrno(view)) return view;
  const wanted: Limit = { soft: readLimit(view, 0), hard: readLimit(view, 8) };
  if (wanted.soft > wanted.hard) return EINVAL;
  if (resource === RLIMIT_NOFILE && wanted.hard > NR_OPEN) return EPERM;
  const old = group.limits.get(resource);
  if (wanted.hard > old.hard && !isCapable(task.credentials, CAP_SYS_RESOURCE)) return EPERM;
  group.limits.set(resource, wanted);
  if (resource === RLIMIT_CPU) watchCpuLimit(group);
  if (resource === RLIMIT_NOFILE)
    for (const member of group.tasks) member.files.limit = wanted.soft;
  return 0;
}

function sysPrlimit64(task: Task, args: SyscallArgs): SysResult {
  const resource = args.u32(1);
  if (resource >= RLIM_NLIMITS) return EINVAL;
  const group = args.i32(0) === 0 ? task.group : task.pids.processOf(args.i32(0));
  if (group === undefined) return ESRCH;
  if (group !== task.group && !sameUser(task, group)) return EPERM;
  const old = group.limits.get(resource);
  if (args.addr(2) !== 0) {
    const changed = changeLimit(task, group, resource, args.addr(2));
    if (isErrno(changed)) return changed;
  }
  return args.addr(3) === 0 ? 0 : putLimit(task, args.addr(3), old);
}

function sameUser(task: Task, group: ThreadGroup): boolean {
  if (isCapable(task.credentials, CAP_SYS_RESOURCE)) return true;
  const target = group.anyTask?.credentials;
  const { uid, gid } = task.credentials;
  return (
    target !== undefined &&
    [target.uid, target.euid, target.suid].every((id) => id === uid) &&
    [target.gid, target.egid, target.sgid].every((id) => id === gid)
  );
}

function sysGetrlimit(task: Task, args: SyscallArgs): SysResult {
  const resource = args.u32(0);
  return resource >= RLIM_NLIMITS
    ? EINVAL
    : putLimit(task, args.addr(1), task.group.limits.get(resource));
}

function sysSetrlimit(task: Task, args: SyscallArgs): SysResult {
  const resource = args.u32(0);
  return resource >= RLIM_NLIMITS ? EINVAL : changeLimit(task, task.group, resource, args.addr(1));
}

export interface Usage {
  readonly cpuNs: number;
  readonly voluntarySwitches: number;
  readonly maxResidentBytes: number;
}

/** struct rusage; what the Sentry does not count is 0. */
export function writeRusage(view: DataView, usage: Usage): void {
  writeTimeval(view, 0, fromNs(usage.cpuNs));
  setI64(view, 32, Math.floor(usage.maxResidentBytes / 1024));
  setI64(view, 128, usage.voluntarySwitches);
}

function sysGetrusage(task: Task, args: SyscallArgs): MaybeBlocking {
  const who = args.i32(0);
  const put = (usage: Usage | undefined): SysResult => {
    if (usage === undefined) return EINVAL;
    const view = new DataView(new ArrayBuffer(RUSAGE_BYTES));
    writeRusage(view, usage);
    return task.memory.write(args.addr(1), new Uint8Array(view.buffer));
  };
  if (who !== RUSAGE_THREAD) return put(usageOf(task, who));
  const { voluntarySwitches } = task;
  const maxResidentBytes = mostResidentBytes(task);
  return ownCpuNs(task, (cpuNs) => put({ cpuNs, voluntarySwitches, maxResidentBytes }));
}

function mostResidentBytes({ group, mm }: Task): number {
  return Math.max(group.pastResidentBytes, mm.space.usage().residentBytes);
}

function usageOf(task: Task, who: number): Usage | undefined {
  if (who === RUSAGE_CHILDREN)
    return {
      cpuNs: task.group.childrenCpuNs,
      voluntarySwitches: 0,
      maxResidentBytes: task.group.childrenResidentBytes,
    };
  const maxResidentBytes = mostResidentBytes(task);
  if (who === RUSAGE_SELF) {
    let voluntarySwitches = 0;
    for (const member of task.group.tasks) voluntarySwitches += member.voluntarySwitches;
    return { cpuNs: processCpuNs(task.group), voluntarySwitches, maxResidentBytes };
  }
  return undefined;
}

/** Tasks that getpriority and setpriority mean. */
function prioritized(task: Task, which: number, who: number): Task[] | undefined {
  const all = [...task.pids.tasks.values()];
  if (which === PRIO_PROCESS)
    return all.filter((other) => other.tid === (who === 0 ? task.tid : who));
  if (which === PRIO_PGRP) {
    const pgid = who === 0 ? task.group.processGroup.id : who;
    return all.filter((other) => other.group.processGroup.id === pgid);
  }
  if (which === PRIO_USER)
    return all.filter(
      (other) => other.credentials.uid === (who === 0 ? task.credentials.uid : who),
    );
  return undefined;
}

function sysGetpriority(task: Task, args: SyscallArgs): SysResult {
  const tasks = prioritized(task, args.i32(0), args.i32(1));
  if (tasks === undefined) return EINVAL;
  if (tasks.length === 0) return ESRCH;
  return 20 - Math.min(...tasks.map((other) => other.niceness));
}

function sysSetpriority(task: Task, args: SyscallArgs): SysResult {
  const tasks = prioritized(task, args.i32(0), args.i32(1));
  if (tasks === undefined) return EINVAL;
  if (tasks.length === 0) return ESRCH;
  const niceness = Math.max(-20, Math.min(19, args.i32(2)));
  const capable = isCapable(task.credentials, CAP_SYS_NICE);
  for (const other of tasks) {
    if (
      !capable &&
      other.credentials.uid !== task.credentials.euid &&
      other.credentials.euid !== task.credentials.euid
    )
      return EPERM;
    const lowest = 20 - task.group.limits.soft(RLIMIT_NICE);
    if (niceness < other.niceness && niceness < lowest && !capable) return EACCES;
    other.niceness = niceness;
  }
  return 0;
}

export const limitRows: readonly Row[] = [
  direct(97, 'getrlimit', ['rlimit', 'addr'], sysGetrlimit),
  sleeps(98, 'getrusage', ['int', 'addr'], sysGetrusage, {
    partial: 'no page-fault and block counts; all CPU time is user time',
  }),
  direct(140, 'getpriority', ['int', 'int'], sysGetpriority),
  direct(141, 'setpriority', ['int', 'int', 'int'], sysSetpriority, {
    partial: 'kept and shown, without effect on scheduling',
  }),
  direct(160, 'setrlimit', ['rlimit', 'addr'], sysSetrlimit),
  direct(302, 'prlimit64', ['pid', 'rlimit', 'addr', 'addr'], sysPrlimit64),
];
