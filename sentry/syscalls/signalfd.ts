// SPDX-License-Identifier: Apache-2.0
// signalfd(2), signalfd4(2).
import { EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { SIGSET_BYTES } from '../../abi/signal.ts';
import { SFD_CLOEXEC, SFD_NONBLOCK } from '../../abi/signalfd.ts';
import { SignalSet } from '../base/sigset.ts';
import { SignalFile } from '../fs/signalfd/signal-file.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function sysSignalfd(task: Task, args: SyscallArgs): SysResult {
  return signalfd(task, args, 0);
}

function sysSignalfd4(task: Task, args: SyscallArgs): SysResult {
  return signalfd(task, args, args.i32(3));
}

function signalfd(task: Task, args: SyscallArgs, flags: number): SysResult {
  const fd = args.i32(0);
  if (args.len(2) !== SIGSET_BYTES) return EINVAL;
  const view = task.memory.view(args.addr(1), SIGSET_BYTES);
  if (isErrno(view)) return view;
  if ((flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)) !== 0) return EINVAL;
  const mask = SignalSet.read(view, 0);
  if (fd === -1) {
    const file = new SignalFile(mask, flags & SFD_NONBLOCK, task.kernel);
    return task.files.add(file, (flags & SFD_CLOEXEC) !== 0);
  }
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  if (!(file instanceof SignalFile)) return EINVAL;
  file.setMask(mask);
  return fd;
}

export const signalfdRows: readonly Row[] = [
  direct(282, 'signalfd', ['fd', 'sigset', 'len'], sysSignalfd),
  direct(289, 'signalfd4', ['fd', 'sigset', 'len', 'openFlags'], sysSignalfd4),
];
