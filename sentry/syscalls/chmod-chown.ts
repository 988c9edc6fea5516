// SPDX-License-Identifier: Apache-2.0
// chmod(2), fchmod(2), fchmodat(2), chown(2), fchown(2), lchown(2), fchownat(2), utime(2),
// utimes(2), futimesat(2), utimensat(2).
import {
  EACCES,
  EBADF,
  EINVAL,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import {
  S_IALLUGO,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_ISGID,
  S_ISUID,
  UTIME_NOW,
  UTIME_OMIT,
} from '../../abi/stat.ts';
import { getI64, readTimeval } from '../../abi/time.ts';
import type { WallTime } from '../base/clock.ts';
import { coarseRealtime } from '../base/clock.ts';
import type { Task } from '../kernel/task.ts';
import { type AttributeChange, isUnmapped, type Node, type Ownership } from '../vfs/node.ts';
import { notifyAttributes } from '../vfs/notify.ts';
import { anonymousPath, type Path } from '../vfs/path.ts';
import {
  chmodMode,
  isOwner,
  MAY_WRITE,
  mayAccess,
  mayChown,
  mayWriteMount,
  withoutSetIds,
} from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { pathArgument } from './stat.ts';

/** A descriptor's place; files without a path get an anonymous one. */
export function pathOfFd(task: Task, fd: number, withOPath: boolean): Result<Path> {
  const file = withOPath ? task.files.getAny(fd) : task.files.get(fd);
  if (isErrno(file)) return EBADF;
  return file.path ?? anonymousPath(file.node, file.description);
}

/** Changes attributes and tells watchers. */
export function changeAttributes(path: Path, change: AttributeChange): SysResult {
  const done = path.node.setAttributes(change);
  if (!isErrno(done)) notifyAttributes(path.dentry);
  return done;
}

function chmodPath(task: Task, path: Result<Path>, mode: number): SysResult {
  if (isErrno(path)) return path;
  const readOnly = mayWriteMount(path.mount);
  if (isErrno(readOnly)) return readOnly;
  if (path.node.kind === S_IFLNK) return EOPNOTSUPP;
  const owner = path.node.ownership();
  if (isErrno(owner)) return owner;
  if (isUnmapped(owner.uid, owner.gid)) return EOVERFLOW;
  const granted = chmodMode(task.credentials, owner, mode & S_IALLUGO);
  return isErrno(granted) ? granted : changeAttributes(path, { mode: granted });
}

function sysChmod(task: Task, args: SyscallArgs): SysResult {
  return chmodPath(task, pathArgument(task, AT_FDCWD, args.addr(0), 0), args.u32(1));
}

function sysFchmod(task: Task, args: SyscallArgs): SysResult {
  return chmodPath(task, pathOfFd(task, args.i32(0), false), args.u32(1));
}

function sysFchmodat(task: Task, args: SyscallArgs): SysResult {
  return chmodPath(task, pathArgument(task, args.i32(0), args.addr(1), 0), args.u32(2));
}

function sysFchmodat2(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  return chmodPath(task, pathArgument(task, args.i32(0), args.addr(1), flags), args.u32(2));
}

function chownPath(task: Task, path: Result<Path>, uid: number, gid: number): SysResult {
  if (isErrno(path)) return path;
  const readOnly = mayWriteMount(path.mount);
  if (isErrno(readOnly)) return readOnly;
  const owner = path.node.ownership();
  if (isErrno(owner)) return owner;
  const possible = mayHaveOwner(path.node, owner, uid, gid);
  if (isErrno(possible)) return possible;
  const allowed = mayChown(task.credentials, owner, uid, gid);
  if (isErrno(allowed)) return allowed;
  const mode = owner.mode;
  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  const clears = !isDirectory && (mode & (S_ISUID | S_ISGID)) !== 0;
  if (!isDirectory) path.node.dropFileCapabilities();
  return changeAttributes(path, {
    ...(uid === -1 ? {} : { uid: uid >>> 0 }),
    ...(gid === -1 ? {} : { gid: gid >>> 0 }),
    ...(clears ? { mode: withoutSetIds(task.credentials, owner) & S_IALLUGO } : {}),
  });
}

/** notify_change of fs/attr.c: the new owner must have an id there, and so must the one who stays. */
function mayHaveOwner(node: Node, owner: Ownership, uid: number, gid: number): SysResult {
  const possible = node.mayBelongTo(
    uid === -1 ? undefined : uid >>> 0,
    gid === -1 ? undefined : gid >>> 0,
  );
  if (isErrno(possible)) return possible;
  const staying = isUnmapped(uid === -1 ? owner.uid : 0, gid === -1 ? owner.gid : 0);
  return staying ? EOVERFLOW : 0;
}

function sysChown(task: Task, args: SyscallArgs): SysResult {
  return chownPath(task, pathArgument(task, AT_FDCWD, args.addr(0), 0), args.i32(1), args.i32(2));
}

function sysLchown(task: Task, args: SyscallArgs): SysResult {
  return chownPath(
    task,
    pathArgument(task, AT_FDCWD, args.addr(0), AT_SYMLINK_NOFOLLOW),
    args.i32(1),
    args.i32(2),
  );
}

function sysFchown(task: Task, args: SyscallArgs): SysResult {
  return chownPath(task, pathOfFd(task, args.i32(0), false), args.i32(1), args.i32(2));
}

function sysFchownat(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(4);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  return chownPath(
    task,
    pathArgument(task, args.i32(0), args.addr(1), flags),
    args.i32(2),
    args.i32(3),
  );
}

/**
 * The change of one of the two times. 'now' needs write permission only; a time needs ownership.
 */
type NewTime = WallTime | 'now' | 'omit';

function setTimes(task: Task, path: Result<Path>, atime: NewTime, mtime: NewTime): SysResult {
  if (isErrno(path)) return path;
  if (atime === 'omit' && mtime === 'omit') return 0;
  const readOnly = mayWriteMount(path.mount);
  if (isErrno(readOnly)) return readOnly;
  const owner = path.node.ownership();
  if (isErrno(owner)) return owner;
  const isNow = atime === 'now' && mtime === 'now';
  if (!isNow && isUnmapped(owner.uid, owner.gid)) return EOVERFLOW;
  if (!isOwner(task.credentials, owner)) {
    if (!isNow) return EPERM;
    if (isErrno(mayAccess(task.credentials, path.node, MAY_WRITE))) return EACCES;
  }
  const now = coarseRealtime(task.kernel.clock);
  return changeAttributes(path, {
    ...(atime === 'omit' ? {} : { atime: atime === 'now' ? now : atime }),
    ...(mtime === 'omit' ? {} : { mtime: mtime === 'now' ? now : mtime }),
  });
}

function sysUtimensat(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  let atime: NewTime = 'now';
  let mtime: NewTime = 'now';
  if (args.addr(2) !== 0) {
    const view = task.memory.view(args.addr(2), 32);
    if (isErrno(view)) return view;
    const first = newTime(view, 0);
    const second = newTime(view, 16);
    if (first === undefined || second === undefined) return EINVAL;
    atime = first;
    mtime = second;
  }
  // A null path means the descriptor itself: futimens(3).
  if (args.addr(1) === 0 && args.i32(0) !== AT_FDCWD) {
    if (flags !== 0) return EINVAL;
    return setTimes(task, pathOfFd(task, args.i32(0), false), atime, mtime);
  }
  return setTimes(task, pathArgument(task, args.i32(0), args.addr(1), flags), atime, mtime);
}

function newTime(view: DataView, at: number): NewTime | undefined {
  const nsec = getI64(view, at + 8);
  if (nsec === UTIME_NOW) return 'now';
  if (nsec === UTIME_OMIT) return 'omit';
  return nsec < 0 || nsec >= 1e9 ? undefined : { sec: getI64(view, at), nsec };
}

function utimesPath(task: Task, dirfd: number, pathAddr: number, timesAddr: number): SysResult {
  let atime: NewTime = 'now';
  let mtime: NewTime = 'now';
  if (timesAddr !== 0) {
    const view = task.memory.view(timesAddr, 32);
    if (isErrno(view)) return view;
    const first = readTimeval(view, 0);
    const second = readTimeval(view, 16);
    if (isErrno(first) || isErrno(second)) return EINVAL;
    atime = first;
    mtime = second;
  }
  if (pathAddr === 0 && dirfd !== AT_FDCWD)
    return setTimes(task, pathOfFd(task, dirfd, false), atime, mtime);
  return setTimes(task, pathArgument(task, dirfd, pathAddr, 0), atime, mtime);
}

function sysUtimes(task: Task, args: SyscallArgs): SysResult {
  return utimesPath(task, AT_FDCWD, args.addr(0), args.addr(1));
}

function sysFutimesat(task: Task, args: SyscallArgs): SysResult {
  return utimesPath(task, args.i32(0), args.addr(1), args.addr(2));
}

/** utime(2): struct utimbuf, whole seconds. */
function sysUtime(task: Task, args: SyscallArgs): SysResult {
  const path = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  if (args.addr(1) === 0) return setTimes(task, path, 'now', 'now');
  const view = task.memory.view(args.addr(1), 16);
  if (isErrno(view)) return view;
  return setTimes(task, path, { sec: getI64(view, 0), nsec: 0 }, { sec: getI64(view, 8), nsec: 0 });
}

export const chmodChownRows: readonly Row[] = [
  direct(90, 'chmod', ['path', 'mode'], sysChmod),
  direct(91, 'fchmod', ['fd', 'mode'], sysFchmod),
  direct(92, 'chown', ['path', 'uid', 'gid'], sysChown),
  direct(93, 'fchown', ['fd', 'uid', 'gid'], sysFchown),
  direct(94, 'lchown', ['path', 'uid', 'gid'], sysLchown),
  direct(132, 'utime', ['path', 'addr'], sysUtime),
  direct(235, 'utimes', ['path', 'addr'], sysUtimes),
  direct(260, 'fchownat', ['dirfd', 'path', 'uid', 'gid', 'atFlags'], sysFchownat),
  direct(261, 'futimesat', ['dirfd', 'path', 'addr'], sysFutimesat),
  direct(268, 'fchmodat', ['dirfd', 'path', 'mode'], sysFchmodat),
  direct(280, 'utimensat', ['dirfd', 'path', 'addr', 'atFlags'], sysUtimensat),
  direct(452, 'fchmodat2', ['dirfd', 'path', 'mode', 'atFlags'], sysFchmodat2),
];
