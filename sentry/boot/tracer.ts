// `runts do --strace`: each call of the guest as a line, written when it has its result.
import { isErrno, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import type { Task } from '../kernel/task.ts';
import { formatCall, formatResult } from '../strace/format.ts';
import type { SyscallTracer } from '../syscalls/dispatch.ts';
import type { Row } from '../syscalls/entry.ts';

/** `failed` is told once, with the errno, when lines are lost. */
export function newTracer(fd: number, failed: (errno: SysResult) => void): SyscallTracer {
  let isLosing = false;
  const write = (text: string): void => {
    const bytes = Buffer.from(text, 'latin1');
    const wrote = native.write(fd, bytes, 0, bytes.length);
    if (isErrno(wrote) && !isLosing) {
      isLosing = true;
      failed(wrote);
    }
  };
  return {
    entered: (task, row) => formatCall(task, row, task.args, task.memory),
    left: (_task: Task, row: Row | undefined, call: string, result: SysResult) => {
      write(`${call}${Number.isNaN(result) ? ' = ?' : formatResult(row, result)}\n`);
    },
  };
}
