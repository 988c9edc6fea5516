// SPDX-License-Identifier: Apache-2.0
// getitimer(2), setitimer(2), alarm(2), timer_create(2) and relatives.
import { EAGAIN, EFAULT, EINVAL, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { RLIMIT_SIGPENDING } from '../../abi/resource.ts';
import {
  SIGALRM,
  SIGEV_NONE,
  SIGEV_SIGNAL,
  SIGEV_THREAD,
  SIGEV_THREAD_ID,
  SIGRTMAX,
} from '../../abi/signal.ts';
import {
  fromNs,
  ITIMER_PROF,
  ITIMER_REAL,
  ITIMERSPEC_BYTES,
  readTimespec,
  readTimeval,
  TIMER_ABSTIME,
  type Timespec,
  toNs,
  writeTimespec,
  writeTimeval,
} from '../../abi/time.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { IntervalTimers, type IntervalValue } from '../kernel/interval-timer.ts';
import { PosixTimer, type TimerClock, type TimerEvent } from '../kernel/posix-timer.ts';
import type { Task } from '../kernel/task.ts';
import { offsetOf, sandboxNs } from '../kernel/time-offsets.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { cpuClock, readClock } from './time.ts';

const SIGEVENT_BYTES = 64;

function putIntervalValue(task: Task, addr: number, value: IntervalValue): SysResult {
  const view = new DataView(new ArrayBuffer(ITIMERSPEC_BYTES));
  writeTimeval(view, 0, fromNs(value.intervalNs));
  writeTimeval(view, 16, fromNs(value.valueNs));
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function sysGetitimer(task: Task, args: SyscallArgs): SysResult {
  const which = args.i32(0);
  if (which < ITIMER_REAL || which > ITIMER_PROF) return EINVAL;
  return putIntervalValue(task, args.addr(1), IntervalTimers.of(task.group).get(which));
}

function sysSetitimer(task: Task, args: SyscallArgs): SysResult {
  const which = args.i32(0);
  let interval: Timespec = { sec: 0, nsec: 0 };
  let value: Timespec = interval;
  if (args.addr(1) !== 0) {
    const view = task.memory.view(args.addr(1), ITIMERSPEC_BYTES);
    if (isErrno(view)) return view;
    const first = readTimeval(view, 0);
    const second = readTimeval(view, 16);
    if (isErrno(first) || isErrno(second)) return EINVAL;
    interval = first;
    value = second;
  }
  if (which < ITIMER_REAL || which > ITIMER_PROF) return EINVAL;
  const old = IntervalTimers.of(task.group).set(which, {
    valueNs: toNs(value),
    intervalNs: toNs(interval),
  });
  return args.addr(2) === 0 ? 0 : putIntervalValue(task, args.addr(2), old);
}

function sysAlarm(task: Task, args: SyscallArgs): SysResult {
  const old = IntervalTimers.of(task.group).set(ITIMER_REAL, {
    valueNs: args.u32(0) * 1e9,
    intervalNs: 0,
  });
  if (old.valueNs === 0) return 0;
  return Math.max(1, Math.round(old.valueNs / 1e9)); // Never 0 for an armed timer.
}

function sysTimerCreate(task: Task, args: SyscallArgs): SysResult {
  const event = readEvent(task, args.addr(1));
  if (event === EFAULT) return event;
  const clock = timerClock(task, args.i32(0));
  if (clock === undefined) return EINVAL;
  if (isErrno(event)) return event;
  const { group } = task;
  if (group.posixTimers.size >= group.limits.soft(RLIMIT_SIGPENDING)) return EAGAIN;
  if (!group.holdings.hasRoom(OBJECT_COST.timer)) return EAGAIN;
  const id = group.nextTimerId;
  const { timer, ...rest } = event;
  const complete: TimerEvent = timer ? { ...rest, valueLo: id } : rest;
  const written = task.memory.writeU32(args.addr(2), id);
  if (isErrno(written)) return written;
  group.nextTimerId += 1;
  group.addTimer(new PosixTimer(group, id, clock, complete));
  return 0;
}

function timerClock(task: Task, id: number): TimerClock | undefined {
  const cpu = cpuClock(task, id);
  if (cpu !== undefined) return { nowNs: cpu, isCpu: true };
  if (id < 0 || id === 4 || id === 5 || id === 6 || readClock(task, id) === undefined)
    return undefined;
  const offset = offsetOf(task.group.container.timeOffsets, id);
  if (offset !== undefined)
    return { nowNs: () => task.kernel.clock.monotonicNs(), isCpu: false, offset };
  return { nowNs: () => toNs(readClock(task, id) ?? { sec: 0, nsec: 0 }), isCpu: false };
}

/** Without a sigevent: SIGALRM whose value is the timer's id (`timer` true). */
function readEvent(task: Task, addr: number): Result<TimerEvent & { timer: boolean }> {
  if (addr === 0)
    return {
      notify: SIGEV_SIGNAL,
      signal: SIGALRM,
      valueLo: 0,
      valueHi: 0,
      target: undefined,
      timer: true,
    };
  const view = task.memory.view(addr, SIGEVENT_BYTES);
  if (isErrno(view)) return view;
  const signal = view.getInt32(8, true);
  const notify = view.getInt32(12, true);
  // SIGEV_THREAD is libc's: to the kernel it is SIGEV_SIGNAL.
  const kinds = [SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID];
  if (!kinds.includes(notify)) return EINVAL;
  if (notify !== SIGEV_NONE && (signal < 1 || signal > SIGRTMAX)) return EINVAL;
  let target: Task | undefined;
  if (notify === SIGEV_THREAD_ID) {
    target = task.pids.tasks.get(view.getInt32(16, true));
    if (target?.group !== task.group) return EINVAL;
  }
  return {
    notify,
    signal,
    valueLo: view.getUint32(0, true),
    valueHi: view.getUint32(4, true),
    target,
    timer: false,
  };
}

function putTimerValue(task: Task, addr: number, value: IntervalValue): SysResult {
  const view = new DataView(new ArrayBuffer(ITIMERSPEC_BYTES));
  writeTimespec(view, 0, fromNs(value.intervalNs));
  writeTimespec(view, 16, fromNs(value.valueNs));
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function sysTimerSettime(task: Task, args: SyscallArgs): SysResult {
  const timer = task.group.posixTimers.get(args.i32(0));
  if (args.addr(2) === 0) return EINVAL;
  const view = task.memory.view(args.addr(2), ITIMERSPEC_BYTES);
  if (isErrno(view)) return view;
  const interval = readTimespec(view, 0);
  const value = readTimespec(view, 16);
  if (isErrno(interval) || isErrno(value) || timer === undefined) return EINVAL;
  const old = timer.get();
  const ns = toNs(value);
  const isAbsolute = (args.u32(1) & TIMER_ABSTIME) !== 0;
  const { clock } = timer;
  const expiryNs = isAbsolute ? sandboxNs(value, clock.offset) : clock.nowNs() + ns;
  timer.set(ns === 0 ? 0 : expiryNs, toNs(interval));
  return args.addr(3) === 0 ? 0 : putTimerValue(task, args.addr(3), old);
}

function sysTimerGettime(task: Task, args: SyscallArgs): SysResult {
  const timer = task.group.posixTimers.get(args.i32(0));
  return timer === undefined ? EINVAL : putTimerValue(task, args.addr(1), timer.get());
}

function sysTimerGetoverrun(task: Task, args: SyscallArgs): SysResult {
  return task.group.posixTimers.get(args.i32(0))?.overrun ?? EINVAL;
}

function sysTimerDelete(task: Task, args: SyscallArgs): SysResult {
  const timer = task.group.posixTimers.get(args.i32(0));
  if (timer === undefined) return EINVAL;
  task.group.removeTimer(timer);
  return 0;
}

export const timerRows: readonly Row[] = [
  direct(36, 'getitimer', ['int', 'addr'], sysGetitimer),
  direct(37, 'alarm', ['uint'], sysAlarm),
  direct(38, 'setitimer', ['int', 'addr', 'addr'], sysSetitimer),
  direct(222, 'timer_create', ['clockId', 'addr', 'addr'], sysTimerCreate),
  direct(223, 'timer_settime', ['int', 'hex', 'addr', 'addr'], sysTimerSettime),
  direct(224, 'timer_gettime', ['int', 'addr'], sysTimerGettime),
  direct(225, 'timer_getoverrun', ['int'], sysTimerGetoverrun),
  direct(226, 'timer_delete', ['int'], sysTimerDelete),
];
