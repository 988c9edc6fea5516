// SPDX-License-Identifier: Apache-2.0
// eventfd(2).
import { EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from '../../abi/eventfd.ts';
import { EventFile } from '../fs/eventfd/eventfd.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function sysEventfd(task: Task, args: SyscallArgs): SysResult {
  return newEventfd(task, args.u32(0), 0);
}

function sysEventfd2(task: Task, args: SyscallArgs): SysResult {
  return newEventfd(task, args.u32(0), args.i32(1));
}

function newEventfd(task: Task, initial: number, flags: number): SysResult {
  if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) !== 0) return EINVAL;
  const next = task.files.next();
  if (isErrno(next)) return next; // A file that no descriptor holds would keep its id.
  const isSemaphore = (flags & EFD_SEMAPHORE) !== 0;
  const file = new EventFile(initial, flags & EFD_NONBLOCK, isSemaphore, task.kernel.eventfdIds);
  return task.files.add(file, (flags & EFD_CLOEXEC) !== 0);
}

export const eventfdRows: readonly Row[] = [
  direct(284, 'eventfd', ['uint'], sysEventfd),
  direct(290, 'eventfd2', ['uint', 'openFlags'], sysEventfd2),
];
