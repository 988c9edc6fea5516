// SPDX-License-Identifier: Apache-2.0
// The bond between a tracer and one thread that it traces (ptrace(2)): how the thread was resumed,
// where it stands still, and what its tracer is told of it.
import type { SysResult } from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import {
  PTRACE_EVENT_STOP,
  PTRACE_O_EXITKILL,
  PTRACE_O_TRACESYSGOOD,
} from '../../../abi/ptrace.ts';
import {
  CLD_TRAPPED,
  SA_NOCLDSTOP,
  SI_USER,
  SIG_IGN,
  SIGCHLD,
  SIGSTOP,
  SIGTRAP,
} from '../../../abi/signal.ts';
import { infoOfStatus, stoppedStatus } from '../../../abi/wait.ts';
import type { Blocking, Sleep } from '../../base/wait.ts';
import { getRegister, REG, setRegister } from '../../platform/guest-thread.ts';
import type { SignalInfo } from '../signal-info.ts';
import type { Task } from '../task.ts';

/** How a tracer lets its tracee go on: PTRACE_CONT, _SYSCALL, _SINGLESTEP, _SYSEMU, _SYSEMU_SINGLESTEP. */
export type Resumption = 'continue' | 'call' | 'step' | 'emulate' | 'emulateStep';

export type StopKind = 'entry' | 'exit' | 'seccomp' | 'event' | 'signal' | 'group';

/** A tracee stands still and waits for its tracer. */
export interface TraceStop {
  readonly kind: StopKind;
  /** Bits 8 to 23 of the wait status: the signal, and the PTRACE_EVENT_ above it. */
  readonly code: number;
  /** PTRACE_GETSIGINFO; undefined: EINVAL, by which a tracer knows a group stop. */
  info: SignalInfo | undefined;
}

const TRAP_FLAG = 0x100;

export class Trace {
  readonly task: Task;
  readonly tracer: Task;
  /** By PTRACE_SEIZE or from one that was. */
  readonly isSeized: boolean;
  /** PTRACE_O_*. */
  options: number;
  /** PTRACE_GETEVENTMSG. */
  message = 0;
  stop: TraceStop | undefined = undefined;
  /** The tracer has waited for the stop. */
  isReported = false;
  /** PTRACE_LISTEN: the stop looks over to requests until something happens. */
  isListening = false;
  resumption: Resumption = 'continue';
  /** The answer of the call in which the tracee is stopped; undefined: the registers have it. */
  answer: SysResult | undefined = undefined;
  /** PTRACE_INTERRUPT, or the first stop of a new tracee. */
  isInterruptDue = false;
  /** The wait status with which the thread ended, for its tracer to take. */
  exitStatus: number | undefined = undefined;
  /** Called when the tracer has taken the exit status, or will never take it. */
  whenOver: (() => void) | undefined = undefined;
  /** The stop of the whole process that the tracee has taken part in. */
  #seenStop = 0;
  #injected: SignalInfo | undefined = undefined;
  /** The stop holds the task on its way back, not in the middle of a call. */
  #holdsReturn = false;
  #isTrapFlagOurs = false;

  constructor(task: Task, tracer: Task, options: number, isSeized: boolean) {
    this.task = task;
    this.tracer = tracer;
    this.options = options;
    this.isSeized = isSeized;
    const { group } = task;
    // A stop that is under way is still to be taken part in.
    this.#seenStop = group.stopCount - (group.stopRequested ? 1 : 0);
    tracer.group.tracees.add(this);
    task.trace = this;
    task.thread.forgetAnswers();
  }

  has(option: number): boolean {
    return (this.options & option) !== 0;
  }

  get reportsCalls(): boolean {
    return this.resumption === 'call';
  }

  get emulatesCalls(): boolean {
    return this.resumption === 'emulate' || this.resumption === 'emulateStep';
  }

  get steps(): boolean {
    return this.resumption === 'step' || this.resumption === 'emulateStep';
  }

  /** The task must not run guest code: something is to be reported. Signals aside. */
  get isStopDue(): boolean {
    return this.isInterruptDue || this.#isGroupStopDue || this.#injected !== undefined;
  }

