// SPDX-License-Identifier: Apache-2.0
// stat(2), fstat(2), lstat(2), fstatat(2), statx(2), access(2), statfs(2).
import { EACCES, EINVAL, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_SYNC_TYPE,
  AT_SYMLINK_NOFOLLOW,
} from '../../abi/fcntl.ts';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_RELATIME,
  ST_NOATIME,
  ST_RELATIME,
  ST_VALID,
  statfsLayout,
} from '../../abi/fs.ts';
import {
  deviceMajor,
  deviceMinor,
  R_OK,
  S_IFREG,
  STATX__RESERVED,
  STATX_ATTR_MOUNT_ROOT,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
  statLayout,
  statxLayout,
  W_OK,
  X_OK,
} from '../../abi/stat.ts';
import { setI64 } from '../../abi/time.ts';
import type { Task } from '../kernel/task.ts';
import { type Attributes, shownId } from '../vfs/node.ts';
import type { Path } from '../vfs/path.ts';
import { WALK_EMPTY, WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import {
  MAY_EXEC,
  MAY_WRITE,
  mayAccess,
  mayAccessPath,
  realCredentials,
} from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** One buffer for all calls: filled and copied out in one turn. */
const statBytes = new Uint8Array(statLayout.size);
const statView = new DataView(statBytes.buffer);
const statxBytes = new Uint8Array(statxLayout.size);
const statxView = new DataView(statxBytes.buffer);
const statfsBytes = new Uint8Array(statfsLayout.size);
const statfsView = new DataView(statfsBytes.buffer);

/** WALK_* of the AT_* flags that many calls share. */
export function walkFlagsOf(atFlags: number): number {
  const follow = (atFlags & AT_SYMLINK_NOFOLLOW) === 0 ? WALK_FOLLOW : 0;
  return (atFlags & AT_EMPTY_PATH) === 0 ? follow : follow | WALK_EMPTY;
}

/** The place that a (dirfd, path, AT_ flags) triple of a call names. */
export function pathArgument(
  task: Task,
  dirfd: number,
  pathAddr: number,
  atFlags: number,
): Result<Path> {
  const pathname = task.memory.path(pathAddr);
  return isErrno(pathname) ? pathname : walkPath(task, dirfd, pathname, walkFlagsOf(atFlags));
}

function statPath(
  task: Task,
  dirfd: number,
  pathAddr: number,
  atFlags: number,
  statAddr: number,
): SysResult {
  const path = pathArgument(task, dirfd, pathAddr, atFlags);
  if (isErrno(path)) return path;
  return writeStat(task, path.node.attributes(), statAddr);
}

function writeStat(task: Task, attributes: Result<Attributes>, statAddr: number): SysResult {
  if (isErrno(attributes)) return attributes;
  const { at } = statLayout;
  setI64(statView, at.dev, attributes.dev);
  setI64(statView, at.ino, attributes.ino);
  setI64(statView, at.nlink, attributes.nlink);
  statView.setUint32(at.mode, attributes.mode, true);
  statView.setUint32(at.uid, shownId(attributes.uid), true);
  statView.setUint32(at.gid, shownId(attributes.gid), true);
  setI64(statView, at.rdev, attributes.rdev);
  setI64(statView, at.size, attributes.sizeBytes);
  setI64(statView, at.blksize, attributes.blockSize);
  setI64(statView, at.blocks, attributes.blocks);
  setI64(statView, at.atime, attributes.atime.sec);
  setI64(statView, at.atimeNsec, attributes.atime.nsec);
  setI64(statView, at.mtime, attributes.mtime.sec);
  setI64(statView, at.mtimeNsec, attributes.mtime.nsec);
  setI64(statView, at.ctime, attributes.ctime.sec);
  setI64(statView, at.ctimeNsec, attributes.ctime.nsec);
  return task.memory.write(statAddr, statBytes);
}

function sysStat(task: Task, args: SyscallArgs): SysResult {
  return statPath(task, AT_FDCWD, args.addr(0), 0, args.addr(1));
}

function sysLstat(task: Task, args: SyscallArgs): SysResult {
  return statPath(task, AT_FDCWD, args.addr(0), AT_SYMLINK_NOFOLLOW, args.addr(1));
}

function sysFstat(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.getAny(args.i32(0));
  if (isErrno(file)) return file;
  return writeStat(task, file.node.attributes(), args.addr(1));
}

function sysNewfstatat(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)) !== 0) return EINVAL;
  // glibc's fstat(fd) is this call with an empty path: spare it the walk.
  if ((flags & AT_EMPTY_PATH) !== 0) {
    const pathname = task.memory.path(args.addr(1));
    if (pathname === '' && args.i32(0) !== AT_FDCWD) {
      const file = task.files.getAny(args.i32(0));
      return isErrno(file) ? file : writeStat(task, file.node.attributes(), args.addr(2));
    }
  }
  return statPath(task, args.i32(0), args.addr(1), flags, args.addr(2));
}

