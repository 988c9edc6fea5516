// SPDX-License-Identifier: Apache-2.0
// epoll_create(2), epoll_create1(2), epoll_ctl(2), epoll_wait(2), epoll_pwait(2), epoll_pwait2(2).

import {
  EP_MAX_EVENTS,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  epollEvent,
} from '../../abi/epoll.ts';
import { EFAULT, EINTR, EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { isPieceOver } from '../base/turn.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import { begin, isAnyTelling, PAUSE, sleepOn } from '../base/wait.ts';
import { Epoll } from '../fs/epoll/epoll.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';
import { readTimeout, swapSignalMask, withMaskRestored } from './poll-wait.ts';
import { deadlineAfter } from './transfer.ts';

/**
 * Room for as many events as nearly every call asks for; a call that finds more ready gets bytes of
 * its own.
 */
const scratch = new Uint8Array(64 * epollEvent.size);
const mostEvents = 65536;

function newEpoll(task: Task): Epoll {
  return new Epoll(task.credentials.uid, task.kernel.epollItems);
}

function sysEpollCreate(task: Task, args: SyscallArgs): SysResult {
  return args.i32(0) <= 0 ? EINVAL : task.files.add(newEpoll(task), false);
}

function sysEpollCreate1(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(0);
  if ((flags & ~EPOLL_CLOEXEC) !== 0) return EINVAL;
  return task.files.add(newEpoll(task), (flags & EPOLL_CLOEXEC) !== 0);
}

function sysEpollCtl(task: Task, args: SyscallArgs): SysResult {
  const operation = args.i32(1);
  const fd = args.i32(2);
  let event: DataView | undefined;
  if (operation !== EPOLL_CTL_DEL) {
    const copied = task.memory.view(args.addr(3), epollEvent.size);
    if (isErrno(copied)) return EFAULT;
    event = copied;
  }
  const epoll = task.files.get(args.i32(0));
  if (isErrno(epoll)) return epoll;
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  if (!(epoll instanceof Epoll)) return EINVAL;
  if (event === undefined) return epoll.remove(fd, file);
  const events = event.getUint32(epollEvent.events, true);
  const low = event.getUint32(epollEvent.dataLow, true);
  const high = event.getUint32(epollEvent.dataHigh, true);
  if (operation === EPOLL_CTL_ADD) return epoll.add(fd, file, events, low, high);
  if (operation === EPOLL_CTL_MOD) return epoll.modify(fd, file, events, low, high);
  return EINVAL;
}

function sysEpollWait(task: Task, args: SyscallArgs): MaybeBlocking {
  return waitEvents(task, args, milliseconds(args.i32(3)));
}

function sysEpollPwait(task: Task, args: SyscallArgs): MaybeBlocking {
  return maskedWait(task, args, milliseconds(args.i32(3)));
}

function sysEpollPwait2(task: Task, args: SyscallArgs): MaybeBlocking {
  const timeoutNs = readTimeout(task, args.addr(3));
  return isErrno(timeoutNs) ? timeoutNs : maskedWait(task, args, timeoutNs);
}

function maskedWait(task: Task, args: SyscallArgs, timeoutNs: number): MaybeBlocking {
  const swapped = swapSignalMask(task, args.addr(4), args.len(5));
  if (isErrno(swapped)) return swapped;
  return withMaskRestored(task, waitEvents(task, args, timeoutNs), EINTR);
}

function milliseconds(timeout: number): number {
  return timeout < 0 ? Number.POSITIVE_INFINITY : timeout * 1e6;
}

function waitEvents(task: Task, args: SyscallArgs, timeoutNs: number): MaybeBlocking {
  const limit = args.i32(2);
  const addr = args.addr(1);
  if (limit <= 0 || limit > EP_MAX_EVENTS) return EINVAL;
  const epoll = task.files.get(args.i32(0));
  if (isErrno(epoll)) return epoll;
  if (!(epoll instanceof Epoll)) return EINVAL;
  const count = collect(task, epoll, addr, limit);
  if (count !== 0) return count;
  if (timeoutNs === 0) return isAnyTelling() ? begin(collectOnceTold(task, epoll, addr, limit)) : 0;
  return sleepForEvents(task, epoll, addr, limit, deadlineAfter(task, timeoutNs));
}

function* sleepForEvents(
  task: Task,
  epoll: Epoll,
  addr: number,
  limit: number,
  deadlineNs: number,
): Blocking<SysResult> {
  epoll.acquire();
  try {
    for (;;) {
      const wake = yield sleepOn(epoll, POLLIN | POLLRDNORM, deadlineNs);
      const count = collect(task, epoll, addr, limit);
      if (count !== 0) return count;
      if (wake === 'signal') return EINTR;
      if (wake === 'deadline') return yield* collectOnceTold(task, epoll, addr, limit);
    }
  } finally {
    epoll.release();
  }
}

/**
 * Collects at once, but where a watched file has so many waiters that it is still telling them: those
 * that are ready may not be listed before it has told all.
 */
function* collectOnceTold(
  task: Task,
  epoll: Epoll,
  addr: number,
  limit: number,
): Blocking<SysResult> {
  epoll.acquire();
  try {
    while (isAnyTelling()) {
      const looking = epoll.findTelling();
      let look = looking.next();
      for (; look.done !== true; look = looking.next())
        if (isPieceOver(task.kernel.clock) && (yield PAUSE) === 'signal') return EINTR;
      if (!look.value) break;
      if ((yield PAUSE) === 'signal') return EINTR;
      const count = collect(task, epoll, addr, limit);
      if (count !== 0) return count;
    }
    return collect(task, epoll, addr, limit);
  } finally {
    epoll.release();
  }
}

function collect(task: Task, epoll: Epoll, addr: number, limit: number): SysResult {
  const listed = epoll.listedCount;
  if (listed === 0) return 0;
  const room = Math.min(limit, listed, mostEvents);
  const wanted = room * epollEvent.size;
  const events = wanted > scratch.length ? new Uint8Array(wanted) : scratch;
  const count = epoll.collect(new DataView(events.buffer), room);
  if (count === 0) return 0;
  // Differs from Linux: events that cannot be delivered are lost to an edge-triggered caller.
  const copied = task.memory.write(addr, events.subarray(0, count * epollEvent.size));
  return isErrno(copied) ? copied : count;
}

export const epollRows: readonly Row[] = [
  direct(213, 'epoll_create', ['int'], sysEpollCreate),
  direct(291, 'epoll_create1', ['openFlags'], sysEpollCreate1),
  direct(233, 'epoll_ctl', ['fd', 'epollOp', 'fd', 'addr'], sysEpollCtl),
  sleeps(232, 'epoll_wait', ['fd', 'addr', 'int', 'int'], sysEpollWait),
  sleeps(281, 'epoll_pwait', ['fd', 'addr', 'int', 'int', 'sigset', 'len'], sysEpollPwait),
  sleeps(441, 'epoll_pwait2', ['fd', 'addr', 'int', 'timespec', 'sigset', 'len'], sysEpollPwait2),
];