  get #isGroupStopDue(): boolean {
    const { group } = this.task;
    return group.stopRequested && group.stopCount !== this.#seenStop;
  }

  /** A task that job control held when its tracer came: it stands still for the tracer from now on. */
  takeOverStop(): void {
    const stop = this.takeDueStop();
    if (stop !== undefined) this.holdReturn(stop, this.task.resultOnHold);
  }

  /** Takes the stop that comes before any signal, if one is due. */
  takeDueStop(): TraceStop | undefined {
    const { group } = this.task;
    if (this.#isGroupStopDue) {
      this.#seenStop = group.stopCount;
      this.isInterruptDue = false;
      const signal = group.stopSignal;
      return this.isSeized
        ? this.#eventStop(PTRACE_EVENT_STOP, signal)
        : { kind: 'group', code: signal, info: undefined };
    }
    if (!this.isInterruptDue) return undefined;
    this.isInterruptDue = false;
    return this.#eventStop(PTRACE_EVENT_STOP, SIGTRAP);
  }

  get hasInjected(): boolean {
    return this.#injected !== undefined;
  }

  /** The signal that the tracer let through or put in the place of another. */
  takeInjected(): SignalInfo | undefined {
    const info = this.#injected;
    this.#injected = undefined;
    return info;
  }

  /** Holds the task on its way back to the guest. The scheduler has put it into the state 'stopped'. */
  holdReturn(stop: TraceStop, answer: SysResult | undefined): void {
    this.#holdsReturn = true;
    this.answer = answer;
    this.#begin(stop);
  }

  /** Holds the task in the middle of a call, until its tracer lets it go on. */
  *holdCall(kind: 'entry' | 'exit', answer: SysResult | undefined): Blocking<void> {
    const code = SIGTRAP | (this.has(PTRACE_O_TRACESYSGOOD) ? 0x80 : 0);
    yield* this.#hold({ kind, code, info: this.#trapInfo(code) }, answer);
  }

  /** Holds the task for a PTRACE_EVENT_ with its message. */
  *holdEvent(event: number, message: number, kind: 'event' | 'seccomp' = 'event'): Blocking<void> {
    this.message = message;
    yield* this.#hold({ ...this.#eventStop(event, SIGTRAP), kind }, this.answer);
  }

  *#hold(stop: TraceStop, answer: SysResult | undefined): Blocking<void> {
    this.#holdsReturn = false;
    this.answer = answer;
    this.#begin(stop);
    const sleep: Sleep = {
      join: () => undefined,
      leave: () => undefined,
      deadlineNs: Number.POSITIVE_INFINITY,
      killable: true,
    };
    // Only resume() of this bond, or its end, takes the stop away.
    while (this.stop === stop) yield sleep;
  }

  #eventStop(event: number, signal: number): TraceStop {
    const code = signal | (event << 8);
    return { kind: 'event', code, info: this.#trapInfo(code) };
  }

  #trapInfo(code: number): SignalInfo {
    const { group, credentials } = this.task;
    return { signal: SIGTRAP, code, pid: group.id, uid: credentials.uid };
  }

  #begin(stop: TraceStop): void {
    this.stop = stop;
    this.#clearTrapFlag();
    this.announce();
  }

  /** Tells the tracer of the stop (do_notify_parent_cldstop()). */
  announce(): void {
    this.isReported = false;
    this.isListening = false;
    this.#tell(CLD_TRAPPED, (this.stop?.code ?? 0) & 0x7f);
  }

  #tell(code: number, status: number): void {
    const { group } = this.tracer;
    const action = group.actions.get(SIGCHLD);
    const { tid, credentials } = this.task;
    if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0)
      group.send({ signal: SIGCHLD, code, pid: tid, uid: credentials.uid, status });
    group.childQueue.notify(POLLIN);
  }

  /** The wait status of the stop. */
  get status(): number {
    return stoppedStatus(this.stop?.code ?? 0);
  }

  /** Lets the stopped tracee go on, with `signal` in the place of the one it was to get. */
  resume(resumption: Resumption, signal: number): void {
    const { stop, task } = this;
    if (stop === undefined) return;
    this.resumption = resumption;
    if (signal !== 0 && stop.kind === 'signal')
      this.#injected = stop.info?.signal === signal ? stop.info : this.#signalOfTracer(signal);
    else if (signal !== 0 && (stop.kind === 'entry' || stop.kind === 'exit'))
      task.sendSignal(this.#signalOfTracer(signal));
    if (this.#injected !== undefined && task.signalMask.has(signal)) {
      task.pending.add(this.#injected);
      this.#injected = undefined;
    }
    this.#leaveStop();
  }

  #signalOfTracer(signal: number): SignalInfo {
    const { group, credentials } = this.tracer;
    return { signal, code: SI_USER, pid: group.id, uid: credentials.uid };
  }

  #leaveStop(): void {
    this.stop = undefined;
    this.isListening = false;
    const { scheduler } = this.task.kernel;
    if (!this.#holdsReturn) {
      scheduler.makeReady(this.task, 'event');
      return;
    }
    this.#holdsReturn = false;
    this.task.resultOnHold = this.answer;
    scheduler.unstop(this.task);
  }

  /** Sets the trap flag where the tracee is to stop after one instruction. */
  beforeGuest(): void {
    if (!this.steps) return;
    const registers = this.task.thread.registers();
    const flags = getRegister(registers, REG.eflags);
    if ((flags & TRAP_FLAG) !== 0) return;
    this.#isTrapFlagOurs = true;
    setRegister(registers, REG.eflags, flags | TRAP_FLAG);
    this.task.thread.registersChanged();
  }

  #clearTrapFlag(): void {
    if (!this.#isTrapFlagOurs) return;
    this.#isTrapFlagOurs = false;
    const registers = this.task.thread.registers();
    setRegister(registers, REG.eflags, getRegister(registers, REG.eflags) & ~TRAP_FLAG);
    this.task.thread.registersChanged();
  }

  /**
   * SIGCONT has ended the stop of the process, of which a seized tracee tells its tracer: at once
   * where it listens, else when it is let go on.
   */
  continued(): void {
    if (!this.isSeized || this.stop === undefined) return;
    if (!this.isListening) {
      this.isInterruptDue = true;
      return;
    }
    this.stop = this.#eventStop(PTRACE_EVENT_STOP, SIGTRAP);
    this.announce();
  }

  /** The thread has ended. Its tracer can wait for it, unless a leader's process lives on. */
  ended(status: number): void {
    this.stop = undefined;
    if (this.exitStatus !== undefined) return;
    this.exitStatus = status;
    const { tid, credentials } = this.task;
    const info = infoOfStatus(status);
    this.tracer.group.send({ signal: SIGCHLD, pid: tid, uid: credentials.uid, ...info });
    this.tracer.group.childQueue.notify(POLLIN);
  }

  /** Ends the bond (PTRACE_DETACH, or the tracer's end). A stopped tracee runs on. */
  end(signal = 0): void {
    this.tracer.group.tracees.delete(this);
    if (this.task.trace === this) this.task.trace = undefined;
    const { whenOver } = this;
    this.whenOver = undefined;
    whenOver?.();
    if (this.task.isDead) return;
    this.isInterruptDue = false;
    this.resumption = 'continue';
    if (this.stop === undefined) return;
    if (signal !== 0) this.task.sendSignal(this.#signalOfTracer(signal));
    this.#leaveStop();
  }
}

/** The first stop of a thread that its tracer attached to, or that was born traced. */
export function haltNewTracee(trace: Trace): void {
  const { task } = trace;
  if (trace.isSeized) {
    trace.isInterruptDue = true;
    task.kernel.scheduler.attend(task);
  } else task.sendSignal({ signal: SIGSTOP, code: SI_USER, pid: 0, uid: 0 });
}

/** A tracer's thread has ended: what it traced runs on, or dies with it (PTRACE_O_EXITKILL). */
export function tracerEnded(tracer: Task): Task[] {
  const toKill: Task[] = [];
  for (const trace of [...tracer.group.tracees]) {
    if (trace.tracer !== tracer) continue;
    if (trace.has(PTRACE_O_EXITKILL)) toKill.push(trace.task);
    trace.end();
  }
  return toKill;
}
