// SPDX-License-Identifier: Apache-2.0
// inotify_init(2), inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2).
import { EINVAL, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_CLOEXEC,
  IN_DONT_FOLLOW,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_NONBLOCK,
  IN_ONESHOT,
  IN_ONLYDIR,
  IN_Q_OVERFLOW,
  IN_UNMOUNT,
} from '../../abi/inotify.ts';
import { Inotify } from '../fs/inotify/inotify.ts';
import type { Task } from '../kernel/task.ts';
import { WALK_DIRECTORY, WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { MAY_READ, mayAccess } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** ALL_INOTIFY_BITS of fs/notify/inotify. */
const knownBits =
  IN_ALL_EVENTS |
  IN_UNMOUNT |
  IN_Q_OVERFLOW |
  IN_IGNORED |
  IN_ONLYDIR |
  IN_DONT_FOLLOW |
  IN_EXCL_UNLINK |
  IN_MASK_ADD |
  IN_MASK_CREATE |
  IN_ISDIR |
  IN_ONESHOT;

function addInstance(task: Task, flags: number): SysResult {
  const { inotifyInstances: instances, inotifyWatches: watches } = task.kernel;
  const inotify = Inotify.open(flags & IN_NONBLOCK, {
    uid: task.credentials.euid,
    instances,
    watches,
  });
  return isErrno(inotify) ? inotify : task.files.add(inotify, (flags & IN_CLOEXEC) !== 0);
}

function sysInotifyInit(task: Task): SysResult {
  return addInstance(task, 0);
}

function sysInotifyInit1(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(0);
  if ((flags & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return EINVAL;
  return addInstance(task, flags);
}

function sysInotifyAddWatch(task: Task, args: SyscallArgs): SysResult {
  const mask = args.u32(2);
  if ((mask & knownBits) === 0) return EINVAL;
  if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return EINVAL;
  const inotify = inotifyAt(task, args.i32(0));
  if (isErrno(inotify)) return inotify;
  const pathname = task.memory.path(args.addr(1));
  if (isErrno(pathname)) return pathname;
  const follow = (mask & IN_DONT_FOLLOW) === 0 ? WALK_FOLLOW : 0;
  const directory = (mask & IN_ONLYDIR) !== 0 ? WALK_DIRECTORY : 0;
  const path = walkPath(task, AT_FDCWD, pathname, follow | directory);
  if (isErrno(path)) return path;
  const allowed = mayAccess(task.credentials, path.node, MAY_READ);
  return isErrno(allowed) ? allowed : inotify.watch(path, mask);
}

function sysInotifyRmWatch(task: Task, args: SyscallArgs): SysResult {
  const inotify = inotifyAt(task, args.i32(0));
  return isErrno(inotify) ? inotify : inotify.unwatch(args.i32(1));
}

function inotifyAt(task: Task, fd: number): Result<Inotify> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof Inotify ? file : EINVAL;
}

export const inotifyRows: readonly Row[] = [
  direct(253, 'inotify_init', [], sysInotifyInit),
  direct(294, 'inotify_init1', ['openFlags'], sysInotifyInit1),
  direct(254, 'inotify_add_watch', ['fd', 'path', 'hex'], sysInotifyAddWatch),
  direct(255, 'inotify_rm_watch', ['fd', 'int'], sysInotifyRmWatch),
];
