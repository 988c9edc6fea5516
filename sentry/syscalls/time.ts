// SPDX-License-Identifier: Apache-2.0
// clock_gettime(2), gettimeofday(2), time(2), nanosleep(2), clock_nanosleep(2), times(2), and the
// calls that would set clocks.
import {
  EFAULT,
  EINVAL,
  EOPNOTSUPP,
  EPERM,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
  fromNs,
  readTimespec,
  setI64,
  TIMER_ABSTIME,
  TIMESPEC_BYTES,
  type Timespec,
  toNs,
  writeTimespec,
  writeTimeval,
} from '../../abi/time.ts';
import { type Blocking, type MaybeBlocking, sleepUntil } from '../base/wait.ts';
import { ownCpuNs, processCpuNs, threadCpuNs } from '../kernel/cpu-time.ts';
import type { Task } from '../kernel/task.ts';
import { addTimes, offsetOf } from '../kernel/time-offsets.ts';
import type { SyscallArgs } from './args.ts';
import { absent, direct, type Row, sleeps } from './entry.ts';

const cannotSleep: ReadonlySet<number> = new Set([
  CLOCK_THREAD_CPUTIME_ID,
  CLOCK_MONOTONIC_RAW,
  CLOCK_REALTIME_COARSE,
  CLOCK_MONOTONIC_COARSE,
]);

/** USER_HZ: clock_t ticks a second in times(2) and /proc. */
const TICK_NS = 10_000_000;

/** The time of any clock id that clock_gettime knows, undefined for others. */
export function readClock(task: Task, id: number): Timespec | undefined {
  switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return task.kernel.clock.realtime();
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM: {
      const time = fromNs(task.kernel.clock.monotonicNs());
      const { container } = task.group;
      const offset = offsetOf(container.timeOffsets, id);
      return container.time === undefined || offset === undefined ? time : addTimes(time, offset);
    }
    default: {
      const cpu = cpuClock(task, id);
      return cpu === undefined ? undefined : fromNs(cpu());
    }
  }
}

/** CPU clocks: the two well-known ones, and those of clock_getcpuclockid (negative ids). */
export function cpuClock(task: Task, id: number): (() => number) | undefined {
  if (id === CLOCK_PROCESS_CPUTIME_ID) return () => processCpuNs(task.group);
  if (id === CLOCK_THREAD_CPUTIME_ID) return () => threadCpuNs(task);
  if (id >= 0) return undefined;
  if ((id & 3) === 3) return undefined; // A clock behind a descriptor: there are none.
  const pid = ~(id >> 3);
  if ((id & 4) !== 0) {
    const target = pid === 0 ? task : task.pids.tasks.get(pid);
    return target === undefined || target.group !== task.group
      ? undefined
      : () => threadCpuNs(target);
  }
  const group = pid === 0 ? task.group : task.pids.groups.get(pid);
  return group === undefined ? undefined : () => processCpuNs(group);
}

function sysClockGettime(task: Task, args: SyscallArgs): MaybeBlocking {
  if (args.i32(0) === CLOCK_THREAD_CPUTIME_ID)
    return ownCpuNs(task, (ns) => putTimespec(task, args.addr(1), fromNs(ns)));
  const time = readClock(task, args.i32(0));
  return time === undefined ? EINVAL : putTimespec(task, args.addr(1), time);
}

