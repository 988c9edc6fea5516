// SPDX-License-Identifier: Apache-2.0
// timerfd_create(2), timerfd_settime(2), timerfd_gettime(2).
import { CAP_WAKE_ALARM } from '../../abi/capability.ts';
import { EINVAL, EPERM, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  fromNs,
  ITIMERSPEC_BYTES,
  readTimespec,
  TIMESPEC_BYTES,
  toNs,
  writeTimespec,
} from '../../abi/time.ts';
import {
  TFD_CLOEXEC,
  TFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from '../../abi/timerfd.ts';
import { TimerFile, type TimerSetting } from '../fs/timerfd/timer-file.ts';
import type { Task } from '../kernel/task.ts';
import { offsetOf, sandboxNs } from '../kernel/time-offsets.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

const clocks: readonly number[] = [
  CLOCK_REALTIME,
  CLOCK_MONOTONIC,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_BOOTTIME_ALARM,
];

function sysTimerfdCreate(task: Task, args: SyscallArgs): SysResult {
  const clock = args.i32(0);
  const flags = args.i32(1);
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0 || !clocks.includes(clock)) return EINVAL;
  const isAlarm = clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM;
  if (isAlarm && !isCapable(task.credentials, CAP_WAKE_ALARM)) return EPERM;
  const file = new TimerFile(
    clock,
    flags & TFD_NONBLOCK,
    task.kernel.clock,
    task.kernel.guestTimers,
  );
  return task.files.add(file, (flags & TFD_CLOEXEC) !== 0);
}

function sysTimerfdSettime(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(1);
  const view = task.memory.view(args.addr(2), ITIMERSPEC_BYTES);
  if (isErrno(view)) return view;
  const interval = readTimespec(view, 0);
  const value = readTimespec(view, TIMESPEC_BYTES);
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return EINVAL;
  if (isErrno(interval) || isErrno(value)) return EINVAL;
  const file = timerFile(task, args.i32(0));
  if (isErrno(file)) return file;
  const old = file.setting();
  const isAbsolute = (flags & TFD_TIMER_ABSTIME) !== 0;
  const offset = offsetOf(task.group.container.timeOffsets, file.clockId);
  const ns = toNs(value);
  const valueNs = isAbsolute && ns !== 0 ? sandboxNs(value, offset) : ns;
  file.set({ valueNs, intervalNs: toNs(interval) }, flags);
  return args.addr(3) === 0 ? 0 : writeSetting(task, args.addr(3), old);
}

function sysTimerfdGettime(task: Task, args: SyscallArgs): SysResult {
  const file = timerFile(task, args.i32(0));
  return isErrno(file) ? file : writeSetting(task, args.addr(1), file.setting());
}

function timerFile(task: Task, fd: number): Result<TimerFile> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof TimerFile ? file : EINVAL;
}

function writeSetting(task: Task, addr: number, setting: TimerSetting): SysResult {
  const view = new DataView(new ArrayBuffer(ITIMERSPEC_BYTES));
  writeTimespec(view, 0, fromNs(setting.intervalNs));
  writeTimespec(view, TIMESPEC_BYTES, fromNs(setting.valueNs));
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

export const timerfdRows: readonly Row[] = [
  direct(283, 'timerfd_create', ['clockId', 'openFlags'], sysTimerfdCreate),
  direct(286, 'timerfd_settime', ['fd', 'hex', 'addr', 'addr'], sysTimerfdSettime),
  direct(287, 'timerfd_gettime', ['fd', 'addr'], sysTimerfdGettime),
];
