// SPDX-License-Identifier: Apache-2.0
// flock(2), and the record locks of fcntl(2): POSIX (by process) and open file description locks.
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EOVERFLOW,
  ERESTARTSYS,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_RDLCK,
  F_SETLK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  flockLayout,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_ACCMODE,
  O_RDONLY,
  O_WRONLY,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import { getI64, setI64 } from '../../abi/time.ts';
import { type Blocking, type MaybeBlocking, sleepOn } from '../base/wait.ts';
import { pidSeenFrom } from '../kernel/pid-namespace.ts';
import type { Task } from '../kernel/task.ts';
import { locksOf, type RecordLock, startWaiting, stopWaiting } from '../vfs/locks.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

function sysFlock(task: Task, args: SyscallArgs): MaybeBlocking {
  const operation = args.u32(1);
  const type = flockType(operation & ~LOCK_NB);
  if (type < 0) return EINVAL;
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  const done = locksOf(file.node).flock(file, type);
  if (done !== EAGAIN || (operation & LOCK_NB) !== 0) return done;
  return waitForFlock(file, type);
}

function flockType(operation: number): number {
  switch (operation) {
    case LOCK_SH:
      return F_RDLCK;
    case LOCK_EX:
      return F_WRLCK;
    case LOCK_UN:
      return F_UNLCK;
    default:
      return -1;
  }
}

function* waitForFlock(file: OpenFile, type: number): Blocking<SysResult> {
  file.acquire();
  try {
    for (;;) {
      const locks = locksOf(file.node);
      const done = locks.flock(file, type);
      if (done !== EAGAIN) return done;
      const wake = yield sleepOn(locks, POLLIN);
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    file.release();
  }
}

/** fcntl's F_*LK* commands. */
export function recordLock(
  task: Task,
  fd: number,
  file: OpenFile,
  command: number,
  addr: number,
): MaybeBlocking {
  const view = task.memory.view(addr, flockLayout.size);
  if (isErrno(view)) return view;
  const isOfd = command === F_OFD_GETLK || command === F_OFD_SETLK || command === F_OFD_SETLKW;
  // Reserved: must be 0 for open file description locks.
  if (isOfd && view.getInt32(flockLayout.at.pid, true) !== 0) return EINVAL;
  const wanted = readLock(task, file, view, isOfd);
  if (isErrno(wanted)) return wanted;
  if (command === F_GETLK || command === F_OFD_GETLK)
    return testLock(task, file, wanted, view, addr);

  const mode = file.flags & O_ACCMODE;
  if (wanted.type === F_RDLCK && mode === O_WRONLY) return EBADF;
  if (wanted.type === F_WRLCK && mode === O_RDONLY) return EBADF;
  const done = locksOf(file.node).set(wanted);
  if (done !== EAGAIN) return done;
  if (command === F_SETLK || command === F_OFD_SETLK) return EAGAIN;
  return command === F_SETLKW || command === F_OFD_SETLKW
    ? waitForLock(task, fd, file, wanted, isOfd)
    : EINVAL;
}

function* waitForLock(
  task: Task,
  fd: number,
  file: OpenFile,
  wanted: RecordLock,
  isOfd: boolean,
): Blocking<SysResult> {
  const { owner } = wanted;
  file.acquire();
  try {
    for (;;) {
      const locks = locksOf(file.node);
      const done = locks.set(wanted);
      if (done !== EAGAIN) return closedMeanwhile(task, fd, file, wanted, done, isOfd);
      const holder = locks.conflict(wanted)?.owner;
      if (!isOfd && holder !== undefined) {
        const circle = startWaiting(owner, holder);
        if (isErrno(circle)) return circle;
      }
      const wake = yield sleepOn(locks, POLLIN);
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    if (!isOfd) stopWaiting(owner);
    file.release();
  }
}

/**
 * Another thread closed the descriptor while this one waited: the process must not keep the lock
 * (fcntl_setlk's own test).
 */
function closedMeanwhile(
  task: Task,
  fd: number,
  file: OpenFile,
  wanted: RecordLock,
  done: SysResult,
  isOfd: boolean,
): SysResult {
  if (isOfd || isErrno(done) || wanted.type === F_UNLCK || task.files.getAny(fd) === file)
    return done;
  locksOf(file.node).set({ ...wanted, type: F_UNLCK });
  return EBADF;
}

function testLock(
  task: Task,
  file: OpenFile,
  wanted: RecordLock,
  view: DataView,
  addr: number,
): SysResult {
  if (wanted.type === F_UNLCK && wanted.pid !== -1) return EINVAL;
  const blocker = file.node.knownIdentity?.locks?.conflict(wanted);
  const { at } = flockLayout;
  if (blocker === undefined) {
    view.setInt16(at.type, F_UNLCK, true);
  } else {
    view.setInt16(at.type, blocker.type, true);
    view.setInt16(at.whence, SEEK_SET, true);
    setI64(view, at.start, blocker.start);
    setI64(
      view,
      at.len,
      blocker.end === Number.POSITIVE_INFINITY ? 0 : blocker.end - blocker.start,
    );
    const pid = blocker.pid === -1 ? -1 : pidSeenFrom(task.pids, blocker.pids, blocker.pid);
    view.setInt32(at.pid, pid, true);
  }
  return task.memory.write(addr, new Uint8Array(view.buffer, view.byteOffset, flockLayout.size));
}

function readLock(task: Task, file: OpenFile, view: DataView, isOfd: boolean): Result<RecordLock> {
  const { at } = flockLayout;
  const type = view.getInt16(at.type, true);
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return EINVAL;
  const base = baseOf(file, view.getInt16(at.whence, true));
  if (base < 0) return EINVAL;
  let start = base + getI64(view, at.start);
  const length = getI64(view, at.len);
  if (start < 0) return EINVAL;
  if (start > Number.MAX_SAFE_INTEGER) return EOVERFLOW;
  let end = length === 0 ? Number.POSITIVE_INFINITY : start + length;
  // A negative length means the bytes before the start.
  if (length < 0) {
    end = start;
    start += length;
    if (start < 0) return EINVAL;
  }
  if (end !== Number.POSITIVE_INFINITY && end > 2 ** 63 - 1) return EOVERFLOW;
  // Linux keeps an inclusive end: the largest one is the end of all files.
  if (end >= 2 ** 63 - 1024) end = Number.POSITIVE_INFINITY;
  return isOfd
    ? { owner: file, type, start, end, pid: -1, pids: undefined }
    : { owner: task.files, type, start, end, pid: task.group.id, pids: task.pids };
}

function baseOf(file: OpenFile, whence: number): number {
  switch (whence) {
    case SEEK_SET:
      return 0;
    case SEEK_CUR:
      return file.offset;
    case SEEK_END: {
      const attributes = file.node.attributes();
      return isErrno(attributes) ? -1 : attributes.sizeBytes;
    }
    default:
      return -1;
  }
}

export const fileLocksRows: readonly Row[] = [sleeps(73, 'flock', ['fd', 'int'], sysFlock)];
