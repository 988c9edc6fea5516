// SPDX-License-Identifier: Apache-2.0
// ioctl(2): what every file has; the rest is the file's own business.
import { EBADF, ENOTTY, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_ASYNC, O_NONBLOCK } from '../../abi/fcntl.ts';
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE } from '../../abi/ioctl.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/stat.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

function sysIoctl(task: Task, args: SyscallArgs): MaybeBlocking {
  const fd = args.i32(0);
  const command = args.u32(1);
  const argument = args.addr(2);
  const file = task.files.get(fd);
  if (isErrno(file)) return EBADF;
  switch (command) {
    case FIOCLEX:
      task.files.setCloexec(fd, true);
      return 0;
    case FIONCLEX:
      task.files.setCloexec(fd, false);
      return 0;
    case FIONBIO:
      return setFlag(task, file, O_NONBLOCK, argument);
    case FIOASYNC:
      return setFlag(task, file, O_ASYNC, argument);
    case FIOQSIZE:
      return fileSize(task, file, argument);
    case FIONREAD:
      return file.node.kind === S_IFREG
        ? bytesLeft(task, file, argument)
        : file.ioctl(command, argument, task);
    default:
      return file.ioctl(command, argument, task);
  }
}

function setFlag(task: Task, file: OpenFile, flag: number, addr: number): SysResult {
  const view = task.memory.view(addr, 4);
  if (isErrno(view)) return view;
  const on = view.getInt32(0, true) !== 0;
  file.flags = on ? file.flags | flag : file.flags & ~flag;
  file.flagsChanged();
  return 0;
}

function fileSize(task: Task, file: OpenFile, addr: number): SysResult {
  const kind = file.node.kind;
  if (kind !== S_IFREG && kind !== S_IFDIR && kind !== S_IFLNK) return ENOTTY;
  const attributes = file.node.attributes();
  return isErrno(attributes) ? attributes : task.memory.writeU64(addr, attributes.sizeBytes);
}

function bytesLeft(task: Task, file: OpenFile, addr: number): SysResult {
  const attributes = file.node.attributes();
  if (isErrno(attributes)) return attributes;
  return task.memory.writeU32(addr, (attributes.sizeBytes - file.offset) >>> 0);
}

export const ioctlRows: readonly Row[] = [sleeps(16, 'ioctl', ['fd', 'ioctl', 'addr'], sysIoctl)];
