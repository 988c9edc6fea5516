// SPDX-License-Identifier: Apache-2.0
// mkdir(2), rmdir(2), getdents(2), getcwd(2), chdir(2), fchdir(2), chroot(2), umask(2), lseek(2).
import { CAP_SYS_CHROOT } from '../../abi/capability.ts';
import {
  EINVAL,
  ENOENT,
  ENOTDIR,
  EPERM,
  ERANGE,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { dirent64Layout, direntLayout, PATH_MAX } from '../../abi/fs.ts';
import { direntType, S_IFDIR } from '../../abi/stat.ts';
import { setI64 } from '../../abi/time.ts';
import { isPieceOver } from '../base/turn.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import { makeDirectory, removeDirectory } from '../vfs/directory-operations.ts';
import { notifyRead } from '../vfs/notify.ts';
import { climb } from '../vfs/path.ts';
import { searchable } from '../vfs/path-walk.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { pathArgument } from './stat.ts';

function mkdirPath(task: Task, dirfd: number, pathAddr: number, mode: number): SysResult {
  const pathname = task.memory.path(pathAddr);
  return isErrno(pathname) ? pathname : makeDirectory(task, dirfd, pathname, mode);
}

function sysMkdir(task: Task, args: SyscallArgs): SysResult {
  return mkdirPath(task, AT_FDCWD, args.addr(0), args.u32(1));
}

function sysMkdirat(task: Task, args: SyscallArgs): SysResult {
  return mkdirPath(task, args.i32(0), args.addr(1), args.u32(2));
}

function sysRmdir(task: Task, args: SyscallArgs): SysResult {
  const pathname = task.memory.path(args.addr(0));
  return isErrno(pathname) ? pathname : removeDirectory(task, AT_FDCWD, pathname);
}

/** Larger buffers are filled in part: a directory read need not fill them. */
const largestListing = 65_536;
/** Every so many entries the time is looked at: a call gives what it has, and the next goes on. */
const MANY_ENTRIES = 64;
const listing = new Uint8Array(largestListing);
const listingView = new DataView(listing.buffer);

/** Bytes of the last entry put into `listing`, or 0 where it did not fit. */
type PutEntry = (
  at: number,
  limit: number,
  name: string,
  ino: number,
  kind: number,
  next: number,
) => number;

function getdents(task: Task, args: SyscallArgs, put: PutEntry): SysResult {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (file.node.kind !== S_IFDIR) return ENOTDIR;
  const limit = Math.min(args.u32(2), largestListing);
  let filled = 0;
  const before = file.offset;
  let count = 0;
  const done = file.readDirectory((name, ino, kind, next) => {
    count += 1;
    if (count % MANY_ENTRIES === 0 && isPieceOver(task.kernel.clock)) return false;
    const bytes = put(filled, limit, name, ino, kind, next);
    filled += bytes;
    return bytes > 0;
  }, task);
  // EINVAL: not even one entry fits.
  if (isErrno(done) && filled === 0) return done;
  if (filled === 0) return 0;
  const written = task.memory.write(args.addr(1), listing.subarray(0, filled));
  if (isErrno(written)) {
    file.offset = before;
    return written;
  }
  notifyRead(file);
  return filled;
}

function putDirent64(
  at: number,
  limit: number,
  name: string,
  ino: number,
  kind: number,
  next: number,
): number {
  const field = dirent64Layout.at;
  const size = (field.name + name.length + 1 + 7) & ~7;
  if (at + size > limit) return 0;
  setI64(listingView, at + field.ino, ino);
  setI64(listingView, at + field.off, next);
  listingView.setUint16(at + field.reclen, size, true);
  listing[at + field.type] = direntType(kind);
  putName(at + field.name, name, at + size);
  return size;
}

function putDirent(
  at: number,
  limit: number,
  name: string,
  ino: number,
  kind: number,
  next: number,
): number {
  const field = direntLayout.at;
  const size = (field.name + name.length + 2 + 7) & ~7;
  if (at + size > limit) return 0;
  setI64(listingView, at + field.ino, ino);
  setI64(listingView, at + field.off, next);
  listingView.setUint16(at + field.reclen, size, true);
  putName(at + field.name, name, at + size);
  listing[at + size - 1] = direntType(kind);
  return size;
}

function putName(at: number, name: string, end: number): void {
  for (let index = 0; index < name.length; index += 1) listing[at + index] = name.charCodeAt(index);
  listing.fill(0, at + name.length, end);
}

function sysGetdents64(task: Task, args: SyscallArgs): SysResult {
  return getdents(task, args, putDirent64);
}

function sysGetdents(task: Task, args: SyscallArgs): SysResult {
  return getdents(task, args, putDirent);
}

function sysGetcwd(task: Task, args: SyscallArgs): SysResult {
  const { cwd, root } = task.fs;
  if (cwd.dentry.unlinked) return ENOENT;
  const { text, reachable } = climb(cwd, root);
  const shown = reachable ? text : `(unreachable)${text}`;
  if (shown.length + 1 > PATH_MAX + 16) return ERANGE;
  if (shown.length + 1 > args.len(1)) return ERANGE;
  const written = task.memory.write(args.addr(0), Buffer.from(`${shown}\0`, 'latin1'));
  return isErrno(written) ? written : shown.length + 1;
}

function sysChdir(task: Task, args: SyscallArgs): SysResult {
  const path = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  if (isErrno(path)) return path;
  const allowed = searchable(task, path);
  if (isErrno(allowed)) return allowed;
  task.fs.cwd = path;
  return 0;
}

function sysFchdir(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.getAny(args.i32(0));
  if (isErrno(file)) return file;
  if (file.path === undefined) return ENOTDIR;
  const allowed = searchable(task, file.path);
  if (isErrno(allowed)) return allowed;
  task.fs.cwd = file.path;
  return 0;
}

function sysChroot(task: Task, args: SyscallArgs): SysResult {
  const path = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  if (isErrno(path)) return path;
  const allowed = searchable(task, path);
  if (isErrno(allowed)) return allowed;
  if (!isCapable(task.credentials, CAP_SYS_CHROOT)) return EPERM;
  task.fs.root = path;
  return 0;
}

function sysUmask(task: Task, args: SyscallArgs): SysResult {
  const old = task.fs.umask;
  task.fs.umask = args.u32(0) & 0o777;
  return old;
}

function sysLseek(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  const whence = args.u32(2);
  if (whence > 4) return EINVAL;
  return file.seek(args.i64(1), whence);
}

export const directoryRows: readonly Row[] = [
  direct(8, 'lseek', ['fd', 'offset', 'whence'], sysLseek),
  direct(78, 'getdents', ['fd', 'addr', 'uint'], sysGetdents),
  direct(79, 'getcwd', ['addr', 'len'], sysGetcwd),
  direct(80, 'chdir', ['path'], sysChdir),
  direct(81, 'fchdir', ['fd'], sysFchdir),
  direct(83, 'mkdir', ['path', 'mode'], sysMkdir),
  direct(84, 'rmdir', ['path'], sysRmdir),
  direct(95, 'umask', ['mode'], sysUmask),
  direct(161, 'chroot', ['path'], sysChroot),
  direct(217, 'getdents64', ['fd', 'addr', 'uint'], sysGetdents64),
  direct(258, 'mkdirat', ['dirfd', 'path', 'mode'], sysMkdirat),
];
