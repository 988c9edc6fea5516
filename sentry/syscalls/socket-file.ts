// SPDX-License-Identifier: Apache-2.0
// From a descriptor to a socket.
import { ENOTSOCK, isErrno, type Result } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import { Socket } from '../net/socket.ts';

export function socketAt(task: Task, fd: number): Result<Socket> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof Socket ? file : ENOTSOCK;
}
