// SPDX-License-Identifier: Apache-2.0
// ioprio_set(2), ioprio_get(2): kept and shown; the host's block layer sees the sandbox's own.
import { CAP_SYS_ADMIN, CAP_SYS_NICE } from '../../abi/capability.ts';
import { EINVAL, EPERM, ESRCH, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE,
  IOPRIO_CLASS_NONE,
  IOPRIO_CLASS_RT,
  IOPRIO_WHO_PGRP,
  IOPRIO_WHO_PROCESS,
  IOPRIO_WHO_USER,
  ioClass,
  ioLevel,
  ioPriority,
} from '../../abi/ioprio.ts';
import { SCHED_DEADLINE, SCHED_IDLE } from '../../abi/sched.ts';
import { isPrivileged, isRealTime } from '../kernel/scheduling.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** Undefined: no such kind of target. */
function tasksOf(task: Task, which: number, who: number): Task[] | undefined {
  const { tasks } = task.pids;
  switch (which) {
    case IOPRIO_WHO_PROCESS: {
      const found = who === 0 ? task : tasks.get(who);
      return found === undefined ? [] : [found];
    }
    case IOPRIO_WHO_PGRP: {
      const pgid = who === 0 ? task.group.processGroup.id : who;
      return [...tasks.values()].filter(({ group }) => group.processGroup.id === pgid);
    }
    case IOPRIO_WHO_USER: {
      const uid = who === 0 ? task.credentials.uid : who >>> 0;
      return [...tasks.values()].filter(({ credentials }) => credentials.uid === uid);
    }
    default:
      return undefined;
  }
}

/** ioprio_check_cap */
function check(task: Task, value: number): SysResult {
  switch (ioClass(value)) {
    case IOPRIO_CLASS_RT:
      return isPrivileged(task, CAP_SYS_ADMIN) || isPrivileged(task, CAP_SYS_NICE) ? 0 : EPERM;
    case IOPRIO_CLASS_BE:
    case IOPRIO_CLASS_IDLE:
      return 0;
    case IOPRIO_CLASS_NONE:
      return ioLevel(value) === 0 ? 0 : EINVAL;
    default:
      return EINVAL;
  }
}

function sysIoprioSet(task: Task, args: SyscallArgs): SysResult {
  const value = args.u32(2) & 0xffff;
  const checked = check(task, value);
  if (isErrno(checked)) return checked;
  const targets = tasksOf(task, args.i32(0), args.i32(1));
  if (targets === undefined) return EINVAL;
  if (targets.length === 0) return ESRCH;
  const { uid, euid } = task.credentials;
  for (const other of targets) {
    const owner = other.credentials.uid;
    if (owner !== euid && owner !== uid && !isPrivileged(task)) return EPERM;
    other.ioPriority = value;
  }
  return 0;
}

function sysIoprioGet(task: Task, args: SyscallArgs): SysResult {
  const targets = tasksOf(task, args.i32(0), args.i32(1));
  if (targets === undefined) return EINVAL;
  const [first] = targets;
  if (first === undefined) return ESRCH;
  if (args.i32(0) === IOPRIO_WHO_PROCESS) return first.ioPriority;
  return Math.min(...targets.map(effective));
}

/** Without one of its own a task's comes from its scheduling. */
function effective({ ioPriority: own, scheduling, niceness }: Task): number {
  if (ioClass(own) !== IOPRIO_CLASS_NONE) return own;
  const { policy } = scheduling;
  const level = Math.floor((niceness + 20) / 5);
  if (policy === SCHED_IDLE) return ioPriority(IOPRIO_CLASS_IDLE, level);
  const isUrgent = isRealTime(policy) || policy === SCHED_DEADLINE;
  return ioPriority(isUrgent ? IOPRIO_CLASS_RT : IOPRIO_CLASS_BE, level);
}

export const ioprioRows: readonly Row[] = [
  direct(251, 'ioprio_set', ['int', 'int', 'int'], sysIoprioSet, {
    partial: 'kept and shown, without effect on the block layer',
  }),
  direct(252, 'ioprio_get', ['int', 'int'], sysIoprioGet),
];
