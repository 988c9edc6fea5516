// SPDX-License-Identifier: Apache-2.0
// pipe(2), pipe2(2).
import { EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../abi/fcntl.ts';
import { newPipe } from '../fs/pipe/pipe-end.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function sysPipe(task: Task, args: SyscallArgs): SysResult {
  return pipeAt(task, args.addr(0), 0);
}

function sysPipe2(task: Task, args: SyscallArgs): SysResult {
  return pipeAt(task, args.addr(0), args.i32(1));
}

function pipeAt(task: Task, addr: number, flags: number): SysResult {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return EINVAL;
  const [reader, writer] = newPipe(
    flags & (O_NONBLOCK | O_DIRECT),
    task.credentials,
    task.kernel.clock,
  );
  return addPair(task, addr, reader, writer, (flags & O_CLOEXEC) !== 0);
}

/** Gives two new files descriptors and stores them as int[2]: for pipe and socketpair. */
export function addPair(
  task: Task,
  addr: number,
  first: OpenFile,
  second: OpenFile,
  cloexec: boolean,
): SysResult {
  // Held here so that a failure below closes both.
  first.acquire();
  second.acquire();
  const result = storePair(task, addr, first, second, cloexec);
  first.release();
  second.release();
  return result;
}

function storePair(
  task: Task,
  addr: number,
  first: OpenFile,
  second: OpenFile,
  cloexec: boolean,
): SysResult {
  const firstFd = task.files.add(first, cloexec);
  if (isErrno(firstFd)) return firstFd;
  const secondFd = task.files.add(second, cloexec);
  if (isErrno(secondFd)) {
    task.files.remove(firstFd);
    return secondFd;
  }
  const pair = new Int32Array([firstFd, secondFd]);
  const copied = task.memory.write(addr, new Uint8Array(pair.buffer));
  if (!isErrno(copied)) return 0;
  // No other code ran since `add`: no sibling thread has seen the descriptors.
  task.files.remove(firstFd);
  task.files.remove(secondFd);
  return copied;
}

export const pipeRows: readonly Row[] = [
  direct(22, 'pipe', ['fdPair'], sysPipe),
  direct(293, 'pipe2', ['fdPair', 'openFlags'], sysPipe2),
];
