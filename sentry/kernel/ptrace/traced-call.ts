// SPDX-License-Identifier: Apache-2.0
// A system call of a tracee: its stops before and after, and those of the events that it causes.
import { ENOSYS, type SysResult } from '../../../abi/errno.ts';
import {
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_EXIT,
  PTRACE_O_TRACEEXEC,
  PTRACE_O_TRACEEXIT,
} from '../../../abi/ptrace.ts';
import { SI_USER, SIGTRAP, TRAP_TRACE } from '../../../abi/signal.ts';
import { exitedStatus } from '../../../abi/wait.ts';
import type { Blocking, MaybeBlocking } from '../../base/wait.ts';
import { getRegister, REG, setRegister } from '../../platform/guest-thread.ts';
import { HANDED_OVER, REGISTERS_SET } from '../result.ts';
import type { Task } from '../task.ts';

const NR_execve = 59;
const NR_exit = 60;
const NR_exit_group = 231;
const NR_execveat = 322;
/** orig_rax of a call that a tracer has taken back. */
const NO_CALL = 0xffff_ffff;

/** Runs the call of a task that is traced, as `dispatch` answers it. */
export function* tracedCall(
  task: Task,
  dispatch: (task: Task) => MaybeBlocking,
): Blocking<SysResult> {
  const { tid } = task;
  const { trace } = task;
  const emulates = trace?.emulatesCalls === true;
  let answer: SysResult = ENOSYS;
  if (trace !== undefined && (emulates || trace.reportsCalls)) {
    yield* trace.holdCall('entry', ENOSYS);
    // The tracer may have written rax: that is the answer of a call that is not made.
    answer = trace.answer ?? REGISTERS_SET;
  }
  const { number } = task.args;
  const isTaken = emulates || number === NO_CALL;
  if (!isTaken) {
    if (number === NR_exit || number === NR_exit_group) yield* holdExit(task);
    const result = dispatch(task);
    answer = typeof result === 'number' ? result : yield* result;
  }
  if (answer === HANDED_OVER || task.isDead) return HANDED_OVER;
  const hasExecuted =
    (number === NR_execve || number === NR_execveat) && !isTaken && answer === REGISTERS_SET;
  if (hasExecuted) yield* holdExec(task, tid);
  const wasStep = task.trace?.steps === true;
  if (!emulates && task.trace?.reportsCalls === true) {
    const bond = task.trace;
    yield* bond.holdCall('exit', answer === REGISTERS_SET ? undefined : answer);
    answer = bond.answer ?? REGISTERS_SET;
  }
  if (wasStep) reportStep(task);
  // The slow way back sets the trap flag.
  else if (task.trace?.steps === true) task.workPending = true;
  return answer;
}

function* holdExit(task: Task): Blocking<void> {
  const { trace } = task;
  if (trace?.has(PTRACE_O_TRACEEXIT) !== true) return;
  yield* trace.holdEvent(PTRACE_EVENT_EXIT, exitedStatus(task.args.i32(0)));
}

function* holdExec(task: Task, formerTid: number): Blocking<void> {
  const { trace } = task;
  if (trace === undefined) return;
  // The new program's registers, and rax as the call left it.
  setRegister(task.thread.registers(), REG.rax, 0);
  trace.answer = undefined;
  if (trace.has(PTRACE_O_TRACEEXEC)) yield* trace.holdEvent(PTRACE_EVENT_EXEC, formerTid);
  else if (!trace.isSeized) {
    const { group, credentials } = task;
    task.sendSignal({ signal: SIGTRAP, code: SI_USER, pid: group.id, uid: credentials.uid });
  }
}

/** The one instruction of PTRACE_SINGLESTEP was the call. */
function reportStep(task: Task): void {
  const addr = getRegister(task.thread.registers(), REG.rip);
  task.sendSignal({ signal: SIGTRAP, code: TRAP_TRACE, addr });
}
