// SPDX-License-Identifier: Apache-2.0
// fcntl(2): descriptors, status flags, locks, pipe sizes, seals, owners.
import { CAP_SYS_RESOURCE } from '../../abi/capability.ts';
import { EBADF, EINVAL, EPERM, ESRCH, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  F_ADD_SEALS,
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_DUPFD_QUERY,
  F_GET_SEALS,
  F_GETFD,
  F_GETFL,
  F_GETLEASE,
  F_GETLK,
  F_GETOWN,
  F_GETOWN_EX,
  F_GETPIPE_SZ,
  F_GETSIG,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_OWNER_PGRP,
  F_OWNER_PID,
  F_OWNER_TID,
  F_SETFD,
  F_SETFL,
  F_SETLK,
  F_SETLKW,
  F_SETOWN,
  F_SETOWN_EX,
  F_SETPIPE_SZ,
  F_SETSIG,
  F_UNLCK,
  FD_CLOEXEC,
  fOwnerExLayout,
  O_APPEND,
  O_ASYNC,
  O_DIRECT,
  O_NOATIME,
  O_NONBLOCK,
  O_PATH,
} from '../../abi/fcntl.ts';
import { S_IFIFO, S_IFREG } from '../../abi/stat.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { ioReceiver, setAsync } from '../kernel/async-io.ts';
import { pidSeenFrom } from '../kernel/pid-namespace.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { IoOwner, OpenFile } from '../vfs/open-file.ts';
import { isOwner } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { recordLock } from './file-locks.ts';

/** O_ASYNC is not among them: it means something only where the file sends signals. */
const settableFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

const nobody: IoOwner = {
  type: F_OWNER_TID,
  id: 0,
  pids: undefined,
  signal: 0,
  receiver: undefined,
};

function sysFcntl(task: Task, args: SyscallArgs): MaybeBlocking {
  const fd = args.i32(0);
  const command = args.u32(1);
  const file = task.files.getAny(fd);
  if (isErrno(file)) return file;
  const forDescriptor = descriptorCommand(task, fd, file, command, args);
  if (forDescriptor !== undefined) return forDescriptor;
  if ((file.flags & O_PATH) !== 0) return EBADF;
  switch (command) {
    case F_SETFL:
      return setFlags(task, fd, file, args.u32(2));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
      return recordLock(task, fd, file, command, args.addr(2));
    case F_GETPIPE_SZ:
      return file.pipeCapacity();
    case F_SETPIPE_SZ:
      return file.setPipeCapacity(args.u32(2), isCapable(task.credentials, CAP_SYS_RESOURCE));
    case F_GET_SEALS:
      return file.seals();
    case F_ADD_SEALS:
      return file.addSeals(args.u32(2));
    case F_GETLEASE:
      return F_UNLCK;
    default:
      return ownerCommand(task, file, command, args);
  }
}

/** Handles the commands that O_PATH descriptors know too; undefined for another command. */
function descriptorCommand(
  task: Task,
  fd: number,
  file: OpenFile,
  command: number,
  args: SyscallArgs,
): SysResult | undefined {
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return duplicate(task, file, args.u32(2), command === F_DUPFD_CLOEXEC);
    case F_DUPFD_QUERY:
      return task.files.getAny(args.i32(2)) === file
        ? 1
        : isErrno(task.files.getAny(args.i32(2)))
          ? EBADF
          : 0;
    case F_GETFD:
      return task.files.isCloexec(fd) ? FD_CLOEXEC : 0;
    case F_SETFD:
      task.files.setCloexec(fd, (args.u32(2) & FD_CLOEXEC) !== 0);
      return 0;
    case F_GETFL:
      return file.flags;
    default:
      return undefined;
  }
}

function duplicate(task: Task, file: OpenFile, lowest: number, cloexec: boolean): SysResult {
  return lowest >= task.files.limit ? EINVAL : task.files.add(file, cloexec, lowest);
}

function setFlags(task: Task, fd: number, file: OpenFile, wanted: number): SysResult {
  const kind = file.node.kind;
  if ((wanted & O_DIRECT) !== 0 && kind !== S_IFREG && kind !== S_IFIFO) return EINVAL;
  if ((wanted & ~file.flags & O_NOATIME) !== 0) {
    const owner = file.node.ownership();
    if (isErrno(owner)) return owner;
    if (!isOwner(task.credentials, owner)) return EPERM;
  }
  if (((wanted ^ file.flags) & O_ASYNC) !== 0 && file.canSignal)
    setAsync(file, fd, (wanted & O_ASYNC) !== 0);
  file.flags = (file.flags & ~settableFlags) | (wanted & settableFlags);
  file.flagsChanged();
  return 0;
}

function ownerCommand(task: Task, file: OpenFile, command: number, args: SyscallArgs): SysResult {
  const owner = file.ioOwner ?? nobody;
  const id = pidSeenFrom(task.pids, owner.pids, owner.id);
  switch (command) {
    case F_GETOWN:
      return pidOrGroup(task, file);
    case F_SETOWN:
      return setPidOrGroup(task, file, args.i32(2));
    case F_GETSIG:
      return owner.signal;
    case F_SETSIG:
      if (args.u32(2) > 64) return EINVAL;
      file.ioOwner = { ...owner, signal: args.u32(2) };
      return 0;
    case F_GETOWN_EX:
      return writeOwner(task, args.addr(2), owner.type, id);
    case F_SETOWN_EX: {
      const view = task.memory.view(args.addr(2), fOwnerExLayout.size);
      if (isErrno(view)) return view;
      const type = view.getInt32(fOwnerExLayout.at.type, true);
      if (type < F_OWNER_TID || type > F_OWNER_PGRP) return EINVAL;
      return setOwner(task, file, type, view.getInt32(fOwnerExLayout.at.pid, true));
    }
    default:
      return EINVAL;
  }
}

/** F_GETOWN, FIOGETOWN and SIOCGPGRP: a process group as its negative id. */
export function pidOrGroup(task: Task, file: OpenFile): number {
  const owner = file.ioOwner ?? nobody;
  const id = pidSeenFrom(task.pids, owner.pids, owner.id);
  return owner.type === F_OWNER_PGRP ? -id : id;
}

/** F_SETOWN, FIOSETOWN and SIOCSPGRP. */
export function setPidOrGroup(task: Task, file: OpenFile, wanted: number): SysResult {
  if (wanted === -0x8000_0000) return EINVAL;
  return setOwner(task, file, wanted < 0 ? F_OWNER_PGRP : F_OWNER_PID, Math.abs(wanted));
}

function setOwner(task: Task, file: OpenFile, type: number, id: number): SysResult {
  if (id < 0 || (id !== 0 && !task.pids.isTaken(id))) return ESRCH;
  file.ioOwner = {
    type,
    id,
    pids: task.pids,
    signal: file.ioOwner?.signal ?? 0,
    receiver: id === 0 ? undefined : ioReceiver(task, type, id),
  };
  return 0;
}

function writeOwner(task: Task, addr: number, type: number, id: number): SysResult {
  const view = new DataView(new ArrayBuffer(fOwnerExLayout.size));
  view.setInt32(fOwnerExLayout.at.type, type, true);
  view.setInt32(fOwnerExLayout.at.pid, id, true);
  return task.memory.write(addr, new Uint8Array(view.buffer));
}

export const fcntlRows: readonly Row[] = [
  sleeps(72, 'fcntl', ['fd', 'fcntl', 'hex'], sysFcntl, {
    partial: 'no leases, no dnotify',
  }),
];
