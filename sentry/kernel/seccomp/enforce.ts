// SPDX-License-Identifier: Apache-2.0
// Seccomp on the way into a system call: what becomes of a call that is not allowed (__seccomp_filter() and
// __secure_computing_strict() of kernel/seccomp.c).
import { ENOSYS, EPERM, isRestart, type SysResult } from '../../../abi/errno.ts';
import {
  AUDIT_ARCH_X86_64,
  SECCOMP_MODE_STRICT,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
} from '../../../abi/seccomp.ts';
import { SIGKILL, SIGSYS, SYS_SECCOMP } from '../../../abi/signal.ts';
import { signaledStatus } from '../../../abi/wait.ts';
import { getRegister, REG, setRegister } from '../../platform/guest-thread.ts';
import { exitTask, groupExit } from '../exit.ts';
import { HANDED_OVER, REGISTERS_SET } from '../result.ts';
import { forceSignal } from '../signal-delivery.ts';
import type { Task } from '../task.ts';
import type { Seccomp, Verdict } from './seccomp.ts';

const NR_execve = 59;
/** The largest errno that a call can answer with (linux/err.h). */
const MAX_ERRNO = 4095;

/** Judges the call at hand. Undefined: it may go on; else its answer. */
export function enforce(task: Task, seccomp: Seccomp): SysResult | undefined {
  if (seccomp.allows(task.args.number)) return undefined;
  if (seccomp.mode === SECCOMP_MODE_STRICT) {
    log(task, 'killed', true);
    return endThread(task, SIGKILL);
  }
  const verdict = seccomp.judge(task.args.words, () => instructionPointer(task));
  return verdict.action === SECCOMP_RET_ALLOW ? undefined : act(task, verdict);
}

/**
 * Judges the execve of a process made from outside, which no guest calls. Returns 0 where its
 * program may be loaded, else the errno.
 */
export function answerToExecve(seccomp: Seccomp): SysResult {
  const words = new Uint32Array(14);
  words[0] = NR_execve;
  const { action, data } = seccomp.judge(words, () => 0);
  if (action === SECCOMP_RET_ALLOW || action === SECCOMP_RET_LOG) return 0;
  if (action === SECCOMP_RET_ERRNO && data !== 0) return -Math.min(data, MAX_ERRNO);
  return action === SECCOMP_RET_TRACE ? ENOSYS : EPERM;
}

function act(task: Task, { action, data, filter }: Verdict): SysResult | undefined {
  const wantsLog = filter?.logs === true;
  switch (action) {
    case SECCOMP_RET_LOG:
      log(task, 'allowed', true);
      return undefined;
    case SECCOMP_RET_ERRNO:
      log(task, 'answered by the filter', wantsLog);
      return failWith(task, Math.min(data, MAX_ERRNO));
    case SECCOMP_RET_TRACE: // Nobody traces here,
    case SECCOMP_RET_USER_NOTIF: // and no filter has a listener.
      log(task, 'not available', wantsLog);
      return ENOSYS;
    case SECCOMP_RET_TRAP:
      log(task, 'trapped', wantsLog);
      forceSignal(task, {
        signal: SIGSYS,
        code: SYS_SECCOMP,
        errno: data,
        addr: instructionPointer(task),
        syscall: task.args.number,
        arch: AUDIT_ARCH_X86_64,
      });
      return REGISTERS_SET; // rax still has the number.
    case SECCOMP_RET_KILL_THREAD:
      log(task, 'thread killed', true);
      return endThread(task, SIGSYS);
    default: // KILL_PROCESS, and whatever has no meaning.
      log(task, 'killed', true);
      groupExit(task.group, signaledStatus(SIGSYS, false));
      return HANDED_OVER;
  }
}

function failWith(task: Task, errno: number): SysResult {
  if (!isRestart(-errno)) return -errno; // A filter's errno must not restart the call.
  setRegister(task.thread.registers(), REG.rax, -errno);
  task.thread.registersChanged();
  return REGISTERS_SET;
}

function endThread(task: Task, signal: number): SysResult {
  if (task.group.tasks.size === 1) groupExit(task.group, signaledStatus(signal, false));
  else exitTask(task, 0);
  return HANDED_OVER;
}

/** The address after the instruction. */
function instructionPointer(task: Task): number {
  return getRegister(task.thread.registers(), REG.rip);
}

function log(task: Task, what: string, wanted: boolean): void {
  if (!wanted || !task.kernel.audit.mayTell(task.kernel.clock.monotonicNs())) return;
  task.kernel.log(
    'info',
    `process ${task.group.id} (${task.comm}): seccomp: syscall ${task.args.number} ${what}`,
  );
}