function sysStatx(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(2);
  const mask = args.u32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) !== 0)
    return EINVAL;
  if ((mask & STATX__RESERVED) !== 0 || (flags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE)
    return EINVAL;
  const path = pathArgument(task, args.i32(0), args.addr(1), flags);
  if (isErrno(path)) return path;
  const attributes = path.node.attributes();
  if (isErrno(attributes)) return attributes;
  fillStatx(attributes, path, mask);
  return task.memory.write(args.addr(4), statxBytes);
}

function fillStatx(attributes: Attributes, path: Path, mask: number): void {
  const { at } = statxLayout;
  const isMountRoot = path.mount !== undefined && path.dentry === path.mount.root;
  statxView.setUint32(at.mask, STATX_BASIC_STATS | STATX_BTIME | (mask & STATX_MNT_ID), true);
  statxView.setUint32(at.blksize, attributes.blockSize, true);
  setI64(statxView, at.attributes, isMountRoot ? STATX_ATTR_MOUNT_ROOT : 0);
  statxView.setUint32(at.nlink, attributes.nlink, true);
  statxView.setUint32(at.uid, shownId(attributes.uid), true);
  statxView.setUint32(at.gid, shownId(attributes.gid), true);
  statxView.setUint16(at.mode, attributes.mode, true);
  setI64(statxView, at.ino, attributes.ino);
  setI64(statxView, at.size, attributes.sizeBytes);
  setI64(statxView, at.blocks, attributes.blocks);
  setI64(statxView, at.attributesMask, STATX_ATTR_MOUNT_ROOT);
  setStatxTime(at.atime, attributes.atime);
  setStatxTime(at.btime, attributes.btime);
  setStatxTime(at.ctime, attributes.ctime);
  setStatxTime(at.mtime, attributes.mtime);
  statxView.setUint32(at.rdevMajor, deviceMajor(attributes.rdev), true);
  statxView.setUint32(at.rdevMinor, deviceMinor(attributes.rdev), true);
  statxView.setUint32(at.devMajor, deviceMajor(attributes.dev), true);
  statxView.setUint32(at.devMinor, deviceMinor(attributes.dev), true);
  setI64(statxView, at.mntId, (mask & STATX_MNT_ID) === 0 ? 0 : (path.mount?.id ?? 0));
}

function setStatxTime(at: number, time: Attributes['atime']): void {
  setI64(statxView, at, time.sec);
  statxView.setUint32(at + 8, time.nsec, true);
}

function accessPath(
  task: Task,
  dirfd: number,
  pathAddr: number,
  mode: number,
  flags: number,
): SysResult {
  if ((mode & ~(R_OK | W_OK | X_OK)) !== 0) return EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const pathname = task.memory.path(pathAddr);
  if (isErrno(pathname)) return pathname;
  const permits = (): SysResult => accessIn(task, dirfd, pathname, mode, flags);
  return (flags & AT_EACCESS) !== 0 ? permits() : withRealIds(task, permits);
}

function accessIn(
  task: Task,
  dirfd: number,
  pathname: string,
  mode: number,
  flags: number,
): SysResult {
  const path = walkPath(task, dirfd, pathname, walkFlagsOf(flags));
  if (isErrno(path)) return path;
  // F_OK asks only whether it is there. The bits are those of MAY_*.
  if (mode === 0) return 0;
  if (
    (mode & MAY_EXEC) !== 0 &&
    path.node.kind === S_IFREG &&
    path.mount !== undefined &&
    (path.mount.flags & MS_NOEXEC) !== 0
  )
    return EACCES;
  if ((mode & MAY_WRITE) === 0) return mayAccess(task.credentials, path.node, mode);
  return mayAccessPath(task.credentials, path, mode);
}

