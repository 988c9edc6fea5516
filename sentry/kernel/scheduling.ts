// SPDX-License-Identifier: Apache-2.0
// Scheduling parameters of a task: sched(7), kernel/sched/syscalls.c. They are kept and shown, and
// judged as Linux judges them. The host schedules the threads of a sandbox all alike: nothing here
// has an effect on that.
import { CAP_SYS_NICE } from '../../abi/capability.ts';
import { EBUSY, EINVAL, EOPNOTSUPP, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import { RLIMIT_NICE, RLIMIT_RTPRIO } from '../../abi/resource.ts';
import type { SchedulingRequest } from '../../abi/sched.ts';
import {
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FIFO,
  SCHED_FLAG_ALL,
  SCHED_FLAG_DL_OVERRUN,
  SCHED_FLAG_KEEP_PARAMS,
  SCHED_FLAG_RECLAIM,
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_FLAG_UTIL_CLAMP,
  SCHED_IDLE,
  SCHED_OTHER,
  SCHED_RR,
} from '../../abi/sched.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { Task } from './task.ts';

export interface Scheduling {
  readonly policy: number;
  /** 1 to 99 with a real-time policy, else 0. */
  readonly priority: number;
  readonly resetsOnFork: boolean;
  /** The parameters of SCHED_DEADLINE, in ns; 0 for other policies. */
  readonly runtimeNs: number;
  readonly deadlineNs: number;
  readonly periodNs: number;
  /** SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN. */
  readonly deadlineFlags: number;
  /** The time slice that a fair task asked for; 0: the default. */
  readonly sliceNs: number;
}

export const ordinaryScheduling: Scheduling = {
  policy: SCHED_OTHER,
  priority: 0,
  resetsOnFork: false,
  runtimeNs: 0,
  deadlineNs: 0,
  periodNs: 0,
  deadlineFlags: 0,
  sliceNs: 0,
};

/** Whose parameters they are: a task, or the Sentry's process 1. */
export type Scheduled = Pick<Task, 'scheduling' | 'niceness' | 'affinity' | 'ioPriority'> & {
  readonly credentials: { readonly uid: number; readonly euid: number };
  readonly group?: Task['group'];
};

export const isRealTime = (policy: number): boolean => policy === SCHED_FIFO || policy === SCHED_RR;
const isFair = (policy: number): boolean => policy === SCHED_OTHER || policy === SCHED_BATCH;
export const isPolicy = (policy: number): boolean =>
  isRealTime(policy) || isFair(policy) || policy === SCHED_IDLE || policy === SCHED_DEADLINE;

const shortestRunNs = 1024;
const shortestPeriodNs = 100_000;
const longestPeriodNs = 2 ** 22 * 1000;

/** __checkparam_dl */
function isDeadline({ runtimeNs, deadlineNs, periodNs }: SchedulingRequest): boolean {
  const period = periodNs === 0 ? deadlineNs : periodNs;
  return (
    deadlineNs !== 0 &&
    runtimeNs >= shortestRunNs &&
    deadlineNs >= runtimeNs &&
    period >= deadlineNs &&
    period >= shortestPeriodNs &&
    period <= longestPeriodNs
  );
}

/** EINVAL for what no task could have. */
export function checkRequest(request: SchedulingRequest, policy: number): SysResult {
  const { flags, priority } = request;
  if (!isPolicy(policy) || (flags & ~SCHED_FLAG_ALL) !== 0 || priority > 99) return EINVAL;
  if (policy === SCHED_DEADLINE && !isDeadline(request)) return EINVAL;
  return isRealTime(policy) === (priority !== 0) ? 0 : EINVAL;
}

/** __sched_setscheduler: `caller` changes `target`. */
export function reschedule(caller: Task, target: Scheduled, request: SchedulingRequest): SysResult {
  const old = target.scheduling;
  const keepsPolicy = request.policy < 0;
  const policy = keepsPolicy ? old.policy : request.policy;
  const resetsOnFork = keepsPolicy
    ? old.resetsOnFork
    : (request.flags & SCHED_FLAG_RESET_ON_FORK) !== 0;
  const checked = checkRequest(request, policy);
  if (isErrno(checked)) return checked;
  const wanted = { ...request, policy, resetsOnFork };
  if (needsPrivilege(caller, target, wanted) && !isPrivileged(caller)) return EPERM;
  if ((request.flags & SCHED_FLAG_UTIL_CLAMP) !== 0) return EOPNOTSUPP; // CONFIG_UCLAMP_TASK
  if (policy === SCHED_DEADLINE) {
    if (target.affinity !== undefined) return EPERM; // As if it were narrower than the machine.
    if (isOverbooked(caller, target, request)) return EBUSY;
  }
  target.scheduling = { ...target.scheduling, resetsOnFork };
  if ((request.flags & SCHED_FLAG_KEEP_PARAMS) === 0) install(target, wanted);
  return 0;
}

/** A process from outside has been given these: they were checked. */
export function install(
  target: Scheduled,
  request: SchedulingRequest & Pick<Scheduling, 'resetsOnFork'>,
): void {
  const { policy, flags, priority, runtimeNs, deadlineNs, periodNs, resetsOnFork } = request;
  const isDeadlinePolicy = policy === SCHED_DEADLINE;
  if (isFair(policy)) target.niceness = request.niceness;
  target.scheduling = {
    policy,
    priority,
    resetsOnFork,
    runtimeNs: isDeadlinePolicy ? runtimeNs : 0,
    deadlineNs: isDeadlinePolicy ? deadlineNs : 0,
    periodNs: isDeadlinePolicy ? periodNs || deadlineNs : 0,
    deadlineFlags: isDeadlinePolicy ? flags & (SCHED_FLAG_RECLAIM | SCHED_FLAG_DL_OVERRUN) : 0,
    sliceNs: isFair(policy) && runtimeNs > 0 ? Math.min(1e8, Math.max(1e5, runtimeNs)) : 0,
  };
}

/** user_check_sched_setscheduler */
function needsPrivilege(
  caller: Task,
  target: Scheduled,
  wanted: SchedulingRequest & Pick<Scheduling, 'resetsOnFork'>,
): boolean {
  const old = target.scheduling;
  const { policy, niceness, priority, resetsOnFork } = wanted;
  if (isFair(policy) && niceness < target.niceness && !mayBeSoNice(target, niceness)) return true;
  if (isRealTime(policy)) {
    const limit = target.group?.limits.soft(RLIMIT_RTPRIO) ?? 0;
    if (policy !== old.policy && limit === 0) return true;
    if (priority > old.priority && priority > limit) return true;
  }
  if (policy === SCHED_DEADLINE) return true;
  if (old.policy === SCHED_IDLE && policy !== SCHED_IDLE && !mayBeSoNice(target, target.niceness))
    return true;
  return !ownsScheduling(caller, target) || (old.resetsOnFork && !resetsOnFork);
}

function mayBeSoNice(target: Scheduled, niceness: number): boolean {
  return 20 - niceness <= (target.group?.limits.soft(RLIMIT_NICE) ?? 0);
}

/** check_same_owner */
export function ownsScheduling(caller: Task, target: Scheduled): boolean {
  const { euid } = caller.credentials;
  return euid === target.credentials.euid || euid === target.credentials.uid;
}

/** capable(): in the initial user namespace, which a container with mapped ids is not in. */
export function isPrivileged(caller: Task, capability: number = CAP_SYS_NICE): boolean {
  const isInitial = caller.group.container.ids.uids.length === 0;
  return isInitial && isCapable(caller.credentials, capability);
}

/** sched_dl_overflow: at most 95 % of all processors are promised. */
function isOverbooked(caller: Task, target: Scheduled, request: SchedulingRequest): boolean {
  const share = (runtimeNs: number, periodNs: number): number => runtimeNs / periodNs;
  let total = share(request.runtimeNs, request.periodNs || request.deadlineNs);
  for (const task of caller.kernel.tasks) {
    const { policy, runtimeNs, periodNs } = task.scheduling;
    if (task !== target && policy === SCHED_DEADLINE) total += share(runtimeNs, periodNs);
  }
  return total > 0.95 * caller.kernel.cpuCount;
}

/** sched_fork: what a child begins with. */
export function inheritScheduling(child: Task, parent: Task): void {
  const { scheduling, niceness } = parent;
  child.ioPriority = parent.ioPriority;
  child.affinity = parent.affinity;
  if (!scheduling.resetsOnFork) {
    child.scheduling = scheduling;
    child.niceness = niceness;
    return;
  }
  const isFairAlready = isFair(scheduling.policy) || scheduling.policy === SCHED_IDLE;
  child.scheduling = isFairAlready ? { ...scheduling, resetsOnFork: false } : ordinaryScheduling;
  child.niceness = isFairAlready ? Math.max(0, niceness) : 0;
}

/** Field 18 of /proc/PID/stat: task_prio. */
export function shownPriority({ scheduling, niceness }: Scheduled): number {
  if (scheduling.policy === SCHED_DEADLINE) return -101;
  return isRealTime(scheduling.policy) ? -1 - scheduling.priority : 20 + niceness;
}
