// SPDX-License-Identifier: Apache-2.0
// open(2), openat(2), openat2(2), creat(2), close(2), close_range(2).
import { E2BIG, EINVAL, EMFILE, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import {
  AT_FDCWD,
  CLOSE_RANGE_CLOEXEC,
  CLOSE_RANGE_UNSHARE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_TMPFILE_BIT,
  O_TRUNC,
  O_WRONLY,
  OPEN_HOW_SIZE_VER0,
  openHowLayout,
  RESOLVE_ALL,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  VALID_OPEN_FLAGS,
} from '../../abi/fcntl.ts';
import { S_IALLUGO } from '../../abi/stat.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { type OpenHow, openPath } from '../vfs/open.ts';
import { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

/** Opens and installs: the body of all four. */
export function openFd(task: Task, dirfd: number, pathAddr: number, how: OpenHow): MaybeBlocking {
  const pathname = task.memory.path(pathAddr);
  if (isErrno(pathname)) return pathname;
  if (isErrno(task.files.next())) return EMFILE;
  const opened = openPath(task, dirfd, pathname, how);
  if (opened instanceof OpenFile) return task.files.add(opened, (how.flags & O_CLOEXEC) !== 0);
  return typeof opened === 'number'
    ? opened
    : installLater(task, opened, (how.flags & O_CLOEXEC) !== 0);
}

function* installLater(
  task: Task,
  opening: Blocking<Result<OpenFile>>,
  cloexec: boolean,
): Blocking<SysResult> {
  const file = yield* opening;
  if (isErrno(file)) return file;
  const fd = task.files.add(file, cloexec);
  if (isErrno(fd)) {
    // Another thread took the last descriptor meanwhile.
    file.acquire();
    file.release();
  }
  return fd;
}

function sysOpen(task: Task, args: SyscallArgs): MaybeBlocking {
  return openFd(task, AT_FDCWD, args.addr(0), {
    flags: args.i32(1),
    mode: args.u32(2) & S_IALLUGO,
    resolve: 0,
  });
}

function sysOpenat(task: Task, args: SyscallArgs): MaybeBlocking {
  return openFd(task, args.i32(0), args.addr(1), {
    flags: args.i32(2),
    mode: args.u32(3) & S_IALLUGO,
    resolve: 0,
  });
}

function sysCreat(task: Task, args: SyscallArgs): MaybeBlocking {
  return openFd(task, AT_FDCWD, args.addr(0), {
    flags: O_CREAT | O_WRONLY | O_TRUNC,
    mode: args.u32(1) & S_IALLUGO,
    resolve: 0,
  });
}

function sysOpenat2(task: Task, args: SyscallArgs): MaybeBlocking {
  const size = args.len(3);
  if (size < OPEN_HOW_SIZE_VER0) return EINVAL;
  if (size > 4096) return E2BIG;
  const view = task.memory.view(args.addr(2), size);
  if (isErrno(view)) return view;
  // A larger struct from a newer program: what we do not know must be zero.
  for (let at = OPEN_HOW_SIZE_VER0; at < size; at += 1) if (view.getUint8(at) !== 0) return E2BIG;
  const how = readHow(view);
  return isErrno(how) ? how : openFd(task, args.i32(0), args.addr(1), how);
}

/** openat2 refuses what open ignores. */
function readHow(view: DataView): Result<OpenHow> {
  const { at } = openHowLayout;
  if (
    view.getUint32(at.flags + 4, true) !== 0 ||
    view.getUint32(at.mode + 4, true) !== 0 ||
    view.getUint32(at.resolve + 4, true) !== 0
  )
    return EINVAL;
  const flags = view.getUint32(at.flags, true);
  const mode = view.getUint32(at.mode, true);
  const resolve = view.getUint32(at.resolve, true);
  if ((flags & ~VALID_OPEN_FLAGS) !== 0 || (resolve & ~RESOLVE_ALL) !== 0) return EINVAL;
  if ((resolve & RESOLVE_BENEATH) !== 0 && (resolve & RESOLVE_IN_ROOT) !== 0) return EINVAL;
  const creates = (flags & (O_CREAT | O_TMPFILE_BIT)) !== 0;
  if (creates ? (mode & ~S_IALLUGO) !== 0 : mode !== 0) return EINVAL;
  if ((flags & O_PATH) !== 0 && (flags & ~(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) !== 0)
    return EINVAL;
  return { flags, mode, resolve: resolve & ~RESOLVE_CACHED };
}

function sysClose(task: Task, args: SyscallArgs): SysResult {
  return task.files.remove(args.i32(0));
}

function sysCloseRange(task: Task, args: SyscallArgs): SysResult {
  const first = args.u32(0);
  const last = args.u32(1);
  const flags = args.u32(2);
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return EINVAL;
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0 && task.files.isShared) {
    const own = task.files.fork();
    task.files.release();
    task.files = own;
  }
  const end = Math.min(last + 1, task.files.end);
  for (let fd = first; fd < end; fd += 1) {
    if ((flags & CLOSE_RANGE_CLOEXEC) !== 0) task.files.setCloexec(fd, true);
    else task.files.remove(fd);
  }
  return 0;
}

export const openRows: readonly Row[] = [
  sleeps(2, 'open', ['path', 'openFlags', 'mode'], sysOpen),
  direct(3, 'close', ['fd'], sysClose),
  sleeps(85, 'creat', ['path', 'mode'], sysCreat),
  sleeps(257, 'openat', ['dirfd', 'path', 'openFlags', 'mode'], sysOpenat),
  direct(436, 'close_range', ['fd', 'fd', 'hex'], sysCloseRange),
  sleeps(437, 'openat2', ['dirfd', 'path', 'addr', 'len'], sysOpenat2),
];
