// SPDX-License-Identifier: Apache-2.0
// fsync(2), fdatasync(2), sync(2), syncfs(2), sync_file_range(2), posix_fadvise(2), readahead(2).
import { EBADF, EINVAL, ESPIPE, isErrno, type SysResult } from '../../abi/errno.ts';
import { canRead, POSIX_FADV_NOREUSE, SYNC_FILE_RANGE_ALL } from '../../abi/fcntl.ts';
import { S_IFBLK, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../abi/stat.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

function sysFsync(task: Task, args: SyscallArgs): MaybeBlocking {
  const file = task.files.get(args.i32(0));
  return isErrno(file) ? file : file.sync();
}

function sysSync(task: Task): SysResult {
  let root = task.fs.root.mount;
  while (root?.parent !== undefined) root = root.parent;
  const pending = root === undefined ? [] : [root];
  for (let mount = pending.pop(); mount !== undefined; mount = pending.pop()) {
    mount.filesystem.sync();
    pending.push(...mount.children.values());
  }
  return 0;
}

function sysSyncfs(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.get(args.i32(0));
  return isErrno(file) ? file : file.node.filesystem.sync();
}

function sysSyncFileRange(task: Task, args: SyscallArgs): MaybeBlocking {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  const offset = args.i64(1);
  const length = args.i64(2);
  if (offset < 0 || length < 0 || (args.u32(3) & ~SYNC_FILE_RANGE_ALL) !== 0) return EINVAL;
  const { kind } = file.node;
  if (kind !== S_IFREG && kind !== S_IFBLK && kind !== S_IFDIR && kind !== S_IFLNK) return ESPIPE;
  // No page cache of our own lies between: syncing all of it is what the range needs.
  return kind === S_IFREG ? file.sync() : 0;
}

/** Advice about a page cache that is the host's: nothing depends on it, but the arguments are checked. */
function sysFadvise64(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (file.node.kind === S_IFIFO) return ESPIPE;
  return args.i64(2) < 0 || args.u32(3) > POSIX_FADV_NOREUSE ? EINVAL : 0;
}

function sysReadahead(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (!canRead(file.flags)) return EBADF;
  return file.node.kind === S_IFREG || file.node.kind === S_IFBLK ? 0 : EINVAL;
}

export const syncRows: readonly Row[] = [
  sleeps(74, 'fsync', ['fd'], sysFsync),
  sleeps(75, 'fdatasync', ['fd'], sysFsync),
  direct(162, 'sync', [], sysSync),
  direct(187, 'readahead', ['fd', 'offset', 'len'], sysReadahead),
  direct(221, 'fadvise64', ['fd', 'offset', 'len', 'int'], sysFadvise64),
  sleeps(277, 'sync_file_range', ['fd', 'offset', 'offset', 'hex'], sysSyncFileRange),
  direct(306, 'syncfs', ['fd'], sysSyncfs),
];
