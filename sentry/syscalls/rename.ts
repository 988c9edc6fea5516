// SPDX-License-Identifier: Apache-2.0
// rename(2), renameat(2), renameat2(2).
import { isErrno, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import type { Task } from '../kernel/task.ts';
import { renamePath } from '../vfs/rename.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function renamePaths(
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
  return isErrno(newPath) ? newPath : renamePath(task, oldFd, oldPath, newFd, newPath, flags);
}

function sysRename(task: Task, args: SyscallArgs): SysResult {
  return renamePaths(task, AT_FDCWD, args.addr(0), AT_FDCWD, args.addr(1), 0);
}

function sysRenameat(task: Task, args: SyscallArgs): SysResult {
  return renamePaths(task, args.i32(0), args.addr(1), args.i32(2), args.addr(3), 0);
}

function sysRenameat2(task: Task, args: SyscallArgs): SysResult {
  return renamePaths(task, args.i32(0), args.addr(1), args.i32(2), args.addr(3), args.u32(4));
}

export const renameRows: readonly Row[] = [
  direct(82, 'rename', ['path', 'path'], sysRename),
  direct(264, 'renameat', ['dirfd', 'path', 'dirfd', 'path'], sysRenameat),
  direct(316, 'renameat2', ['dirfd', 'path', 'dirfd', 'path', 'hex'], sysRenameat2, {
    partial: 'RENAME_WHITEOUT is refused (EINVAL)',
  }),
];
