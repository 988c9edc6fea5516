// SPDX-License-Identifier: Apache-2.0
// Delivery of signals: what a pending signal does to a task on its way back to the guest, the
// frame that a handler runs on, and rt_sigreturn (arch/x86/kernel/signal_64.c; sigreturn(2)).
import {
  EINTR,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  ERESTARTNOINTR,
  ERESTARTSYS,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import {
  MINSIGSTKSZ,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESTART,
  SA_RESTORER,
  SI_KERNEL,
  SIG_DFL,
  SIG_IGN,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
  sigframe,
  UC_FP_XSTATE,
  UC_SIGCONTEXT_SS,
  UC_STRICT_RESTORE_SS,
  ucontext,
} from '../../abi/signal.ts';
import { getU64, setI64 } from '../../abi/time.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { SignalSet } from '../base/sigset.ts';
import { getRegister, REG, setRegister } from '../platform/guest-thread.ts';
import { groupExit } from './exit.ts';
import type { TraceStop } from './ptrace/trace.ts';
import { isIgnoredByDefault } from './signal-defaults.ts';
import { type SignalInfo, writeSignalInfo } from './signal-info.ts';
import {
  defaultAction as defaultSignalAction,
  isStopSignal,
  type SignalAction,
} from './signal-state.ts';
import { beginGroupStop } from './stop.ts';
import { noAlternateStack, type Task } from './task.ts';

const NR_restart_syscall = 219;
/** Bytes below the stack pointer that leaf functions may use without moving it (System V ABI). */
const RED_ZONE_BYTES = 128;
const SYSCALL_INSTRUCTION_BYTES = 2;
/** RF, DF and TF: cleared when a handler is entered. */
const CLEARED_FLAGS = 0x10000 | 0x400 | 0x100;
/** Signals raised by the instruction at hand: delivered before all others. */
const synchronous = SignalSet.of(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS);

/**
 * 'frame': a handler's frame was made. 'again': something else happened, look again. 'none':
 * nothing to deliver.
 */
export type Delivery = 'frame' | 'again' | 'none';

/** Takes one signal, if any, and acts on it. `answer` is the interrupted syscall's result, if one was. */
export function deliverSignals(task: Task, answer: SysResult | undefined): Delivery {
  // Of a tracee's signals its tracer has seen each, and let this one through.
  const info = task.trace === undefined ? dequeue(task) : task.trace.takeInjected();
  if (info === undefined) return 'none';
  task.kernel.observer?.signal(task, info);
  const signal = info.signal;
  const action = task.group.actions.get(signal);
  if (action.handler === SIG_IGN) return 'again';
  if (action.handler === SIG_DFL) {
    defaultAction(task, signal);
    return 'again';
  }
  enterHandler(task, info, action, answer);
  return 'frame';
}

/** Takes the next signal of a tracee, which stops for its tracer to say what becomes of it. */
export function takeSignalStop(task: Task): TraceStop | undefined {
  if (task.trace?.hasInjected === true) return undefined;
  const info = dequeue(task);
  return info === undefined ? undefined : { kind: 'signal', code: info.signal, info };
}

/** A fault's signal: cannot be blocked or ignored; where it is, the process dies of it. */
export function forceSignal(task: Task, info: SignalInfo): void {
  const action = task.group.actions.get(info.signal);
  const isHeldBack = task.signalMask.has(info.signal) || action.handler === SIG_IGN;
  if (isHeldBack && task.trace !== undefined) {
    // Its tracer is to see it: as in Linux it is let through, and its disposition is the default.
    task.group.actions.set(info.signal, defaultSignalAction);
    task.setSignalMask(task.signalMask.without(SignalSet.of(info.signal)));
  } else if (isHeldBack) {
    groupExit(task.group, signaledStatus(info.signal, false));
    return;
  }
  // Process 1 dies of its own faults.
  if (action.handler === SIG_DFL) task.group.isUnkillable = false;
  task.pending.add(info);
  task.workPending = true;
}

/** The next deliverable signal: the thread's own first, then the process's. */
function dequeue(task: Task): SignalInfo | undefined {
  const mask = task.signalMask;
  const own = task.pending.set;
  const urgent = new SignalSet(own.lo & synchronous.lo, own.hi & synchronous.hi).firstNotIn(mask);
  const first = urgent !== 0 ? urgent : own.firstNotIn(mask);
  if (first !== 0) return task.pending.take(first);
  const shared = task.group.pending.set.firstNotIn(mask);
  return shared === 0 ? undefined : task.group.pending.take(shared);
}

function defaultAction(task: Task, signal: number): void {
  if (isIgnoredByDefault(signal)) return;
  if (task.group.isUnkillable && signal !== SIGSTOP) return; // SIGSTOP is queued only when it is forced.
  if (isStopSignal(signal)) {
    const fromTerminal = signal === SIGTSTP || signal === SIGTTIN || signal === SIGTTOU;
    if (fromTerminal && task.group.processGroup.isOrphaned()) return;
    if (signal === SIGSTOP || !task.group.isExiting) beginGroupStop(task.group, signal);
    return;
  }
  groupExit(task.group, signaledStatus(signal, false));
}

/** Turns a restart code into what the guest sees where no handler ran: the call is made again. */
export function applyRestart(task: Task, code: SysResult): void {
  const registers = task.thread.registers();
  const again = code === ERESTART_RESTARTBLOCK ? NR_restart_syscall : task.args.number;
  setRegister(registers, REG.rax, again);
  setRegister(registers, REG.rip, getRegister(registers, REG.rip) - SYSCALL_INSTRUCTION_BYTES);
  task.thread.registersChanged();
}

function enterHandler(
  task: Task,
  info: SignalInfo,
  action: SignalAction,
  answer: SysResult | undefined,
): void {
  const registers = task.thread.registers();
  settleResult(task, registers, action, answer);
  if (!pushFrame(task, info, action, registers)) {
    failedFrame(task, info.signal);
    return;
  }
  task.group.actions.resetOnDelivery(info.signal);
  const mask = task.signalMask.union(action.mask);
  if ((action.flags & SA_NODEFER) === 0) mask.add(info.signal);
  task.savedMask = undefined;
  task.setSignalMask(mask);
  if ((task.alternateStack.flags & SS_AUTODISARM) !== 0) task.alternateStack = noAlternateStack;
}

/** No room for the frame: SIGSEGV, whose handler may have a stack of its own; fatal where that is it. */
function failedFrame(task: Task, signal: number): void {
  // There is no memory any more: the process ends by what ended its host process, not by this.
  if (task.mm.space.isGone) return;
  if (signal === SIGSEGV) groupExit(task.group, signaledStatus(SIGSEGV, false));
  else forceSignal(task, { signal: SIGSEGV, code: SI_KERNEL });
}

/** rax (and rip) as the handler's frame is to show them: EINTR, or the call set up to run again. */
function settleResult(
  task: Task,
  registers: Uint32Array,
  action: SignalAction,
  answer: SysResult | undefined,
): void {
  if (answer === undefined) return;
  let result = answer;
  if (answer === ERESTARTNOHAND || answer === ERESTART_RESTARTBLOCK) result = EINTR;
  else if (answer === ERESTARTSYS && (action.flags & SA_RESTART) === 0) result = EINTR;
  else if (answer === ERESTARTSYS || answer === ERESTARTNOINTR) {
    setRegister(registers, REG.rip, getRegister(registers, REG.rip) - SYSCALL_INSTRUCTION_BYTES);
    setRegister(registers, REG.rax, task.args.number);
    return;
  }
  setRegister(registers, REG.rax, result);
}

function pushFrame(
  task: Task,
  info: SignalInfo,
  action: SignalAction,
  registers: Uint32Array,
): boolean {
  if ((action.flags & SA_RESTORER) === 0) return false;
  const sp = getRegister(registers, REG.rsp);
  const stack = task.alternateStack;
  let top = sp - RED_ZONE_BYTES;
  const onAlternate = isOnAlternateStack(task, sp);
  if ((action.flags & SA_ONSTACK) !== 0 && stack.sizeBytes > 0 && !onAlternate)
    top = stack.addr + stack.sizeBytes;
  const fpAddr = alignDown(top - task.thread.fpStateBytes, 64);
  const frameAddr = alignDown(fpAddr - sigframe.size, 16) - 8;
  // The alternate stack would overflow.
  if (onAlternate && stack.sizeBytes > 0 && frameAddr < stack.addr) return false;

  const frame = new DataView(new ArrayBuffer(sigframe.size));
  setI64(frame, sigframe.pretcode, action.restorer);
  writeUcontext(task, frame, registers, fpAddr, onAlternate, info);
  writeSignalInfo(frame, sigframe.siginfo, info);
  if (frameAddr < 0 || isErrno(task.memory.write(frameAddr, new Uint8Array(frame.buffer))))
    return false;
  task.thread.queueSaveFpState(fpAddr);
  // A handler starts with the initial state, whatever the interrupted code did to its own
  // (fpu__clear_user_states).
  task.thread.queueLoadFpState(0);
  setRegister(registers, REG.rdi, info.signal);
  setRegister(registers, REG.rsi, frameAddr + sigframe.siginfo);
  setRegister(registers, REG.rdx, frameAddr + sigframe.ucontext);
  setRegister(registers, REG.rax, 0);
  setRegister(registers, REG.rip, action.handler);
  setRegister(registers, REG.rsp, frameAddr);
  registers[2 * REG.eflags] = (registers[2 * REG.eflags] as number) & ~CLEARED_FLAGS;
  task.thread.registersChanged();
  return true;
}

function writeUcontext(
  task: Task,
  frame: DataView,
  registers: Uint32Array,
  fpAddr: number,
  onAlternate: boolean,
  info: SignalInfo,
): void {
  const at = sigframe.ucontext;
  frame.setUint32(
    at + ucontext.flags,
    UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
    true,
  );
  const stack = task.alternateStack;
  setI64(frame, at + ucontext.stackPointer, stack.addr);
  frame.setUint32(at + ucontext.stackFlags, onAlternate ? SS_ONSTACK : stack.flags, true);
  setI64(frame, at + ucontext.stackSize, stack.sizeBytes);
  for (let index = 0; index < 36; index += 1) {
    frame.setUint32(at + ucontext.registers + 4 * index, registers[index] as number, true);
  }
  frame.setUint16(at + ucontext.segments, 0x33, true); // cs
  frame.setUint16(at + ucontext.segments + 6, 0x2b, true); // ss
  setI64(frame, at + ucontext.errorCode, info.errorCode ?? 0);
  setI64(frame, at + ucontext.trapNumber, info.trapNumber ?? 0);
  if (info.trapNumber === 14) setI64(frame, at + ucontext.cr2, info.addr ?? 0);
  setI64(frame, at + ucontext.fpstate, fpAddr);
  const mask = task.savedMask ?? task.signalMask;
  frame.setUint32(at + ucontext.oldMask, mask.lo, true);
  frame.setUint32(at + ucontext.oldMask + 4, mask.hi, true);
  mask.writeTo(frame, at + ucontext.sigmask);
}

/** rt_sigreturn: puts back what the frame says. False: the frame is bad, the caller raises SIGSEGV. */
export function restoreFrame(task: Task): boolean {
  const registers = task.thread.registers();
  const frame = task.memory.view(getRegister(registers, REG.rsp), ucontext.size);
  if (isErrno(frame)) return false;
  const fpAddr = getU64(frame, ucontext.fpstate);
  task.savedMask = undefined;
  task.setSignalMask(SignalSet.read(frame, ucontext.sigmask));
  for (let index = 0; index < 36; index += 1) {
    registers[index] = frame.getUint32(ucontext.registers + 4 * index, true);
  }
  task.thread.registersChanged();
  task.thread.queueLoadFpState(fpAddr);
  task.restart = undefined;
  // As sigaltstack(2), whose errors do not count here.
  const sp = getRegister(registers, REG.rsp);
  if (!isOnAlternateStack(task, sp)) task.alternateStack = readStack(frame) ?? task.alternateStack;
  return true;
}

function readStack(frame: DataView): Task['alternateStack'] | undefined {
  const flags = frame.getUint32(ucontext.stackFlags, true);
  if ((flags & SS_DISABLE) !== 0) return noAlternateStack;
  const sizeBytes = getU64(frame, ucontext.stackSize);
  if (sizeBytes < MINSIGSTKSZ) return undefined;
  return {
    addr: getU64(frame, ucontext.stackPointer),
    sizeBytes,
    flags: (flags & SS_AUTODISARM) >>> 0,
  };
}

/** Returns whether `sp` is on the alternate stack, by the rule of the kernel's on_sig_stack(). */
export function isOnAlternateStack(task: Task, sp: number): boolean {
  const { addr, sizeBytes, flags } = task.alternateStack;
  if ((flags & SS_AUTODISARM) !== 0) return false;
  return sp > addr && sp - addr <= sizeBytes;
}

const alignDown = (value: number, to: number): number => value - (value % to);
