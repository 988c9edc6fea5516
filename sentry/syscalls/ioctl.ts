// SPDX-License-Identifier: Apache-2.0
// ioctl(2): what every file has; the rest is the file's own business.
import { EBADF, ENOTTY, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_ASYNC, O_NONBLOCK } from '../../abi/fcntl.ts';
import {
  FIOASYNC,
  FIOCLEX,
  FIOGETOWN,
  FIONBIO,
  FIONCLEX,
  FIONREAD,
  FIOQSIZE,
  FIOSETOWN,
  SIOCGPGRP,
  SIOCSPGRP,
} from '../../abi/ioctl.ts';
import { S_IFDIR, S_IFLNK, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { setAsync } from '../kernel/async-io.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { pidOrGroup, setPidOrGroup } from './fcntl.ts';

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
      return setNonblock(task, file, argument);
    case FIOASYNC:
      return switchAsync(task, fd, file, argument);
    case FIOQSIZE:
      return fileSize(task, file, argument);
    case FIONREAD:
      return file.node.kind === S_IFREG
        ? bytesLeft(task, file, argument)
        : file.ioctl(command, argument, task);
    default:
      return ownerOfSocket(task, file, command, argument) ?? file.ioctl(command, argument, task);
  }
}

function setNonblock(task: Task, file: OpenFile, addr: number): SysResult {
  const view = task.memory.view(addr, 4);
  if (isErrno(view)) return view;
  const isOn = view.getInt32(0, true) !== 0;
  file.flags = isOn ? file.flags | O_NONBLOCK : file.flags & ~O_NONBLOCK;
  file.flagsChanged();
  return 0;
}

function switchAsync(task: Task, fd: number, file: OpenFile, addr: number): SysResult {
  const view = task.memory.view(addr, 4);
  if (isErrno(view)) return view;
  const isOn = view.getInt32(0, true) !== 0;
  if (isOn === ((file.flags & O_ASYNC) !== 0)) return 0;
  if (!file.canSignal) return ENOTTY;
  setAsync(file, fd, isOn);
  return 0;
}

/** FIOSETOWN and its relatives, which sockets alone know; undefined for other commands. */
function ownerOfSocket(
  task: Task,
  file: OpenFile,
  command: number,
  addr: number,
): SysResult | undefined {
  if (file.node.kind !== S_IFSOCK) return undefined;
  if (command === FIOGETOWN || command === SIOCGPGRP)
    return task.memory.writeU32(addr, pidOrGroup(task, file) >>> 0);
  if (command !== FIOSETOWN && command !== SIOCSPGRP) return undefined;
  const view = task.memory.view(addr, 4);
  return isErrno(view) ? view : setPidOrGroup(task, file, view.getInt32(0, true));
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
