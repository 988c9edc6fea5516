// SPDX-License-Identifier: Apache-2.0
// From a stopped task to its syscall's row, and the trace of both ends of the call.
import { ENOSYS, type SysResult } from '../../abi/errno.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import type { TaskObserver } from '../kernel/kernel.ts';
import { enforce } from '../kernel/seccomp/enforce.ts';
import type { Task } from '../kernel/task.ts';
import type { Row } from './entry.ts';

/** Told of every call when tracing is on (`runts do --strace`). */
export interface SyscallTracer extends TaskObserver {
  entered(task: Task, row: Row | undefined): void;
  left(task: Task, result: SysResult): void;
}

/** The Kernel's `dispatch` over a table indexed by syscall number. */
export function dispatcher(table: readonly (Row | undefined)[]): (task: Task) => MaybeBlocking {
  return (task) => {
    const { seccomp } = task;
    if (seccomp !== undefined) {
      const answer = enforce(task, seccomp);
      if (answer !== undefined) return answer;
    }
    const row = table[task.args.number];
    return row === undefined ? ENOSYS : call(row, task);
  };
}

function call(row: Row, task: Task): MaybeBlocking {
  return row.mode === 'absent' ? row.errno : row.handler(task, task.args);
}

export function tracingDispatcher(
  table: readonly (Row | undefined)[],
  tracer: SyscallTracer,
): (task: Task) => MaybeBlocking {
  return (task) => {
    const row = table[task.args.number];
    tracer.entered(task, row);
    const refusal = task.seccomp === undefined ? undefined : enforce(task, task.seccomp);
    const answer = refusal ?? (row === undefined ? ENOSYS : call(row, task));
    if (typeof answer !== 'number') return traced(task, answer, tracer);
    tracer.left(task, answer);
    return answer;
  };
}

function* traced(
  task: Task,
  blocking: Blocking<SysResult>,
  tracer: SyscallTracer,
): Blocking<SysResult> {
  let result: SysResult = Number.NaN;
  try {
    result = yield* blocking;
    return result;
  } finally {
    tracer.left(task, result);
  }
}