function putTimespec(task: Task, addr: number, time: Timespec): SysResult {
  const view = new DataView(new ArrayBuffer(TIMESPEC_BYTES));
  writeTimespec(view, 0, time);
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

function sysClockGetres(task: Task, args: SyscallArgs): SysResult {
  const id = args.i32(0);
  if (readClock(task, id) === undefined) return EINVAL;
  if (args.addr(1) === 0) return 0;
  const isCoarse = id === CLOCK_REALTIME_COARSE || id === CLOCK_MONOTONIC_COARSE;
  return putTimespec(task, args.addr(1), { sec: 0, nsec: isCoarse ? 4_000_000 : 1 });
}

function sysClockSettime(task: Task, args: SyscallArgs): SysResult {
  const id = args.i32(0);
  if (id !== CLOCK_REALTIME && cpuClock(task, id) === undefined) return EINVAL;
  const view = task.memory.view(args.addr(1), TIMESPEC_BYTES);
  if (isErrno(view)) return EFAULT;
  const time = readTimespec(view, 0);
  return isErrno(time) ? time : EPERM; // No sandbox sets the host's clock.
}

function sysGettimeofday(task: Task, args: SyscallArgs): SysResult {
  if (args.addr(0) !== 0) {
    const view = new DataView(new ArrayBuffer(16));
    writeTimeval(view, 0, task.kernel.clock.realtime());
    const written = task.memory.write(args.addr(0), new Uint8Array(view.buffer));
    if (isErrno(written)) return written;
  }
  return args.addr(1) === 0 ? 0 : task.memory.write(args.addr(1), new Uint8Array(8));
}

function sysTime(task: Task, args: SyscallArgs): SysResult {
  const { sec } = task.kernel.clock.realtime();
  if (args.addr(0) === 0) return sec;
  const view = new DataView(new ArrayBuffer(8));
  setI64(view, 0, sec);
  const written = task.memory.write(args.addr(0), new Uint8Array(view.buffer));
  return isErrno(written) ? written : sec;
}

function sysNanosleep(task: Task, args: SyscallArgs): MaybeBlocking {
  const view = task.memory.view(args.addr(0), TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  const time = readTimespec(view, 0);
  if (isErrno(time)) return time;
  return sleepRelative(task, task.kernel.clock.monotonicNs() + toNs(time), args.addr(1));
}

/** nanosleep and relative clock_nanosleep: restarts with the time that is left. */
function* sleepRelative(task: Task, deadlineNs: number, restAddr: number): Blocking<SysResult> {
  for (;;) {
    const wake = yield sleepUntil(deadlineNs);
    if (wake === 'deadline') return 0;
    if (wake === 'signal') break;
  }
  if (restAddr !== 0) {
    const rest = Math.max(0, deadlineNs - task.kernel.clock.monotonicNs());
    const written = putTimespec(task, restAddr, fromNs(rest));
    if (isErrno(written)) return written;
  }
  task.restart = () => sleepRelative(task, deadlineNs, restAddr);
  return ERESTART_RESTARTBLOCK;
}

function sysClockNanosleep(task: Task, args: SyscallArgs): MaybeBlocking {
  const id = args.i32(0);
  if (readClock(task, id) === undefined) return EINVAL;
  if (cannotSleep.has(id)) return EOPNOTSUPP;
  const view = task.memory.view(args.addr(2), TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  const time = readTimespec(view, 0);
  if (isErrno(time)) return time;
  const clock = cpuClock(task, id);
  const isAbsolute = (args.u32(1) & TIMER_ABSTIME) !== 0;
  if (clock !== undefined)
    return sleepOnCpuClock(task, clock, isAbsolute ? toNs(time) : clock() + toNs(time));
  const now = task.kernel.clock.monotonicNs();
  if (!isAbsolute) return sleepRelative(task, now + toNs(time), args.addr(3));
  return sleepAbsolute(task, id, time);
}

/** Differs from Linux: a real-time clock that is set forward meanwhile does not end the sleep. */
function* sleepAbsolute(task: Task, id: number, until: Timespec): Blocking<SysResult> {
  for (;;) {
    const now = readClock(task, id) ?? until;
    const restNs = (until.sec - now.sec) * 1e9 + (until.nsec - now.nsec);
    if (restNs <= 0) return 0;
    const wake = yield sleepUntil(task.kernel.clock.monotonicNs() + restNs);
    if (wake === 'signal') return ERESTARTNOHAND;
  }
}

function* sleepOnCpuClock(task: Task, clock: () => number, untilNs: number): Blocking<SysResult> {
  for (;;) {
    const rest = untilNs - clock();
    if (rest <= 0) return 0;
    const wake = yield sleepUntil(
      task.kernel.clock.monotonicNs() + Math.max(1e6, rest / task.kernel.cpuCount),
    );
    if (wake === 'signal') return ERESTARTNOHAND;
  }
}

function sysTimes(task: Task, args: SyscallArgs): SysResult {
  const ticks = Math.floor(task.kernel.clock.monotonicNs() / TICK_NS);
  if (args.addr(0) === 0) return ticks;
  const view = new DataView(new ArrayBuffer(32));
  setI64(view, 0, Math.floor(processCpuNs(task.group) / TICK_NS));
  setI64(view, 16, Math.floor(task.group.childrenCpuNs / TICK_NS));
  const written = task.memory.write(args.addr(0), new Uint8Array(view.buffer));
  return isErrno(written) ? written : ticks;
}

export const timeRows: readonly Row[] = [
  sleeps(35, 'nanosleep', ['timespec', 'addr'], sysNanosleep),
  direct(96, 'gettimeofday', ['addr', 'addr'], sysGettimeofday),
  direct(100, 'times', ['addr'], sysTimes, { partial: 'all CPU time counts as user time' }),
  absent(159, 'adjtimex', ['addr'], EPERM),
  absent(164, 'settimeofday', ['timeval', 'addr'], EPERM),
  direct(201, 'time', ['addr'], sysTime),
  direct(227, 'clock_settime', ['clockId', 'timespec'], sysClockSettime, {
    partial: 'always EPERM for the real clock',
  }),
  sleeps(228, 'clock_gettime', ['clockId', 'addr'], sysClockGettime),
  direct(229, 'clock_getres', ['clockId', 'addr'], sysClockGetres),
  sleeps(230, 'clock_nanosleep', ['clockId', 'hex', 'timespec', 'addr'], sysClockNanosleep),
  absent(305, 'clock_adjtime', ['clockId', 'addr'], EPERM),
];
