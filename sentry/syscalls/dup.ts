// SPDX-License-Identifier: Apache-2.0
// dup(2), dup2(2), dup3(2).
import { EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_CLOEXEC } from '../../abi/fcntl.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function sysDup(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.getAny(args.i32(0));
  return isErrno(file) ? file : task.files.add(file, false);
}

function sysDup2(task: Task, args: SyscallArgs): SysResult {
  const from = args.i32(0);
  const to = args.i32(1);
  const file = task.files.getAny(from);
  if (isErrno(file)) return file;
  return from === to ? to : task.files.replace(to, file, false);
}

function sysDup3(task: Task, args: SyscallArgs): SysResult {
  const flags = args.i32(2);
  const from = args.i32(0);
  const to = args.i32(1);
  if ((flags & ~O_CLOEXEC) !== 0 || from === to) return EINVAL;
  const file = task.files.getAny(from);
  return isErrno(file) ? file : task.files.replace(to, file, (flags & O_CLOEXEC) !== 0);
}

export const dupRows: readonly Row[] = [
  direct(32, 'dup', ['fd'], sysDup),
  direct(33, 'dup2', ['fd', 'fd'], sysDup2),
  direct(292, 'dup3', ['fd', 'fd', 'openFlags'], sysDup3),
];
