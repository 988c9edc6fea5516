// SPDX-License-Identifier: Apache-2.0
// link(2), symlink(2), unlink(2), readlink(2), mknod(2).
import { EINVAL, ENOENT, isErrno, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD, AT_REMOVEDIR } from '../../abi/fcntl.ts';
import { S_IFLNK } from '../../abi/stat.ts';
import type { Task } from '../kernel/task.ts';
import {
  makeLink,
  makeNode,
  makeSymlink,
  removeDirectory,
  removeFile,
} from '../vfs/directory-operations.ts';
import { WALK_EMPTY, walkPath } from '../vfs/path-walk.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function linkPaths(
  task: Task,
  oldFd: number,
  oldAddr: number,
  newFd: number,
  newAddr: number,
  flags: number,
): SysResult {
  const oldPath = task.memory.path(oldAddr);
  if (isErrno(oldPath)) return oldPath;
  const newPath = task.memory.path(newAddr);
  if (isErrno(newPath)) return newPath;
  return makeLink(task, oldFd, oldPath, newFd, newPath, flags);
}

function sysLink(task: Task, args: SyscallArgs): SysResult {
  return linkPaths(task, AT_FDCWD, args.addr(0), AT_FDCWD, args.addr(1), 0);
}

function sysLinkat(task: Task, args: SyscallArgs): SysResult {
  return linkPaths(task, args.i32(0), args.addr(1), args.i32(2), args.addr(3), args.i32(4));
}

function symlinkPath(task: Task, targetAddr: number, dirfd: number, pathAddr: number): SysResult {
  const target = task.memory.path(targetAddr);
  if (isErrno(target)) return target;
  const pathname = task.memory.path(pathAddr);
  return isErrno(pathname) ? pathname : makeSymlink(task, target, dirfd, pathname);
}

function sysSymlink(task: Task, args: SyscallArgs): SysResult {
  return symlinkPath(task, args.addr(0), AT_FDCWD, args.addr(1));
}

function sysSymlinkat(task: Task, args: SyscallArgs): SysResult {
  return symlinkPath(task, args.addr(0), args.i32(1), args.addr(2));
}

function sysUnlink(task: Task, args: SyscallArgs): SysResult {
  const pathname = task.memory.path(args.addr(0));
  return isErrno(pathname) ? pathname : removeFile(task, AT_FDCWD, pathname);
}

function sysUnlinkat(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return EINVAL;
  const pathname = task.memory.path(args.addr(1));
  if (isErrno(pathname)) return pathname;
  return flags === 0
    ? removeFile(task, args.i32(0), pathname)
    : removeDirectory(task, args.i32(0), pathname);
}

function readlinkPath(
  task: Task,
  dirfd: number,
  pathAddr: number,
  bufferAddr: number,
  size: number,
): SysResult {
  if (size <= 0) return EINVAL;
  const pathname = task.memory.path(pathAddr);
  if (isErrno(pathname)) return pathname;
  const path = walkPath(task, dirfd, pathname, WALK_EMPTY);
  if (isErrno(path)) return path;
  if (path.node.kind !== S_IFLNK) return pathname === '' ? ENOENT : EINVAL;
  const target = path.node.readlink(task);
  if (isErrno(target)) return target;
  const bytes = Buffer.from(target, 'latin1').subarray(0, size);
  const written = task.memory.write(bufferAddr, bytes);
  return isErrno(written) ? written : bytes.length;
}

function sysReadlink(task: Task, args: SyscallArgs): SysResult {
  return readlinkPath(task, AT_FDCWD, args.addr(0), args.addr(1), args.i32(2));
}

function sysReadlinkat(task: Task, args: SyscallArgs): SysResult {
  return readlinkPath(task, args.i32(0), args.addr(1), args.addr(2), args.i32(3));
}

function mknodPath(
  task: Task,
  dirfd: number,
  pathAddr: number,
  mode: number,
  rdev: number,
): SysResult {
  const pathname = task.memory.path(pathAddr);
  if (isErrno(pathname)) return pathname;
  const made = makeNode(task, dirfd, pathname, mode, rdev);
  return isErrno(made) ? made : 0;
}

function sysMknod(task: Task, args: SyscallArgs): SysResult {
  return mknodPath(task, AT_FDCWD, args.addr(0), args.u32(1) & 0xffff, args.u32(2));
}

function sysMknodat(task: Task, args: SyscallArgs): SysResult {
  return mknodPath(task, args.i32(0), args.addr(1), args.u32(2) & 0xffff, args.u32(3));
}

export const linksRows: readonly Row[] = [
  direct(86, 'link', ['path', 'path'], sysLink),
  direct(87, 'unlink', ['path'], sysUnlink),
  direct(88, 'symlink', ['path', 'path'], sysSymlink),
  direct(89, 'readlink', ['path', 'outBuffer', 'len'], sysReadlink),
  direct(133, 'mknod', ['path', 'mode', 'hex'], sysMknod),
  direct(259, 'mknodat', ['dirfd', 'path', 'mode', 'hex'], sysMknodat),
  direct(263, 'unlinkat', ['dirfd', 'path', 'atFlags'], sysUnlinkat),
  direct(265, 'linkat', ['dirfd', 'path', 'dirfd', 'path', 'atFlags'], sysLinkat),
  direct(266, 'symlinkat', ['path', 'dirfd', 'path'], sysSymlinkat),
  direct(267, 'readlinkat', ['dirfd', 'path', 'outBuffer', 'len'], sysReadlinkat),
];
