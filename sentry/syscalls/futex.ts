// SPDX-License-Identifier: Apache-2.0
// futex(2), set_robust_list(2), get_robust_list(2), restart_syscall(2).
import {
  EAGAIN,
  EFAULT,
  EINTR,
  EINVAL,
  ENOSYS,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { readTimespec, setI64, TIMESPEC_BYTES, toNs } from '../../abi/time.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { type FutexTimeout, futexWait } from '../kernel/futex.ts';
import { mayAccessProcess } from '../kernel/process-access.ts';
import { ROBUST_LIST_HEAD_BYTES } from '../kernel/robust-list.ts';
import type { Task } from '../kernel/task.ts';
import { sandboxNs } from '../kernel/time-offsets.ts';
import type { SyscallArgs } from './args.ts';
import { absent, direct, type Row, sleeps } from './entry.ts';

const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const FUTEX_REQUEUE = 3;
const FUTEX_CMP_REQUEUE = 4;
const FUTEX_WAKE_OP = 5;
const FUTEX_WAIT_BITSET = 9;
const FUTEX_WAKE_BITSET = 10;
const FUTEX_PRIVATE_FLAG = 128;
const FUTEX_CLOCK_REALTIME = 256;
const ANY = 0xffffffff;
const never: FutexTimeout = { deadlineNs: Number.POSITIVE_INFINITY };

function sysFutex(task: Task, args: SyscallArgs): MaybeBlocking {
  const operation = args.u32(1);
  const command = operation & 0x7f;
  const isPrivate = (operation & FUTEX_PRIVATE_FLAG) !== 0;
  if (
    (operation & FUTEX_CLOCK_REALTIME) !== 0 &&
    command !== FUTEX_WAIT_BITSET &&
    command !== FUTEX_WAIT
  )
    return ENOSYS;
  if (isPrivate) task.waitsByItself();
  switch (command) {
    case FUTEX_WAIT:
      return wait(task, args, isPrivate, ANY, operation);
    case FUTEX_WAIT_BITSET:
      return args.u32(5) === 0 ? EINVAL : wait(task, args, isPrivate, args.u32(5), operation);
    case FUTEX_WAKE:
      return wake(task, args, isPrivate, ANY);
    case FUTEX_WAKE_BITSET:
      return args.u32(5) === 0 ? EINVAL : wake(task, args, isPrivate, args.u32(5));
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      return requeue(task, args, isPrivate, command === FUTEX_CMP_REQUEUE);
    case FUTEX_WAKE_OP:
      return wakeOp(task, args, isPrivate);
    default:
      return ENOSYS;
  }
}

function wait(
  task: Task,
  args: SyscallArgs,
  isPrivate: boolean,
  bitset: number,
  operation: number,
): MaybeBlocking {
  const timeout = readTimeout(task, args.addr(3), operation);
  if (isErrno(timeout)) return timeout;
  return futexWait(task, args.addr(0), isPrivate, args.u32(2), bitset, timeout);
}

/** FUTEX_WAIT's timeout is relative, FUTEX_WAIT_BITSET's absolute on the named clock. */
function readTimeout(task: Task, addr: number, operation: number): Result<FutexTimeout> {
  if (addr === 0) return never;
  const view = task.memory.view(addr, TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  const time = readTimespec(view, 0);
  if (isErrno(time)) return time;
  const clock = task.kernel.clock;
  if ((operation & 0x7f) === FUTEX_WAIT) return { deadlineNs: clock.monotonicNs() + toNs(time) };
  if ((operation & FUTEX_CLOCK_REALTIME) === 0)
    return { deadlineNs: sandboxNs(time, task.group.container.timeOffsets.monotonic) };
  const now = clock.realtime();
  const restNs = (time.sec - now.sec) * 1e9 + (time.nsec - now.nsec);
  return { deadlineNs: clock.monotonicNs() + restNs };
}

function wake(task: Task, args: SyscallArgs, isPrivate: boolean, bitset: number): SysResult {
  const key = task.kernel.futexes.key(task.mm, args.addr(0), isPrivate);
  // Linux wakes one waiter even where the count says none.
  return isErrno(key) ? key : task.kernel.futexes.wake(key, Math.max(1, args.i32(2)), bitset);
}

function requeue(task: Task, args: SyscallArgs, isPrivate: boolean, compares: boolean): SysResult {
  const { futexes } = task.kernel;
  const wakeCount = args.i32(2);
  const moveCount = args.i32(3);
  if (wakeCount < 0 || moveCount < 0) return EINVAL;
  const from = futexes.key(task.mm, args.addr(0), isPrivate);
  const to = futexes.key(task.mm, args.addr(4), isPrivate);
  if (isErrno(from)) return from;
  if (isErrno(to)) return to;
  if (compares) {
    const value = task.memory.readU32(args.addr(0));
    if (isErrno(value)) return value;
    if (value !== args.u32(5)) return EAGAIN;
  }
  const woken = futexes.wake(from, wakeCount, ANY);
  const moved = futexes.requeue(from, to, moveCount, args.addr(4));
  return woken + moved;
}

/**
 * FUTEX_WAKE_OP. Differs from Linux: the read-modify-write is not atomic against guest threads that
 * run meanwhile.
 */
function wakeOp(task: Task, args: SyscallArgs, isPrivate: boolean): SysResult {
  const { futexes } = task.kernel;
  const encoded = args.u32(5);
  const first = futexes.key(task.mm, args.addr(0), isPrivate);
  const second = futexes.key(task.mm, args.addr(4), isPrivate);
  if (isErrno(first)) return first;
  if (isErrno(second)) return second;
  const old = task.memory.readU32(args.addr(4));
  if (isErrno(old)) return EFAULT;
  const next = applyOp(encoded, old);
  if (next === undefined) return ENOSYS;
  if (isErrno(task.memory.writeU32(args.addr(4), next))) return EFAULT;
  const holds = compare(encoded, old | 0);
  if (holds === undefined) return ENOSYS;
  let woken = futexes.wake(first, Math.max(1, args.i32(2)), ANY);
  if (holds) woken += futexes.wake(second, Math.max(1, args.i32(3)), ANY);
  return woken;
}

function applyOp(encoded: number, old: number): number | undefined {
  let argument = (encoded << 8) >> 20;
  if ((encoded & 0x80000000) !== 0) argument = 1 << (argument & 31);
  switch ((encoded >>> 28) & 7) {
    case 0:
      return argument >>> 0;
    case 1:
      return (old + argument) >>> 0;
    case 2:
      return (old | argument) >>> 0;
    case 3:
      return (old & ~argument) >>> 0;
    case 4:
      return (old ^ argument) >>> 0;
    default:
      return undefined;
  }
}

function compare(encoded: number, old: number): boolean | undefined {
  const argument = (encoded << 20) >> 20;
  switch ((encoded >>> 24) & 15) {
    case 0:
      return old === argument;
    case 1:
      return old !== argument;
    case 2:
      return old < argument;
    case 3:
      return old <= argument;
    case 4:
      return old > argument;
    case 5:
      return old >= argument;
    default:
      return undefined;
  }
}

function sysSetRobustList(task: Task, args: SyscallArgs): SysResult {
  if (args.len(1) !== ROBUST_LIST_HEAD_BYTES) return EINVAL;
  task.robustList = args.addr(0);
  return 0;
}

function sysGetRobustList(task: Task, args: SyscallArgs): SysResult {
  const target = args.i32(0) === 0 ? task : task.pids.tasks.get(args.i32(0));
  if (target === undefined) return ESRCH;
  if (!mayAccessProcess(task, target.group, 'real')) return EPERM;
  const view = new DataView(new ArrayBuffer(8));
  setI64(view, 0, target.robustList);
  const written = task.memory.write(args.addr(1), new Uint8Array(view.buffer));
  if (isErrno(written)) return written;
  return task.memory.writeU64(args.addr(2), ROBUST_LIST_HEAD_BYTES);
}

function sysRestartSyscall(task: Task): MaybeBlocking {
  const restart = task.restart;
  task.restart = undefined;
  return restart === undefined ? EINTR : restart();
}

export const futexRows: readonly Row[] = [
  sleeps(202, 'futex', ['addr', 'futexOp', 'uint', 'timespec', 'addr', 'uint'], sysFutex, {
    partial: 'no PI operations',
  }),
  sleeps(219, 'restart_syscall', [], sysRestartSyscall),
  direct(273, 'set_robust_list', ['addr', 'len'], sysSetRobustList),
  direct(274, 'get_robust_list', ['pid', 'addr', 'addr'], sysGetRobustList),
  absent(449, 'futex_waitv', ['addr', 'uint', 'uint', 'timespec', 'clockId']),
  absent(454, 'futex_wake', ['addr', 'hex', 'int', 'uint']),
  absent(455, 'futex_wait', ['addr', 'hex', 'hex', 'uint', 'timespec', 'clockId']),
  absent(456, 'futex_requeue', ['addr', 'uint', 'int', 'int']),
];