/**
 * Runs `body` with the real ids, like Linux's override_creds. File systems must find a whole task
 * in the caller, so the task's ids change for a moment.
 */
function withRealIds(task: Task, body: () => SysResult): SysResult {
  const { credentials } = task;
  const isPlainRoot = credentials.uid === 0 && credentials.effective === credentials.permitted;
  if (credentials.uid === credentials.fsuid && credentials.gid === credentials.fsgid && isPlainRoot)
    return body();
  task.credentials = realCredentials(credentials);
  try {
    return body();
  } finally {
    task.credentials = credentials;
  }
}

function sysAccess(task: Task, args: SyscallArgs): SysResult {
  return accessPath(task, AT_FDCWD, args.addr(0), args.i32(1), 0);
}

function sysFaccessat(task: Task, args: SyscallArgs): SysResult {
  return accessPath(task, args.i32(0), args.addr(1), args.i32(2), 0);
}

function sysFaccessat2(task: Task, args: SyscallArgs): SysResult {
  return accessPath(task, args.i32(0), args.addr(1), args.i32(2), args.i32(3));
}

function sysStatfs(task: Task, args: SyscallArgs): SysResult {
  const path = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  return isErrno(path) ? path : writeStatfs(task, path, args.addr(1));
}

function sysFstatfs(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.getAny(args.i32(0));
  if (isErrno(file)) return file;
  return writeStatfs(task, { mount: file.path?.mount, node: file.node }, args.addr(1));
}

function writeStatfs(task: Task, path: Pick<Path, 'mount' | 'node'>, addr: number): SysResult {
  const { filesystem } = path.node;
  const status = filesystem.status();
  const { at } = statfsLayout;
  setI64(statfsView, at.type, status.type);
  setI64(statfsView, at.bsize, status.blockSize);
  setI64(statfsView, at.blocks, status.blocks);
  setI64(statfsView, at.bfree, status.blocksFree);
  setI64(statfsView, at.bavail, status.blocksFree);
  setI64(statfsView, at.files, status.files);
  setI64(statfsView, at.ffree, status.filesFree);
  setI64(statfsView, at.fsid, filesystem.dev);
  setI64(statfsView, at.namelen, status.nameMax);
  setI64(statfsView, at.frsize, status.blockSize);
  setI64(statfsView, at.flags, ST_VALID | status.flags | mountStatusFlags(path.mount?.flags ?? 0));
  return task.memory.write(addr, statfsBytes);
}

/** ST_RDONLY, ST_NOSUID, ST_NODEV and ST_NOEXEC have the values of their MS_ twins. */
function mountStatusFlags(flags: number): number {
  let bits = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  if ((flags & MS_NOATIME) !== 0) bits |= ST_NOATIME;
  if ((flags & MS_RELATIME) !== 0) bits |= ST_RELATIME;
  return bits;
}

export const statRows: readonly Row[] = [
  direct(4, 'stat', ['path', 'stat'], sysStat),
  direct(5, 'fstat', ['fd', 'stat'], sysFstat),
  direct(6, 'lstat', ['path', 'stat'], sysLstat),
  direct(21, 'access', ['path', 'mode'], sysAccess),
  direct(137, 'statfs', ['path', 'addr'], sysStatfs),
  direct(138, 'fstatfs', ['fd', 'addr'], sysFstatfs),
  direct(262, 'newfstatat', ['dirfd', 'path', 'stat', 'atFlags'], sysNewfstatat),
  direct(269, 'faccessat', ['dirfd', 'path', 'mode'], sysFaccessat),
  direct(332, 'statx', ['dirfd', 'path', 'atFlags', 'hex', 'addr'], sysStatx),
  direct(439, 'faccessat2', ['dirfd', 'path', 'mode', 'atFlags'], sysFaccessat2),
];
