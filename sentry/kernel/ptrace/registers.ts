// SPDX-License-Identifier: Apache-2.0
// The general registers of a stopped tracee as ptrace(2) shows them: struct user_regs_struct.
import type { SysResult } from '../../../abi/errno.ts';
import { EIO, ENOSYS } from '../../../abi/errno.ts';
import { USER_REG, USER_REGS_BYTES } from '../../../abi/ptrace.ts';
import { getI64, setI64 } from '../../../abi/time.ts';
import { REG } from '../../platform/guest-thread.ts';
import type { Trace } from './trace.ts';

const CODE_SEGMENT = 0x33;
const STACK_SEGMENT = 0x2b;
/** The flags that user code may change: CF PF AF ZF SF TF DF OF RF NT AC, as FLAG_MASK of Linux. */
const SETTABLE_FLAGS = 0x0005_4dd5;
/** Registers that both structures have, with their places in each. */
const shared = (
  [
    'r15',
    'r14',
    'r13',
    'r12',
    'rbp',
    'rbx',
    'r11',
    'r10',
    'r9',
    'r8',
    'rax',
    'rcx',
    'rdx',
    'rsi',
    'rdi',
    'rip',
    'eflags',
    'rsp',
    'fsBase',
    'gsBase',
  ] as const
).map((name) => ({ name, user: USER_REG[name], own: REG[name] }));
/** Places of a call's arguments in user_regs_struct, in their order. */
const argumentPlaces = [
  USER_REG.rdi,
  USER_REG.rsi,
  USER_REG.rdx,
  USER_REG.r10,
  USER_REG.r8,
  USER_REG.r9,
];

/** Returns PTRACE_GETREGS's 216 bytes of a stopped tracee. */
export function readUserRegisters(trace: Trace): DataView {
  const view = new DataView(new ArrayBuffer(USER_REGS_BYTES));
  const registers = trace.task.thread.registers();
  for (const { user, own } of shared) {
    view.setUint32(8 * user, registers[2 * own] as number, true);
    view.setUint32(8 * user + 4, registers[2 * own + 1] as number, true);
  }
  if (trace.answer !== undefined) setI64(view, 8 * USER_REG.rax, trace.answer);
  setI64(view, 8 * USER_REG.origRax, originalCall(trace));
  view.setUint32(8 * USER_REG.cs, CODE_SEGMENT, true);
  view.setUint32(8 * USER_REG.ss, STACK_SEGMENT, true);
  return view;
}

/** orig_rax: the number of the call in which the tracee is, -1 where it is in none. */
function originalCall({ stop, answer, task }: Trace): number {
  if (stop?.kind === 'signal' || stop?.kind === 'group')
    return answer === undefined ? -1 : task.args.number;
  // The stop of PTRACE_INTERRUPT is one on the way back as well.
  if (stop?.kind === 'event' && task.state === 'stopped' && answer === undefined) return -1;
  const { number } = task.args;
  return number === 0xffff_ffff ? -1 : number;
}

/**
 * PTRACE_SETREGS. Returns 0, or EIO where a segment or a base address is none that user code can
 * have.
 */
export function writeUserRegisters(trace: Trace, view: DataView): SysResult {
  const { task } = trace;
  if (view.getUint32(8 * USER_REG.cs, true) !== CODE_SEGMENT) return EIO;
  if (view.getUint32(8 * USER_REG.ss, true) !== STACK_SEGMENT) return EIO;
  for (const base of [USER_REG.fsBase, USER_REG.gsBase])
    if (view.getUint32(8 * base + 4, true) >= 0x8000) return EIO;
  const registers = task.thread.registers();
  const oldFlags = registers[2 * REG.eflags] as number;
  for (const { user, own } of shared) {
    registers[2 * own] = view.getUint32(8 * user, true);
    registers[2 * own + 1] = view.getUint32(8 * user + 4, true);
  }
  const flags = registers[2 * REG.eflags] as number;
  registers[2 * REG.eflags] = (oldFlags & ~SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
  registers[2 * REG.eflags + 1] = 0;
  task.thread.registersChanged();
  settleAnswer(trace, view);
  return 0;
}

/** Settles what the new rax and orig_rax mean for the call in which the tracee is. */
function settleAnswer(trace: Trace, view: DataView): void {
  const { stop, task } = trace;
  const original = view.getInt32(8 * USER_REG.origRax, true);
  const rax = getI64(view, 8 * USER_REG.rax);
  if (stop?.kind === 'entry' || stop?.kind === 'seccomp') {
    const { words } = task.args;
    words[0] = original >>> 0;
    argumentPlaces.forEach((place, index) => {
      words[2 * index + 2] = view.getUint32(8 * place, true);
      words[2 * index + 3] = view.getUint32(8 * place + 4, true);
    });
    trace.answer = Number.isSafeInteger(rax) ? rax : ENOSYS;
    return;
  }
  if (trace.answer === undefined) return;
  // A call that is not to be started again is over: its answer is what rax says.
  const isOver = original < 0 || !Number.isSafeInteger(rax);
  trace.answer = isOver ? undefined : rax;
}
