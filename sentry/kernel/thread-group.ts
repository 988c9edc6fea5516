// SPDX-License-Identifier: Apache-2.0
// A process: the threads that share an id, its place among processes, and its signals.

import { POLLIN } from '../../abi/poll.ts';
import { RLIMIT_SIGPENDING } from '../../abi/resource.ts';
import {
  SI_KERNEL,
  SIG_DFL,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
} from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { FairShare } from '../base/fair-queue.ts';
import { finishLater } from '../base/leftovers.ts';
import { MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { SignalSet } from '../base/sigset.ts';
import type { Timer } from '../base/timer-queue.ts';
import { WaitQueue } from '../base/wait.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import type { IntervalTimers } from './interval-timer.ts';
import type { Kernel } from './kernel.ts';
import type { Limits } from './limits.ts';
import type { PidNamespace } from './pid-namespace.ts';
import type { PosixTimer } from './posix-timer.ts';
import type { Trace } from './ptrace/trace.ts';
import type { ProcessGroup } from './session.ts';
import { isFatalByDefault } from './signal-defaults.ts';
import type { SignalInfo } from './signal-info.ts';
import { isStopSignal, PendingSignals, type SignalActions } from './signal-state.ts';
import { continueGroup } from './stop.ts';
import type { Task } from './task.ts';
import type { ControllingTerminal } from './terminal.ts';

const stopSignals = SignalSet.of(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
const continueSignal = SignalSet.of(SIGCONT);
/** Real-time signals that may wait in one queue, whatever RLIMIT_SIGPENDING says: they are Sentry memory. */
const MAX_QUEUED = 65_536;
/** Timers that one turn removes where a process with very many ends. */
const TIMERS_AT_ONCE = 1024;

/** 'zombie': dead, its status not yet waited for. 'reaped': forgotten. */
export type GroupState = 'running' | 'exiting' | 'zombie' | 'reaped';

/** A change that wait4 reports besides exit: consumed by the first wait that asks for it. */
export interface StatusReport {
  readonly kind: 'stopped' | 'continued';
  readonly signal: number;
}

/** The parts that a new process starts from. */
export interface ThreadGroupParts {
  readonly container: Container;
  readonly id: number;
  /** Undefined for a process whose parent is outside: getppid(2) answers 0. */
  readonly parent: ThreadGroup | undefined;
  /** Undefined where PidNamespace.newSession follows. */
  readonly processGroup: ProcessGroup | undefined;
  readonly limits: Limits;
  readonly actions: SignalActions;
  readonly isVirtual?: boolean;
}

export class ThreadGroup {
  readonly kernel: Kernel;
  readonly container: Container;
  readonly pids: PidNamespace;
  /** The process's id in the namespace `pids`. */
  readonly id: number;
  /** Unlike `id` of this process alone, in all namespaces and times. */
  readonly serial: number;
  /** The first task; stays when it exits before its siblings. */
  leader: Task | undefined = undefined;
  /** Tasks that live. */
  readonly tasks: Set<Task> = new Set();
  parent: ThreadGroup | undefined;
  /** The parent's thread that made this process: its end counts for PR_SET_PDEATHSIG and __WNOTHREAD. */
  creator: Task | undefined = undefined;
  readonly children: Set<ThreadGroup> = new Set();
  processGroup: ProcessGroup;
  /** Waiters for children of this process. */
  readonly childQueue: WaitQueue = new WaitQueue();
  /** Told of every signal that becomes pending: sigtimedwait, signalfd. */
  readonly signalQueue: WaitQueue = new WaitQueue();
  /** Those who poll a pidfd of this process, and thread joins. */
  readonly exitQueue: WaitQueue = new WaitQueue();
  limits: Limits;
  actions: SignalActions;
  readonly pending: PendingSignals;
  state: GroupState = 'running';
  /** The exit status in the form of wait4. */
  exitStatus = 0;
  /** Signal sent to the parent at exit; 0 for none. */
  exitSignal: number = SIGCHLD;
  /** Counts execve calls; what the parent had at fork tells whether it is still the same program. */
  execCount = 0;
  parentExecCount = 0;
  /** A job-control stop is under way or in force. */
  stopRequested = false;
  stopSignal = 0;
  /** Job-control stops so far: a tracee takes part in each once. */
  stopCount = 0;
  /** The bonds of its threads as tracers. */
  readonly tracees: Set<Trace> = new Set();
  /** PR_SET_PTRACER: who may attach besides its ancestors. */
  allowedTracer: ThreadGroup | 'any' | undefined = undefined;
  report: StatusReport | undefined = undefined;
  isSubreaper = false;
  /** The terminal of its session that the process left on its own (TIOCNOTTY). */
  leftTerminal: ControllingTerminal | undefined = undefined;
  /** execve was called since fork (setpgid answers EACCES then). */
  hasExecuted = false;
  /** prctl PR_SET_DUMPABLE. */
  dumpable = 1;
  oomScoreAdjustment = 0;
  personality = 0;
  /** The account that pays for the files and messages of the process, which may outlive it. */
  readonly account: MemoryAccount;
  /** The account that pays for what ends with the process. */
  readonly holdings: MemoryAccount;
  readonly startTimeNs: number;
  intervalTimers: IntervalTimers | undefined = undefined;
  /** Its threads among those that have become ready, and those in long calls, for the scheduler. */
  readonly ready: FairShare<Task> = new FairShare();
  readonly unfinished: FairShare<Task> = new FairShare();
  readonly posixTimers: Map<number, PosixTimer> = new Map();
  nextTimerId = 0;
  /** CPU time of tasks and address spaces that are gone, ns. */
  pastCpuNs = 0;
  /** CPU time of waited-for children, ns. */
  childrenCpuNs = 0;
  /** The most that address spaces now gone had resident, and waited-for children had. */
  pastResidentBytes = 0;
  childrenResidentBytes = 0;
  /** RLIMIT_CPU. */
  cpuLimitTimer: Timer | undefined = undefined;
  /** The Sentry's own process 1 of `runts do`: adopts orphans, has no guest code. */
  readonly isVirtual: boolean;
  /** Process 1 with guest code: signals that it does not handle are not for it (SIGNAL_UNKILLABLE). */
  isUnkillable = false;

  constructor(parts: ThreadGroupParts) {
    const { container, parent, processGroup } = parts;
    const { kernel } = container;
    this.kernel = kernel;
    this.container = container;
    this.pids = container.pids;
    this.id = parts.id;
    this.serial = kernel.nextSerial();
    this.parent = parent;
    this.limits = parts.limits;
    this.actions = parts.actions;
    this.isVirtual = parts.isVirtual ?? false;
    this.account = new MemoryAccount(container.allowance.account);
    this.holdings = new MemoryAccount(this.account);
    this.pending = new PendingSignals(this.holdings);
    if (!this.isVirtual) this.holdings.force(OBJECT_COST.process);
    this.startTimeNs = kernel.clock.monotonicNs();
    this.processGroup = processGroup as ProcessGroup;
    if (processGroup !== undefined) processGroup.members.add(this);
    parent?.children.add(this);
  }

  get parentId(): number {
    return this.parent?.id ?? 0;
  }

  get isDead(): boolean {
    return this.state === 'zombie' || this.state === 'reaped';
  }

  get isExiting(): boolean {
    return this.state !== 'running';
  }

  /** Every living thread is held by job control. */
  get isStopped(): boolean {
    if (!this.stopRequested || this.tasks.size === 0) return false;
    for (const task of this.tasks) if (task.state !== 'stopped') return false;
    return true;
  }

  /** A task to speak for the process: the leader while it lives, else any. */
  get anyTask(): Task | undefined {
    const leader = this.leader;
    if (leader !== undefined && !leader.isDead) return leader;
    for (const task of this.tasks) return task;
    return leader;
  }

  /** A timer of timer_create(2), for which there is room. */
  addTimer(timer: PosixTimer): void {
    this.holdings.force(OBJECT_COST.timer);
    this.posixTimers.set(timer.id, timer);
  }

  removeTimer(timer: PosixTimer): void {
    timer.cancel();
    if (this.posixTimers.delete(timer.id)) this.holdings.uncharge(OBJECT_COST.timer);
  }

  /** Removes all. Very many of a process that ends go piece by piece: until then they do nothing. */
  removeTimers(): void {
    const removing = this.#removeTimers();
    if (removing.next().done !== true) finishLater(removing);
  }

  *#removeTimers(): Iterator<undefined> {
    let count = 0;
    for (const timer of this.posixTimers.values()) {
      this.removeTimer(timer);
      count += 1;
      if (count % TIMERS_AT_ONCE === 0) yield undefined;
    }
  }

  moveTo(processGroup: ProcessGroup): void {
    const old = this.processGroup;
    if (old === processGroup) return; // Its only member must not take it off the list.
    old.members.delete(this);
    if (old.members.size === 0) this.pids.forgetProcessGroup(old);
    this.processGroup = processGroup;
    processGroup.members.add(this);
  }

  /** Sends to the process: any thread that does not block it may take it (kill(2)). */
  send(info: SignalInfo): void {
    if (this.isExiting || this.isVirtual) return;
    const target = this.#takerOf(info.signal);
    if (target !== undefined) this.#generate(info, this.pending, target);
  }

  /** Sends to one thread (tgkill(2), faults). */
  sendTo(task: Task, info: SignalInfo): void {
    if (this.isExiting || task.isDead) return;
    this.#generate(info, task.pending, task);
  }

  /**
   * `task` no longer takes the process's signals in `signals` (it blocks them, or it ended): others
   * that do must look, since only the taker was told of each.
   */
  retarget(task: Task, signals: SignalSet): void {
    const { lo, hi } = this.pending.set;
    const left = new SignalSet(lo & signals.lo, hi & signals.hi);
    if (left.isEmpty || this.isExiting) return;
    for (const other of this.tasks)
      if (other !== task && left.firstNotIn(other.signalMask) !== 0)
        this.kernel.scheduler.attend(other);
  }

  #takerOf(signal: number): Task | undefined {
    const leader = this.leader;
    if (leader !== undefined && !leader.isDead && !leader.signalMask.has(signal)) return leader;
    let first: Task | undefined;
    for (const task of this.tasks) {
      if (!task.signalMask.has(signal)) return task;
      first ??= task;
    }
    return first;
  }

  #generate(info: SignalInfo, queue: PendingSignals, target: Task): void {
    const signal = info.signal;
    if (isStopSignal(signal)) this.#discardEverywhere(continueSignal);
    else if (signal === SIGCONT) {
      this.#discardEverywhere(stopSignals);
      continueGroup(this);
    }
    // Linux's `force`: the kernel and those outside may kill and stop process 1.
    const isForced = info.fromOutside === true || info.code === SI_KERNEL;
    if (signal === SIGKILL) {
      if (this.isUnkillable && !isForced) return;
      groupExit(this, signaledStatus(SIGKILL, false));
      return;
    }
    const blocked = target.signalMask.has(signal) || (target.savedMask?.has(signal) ?? false);
    // A tracer sees all of them.
    const isTraced = target.trace !== undefined;
    if (!blocked && !isTraced && this.#ignores(signal, isForced)) {
      this.kernel.observer?.signal(target, info);
      return;
    }
    // A stopped process dies of it when it goes on: until then only SIGKILL counts.
    const isFatal = isFatalByDefault(signal) && this.actions.get(signal).handler === SIG_DFL;
    if (isFatal && !blocked && !isTraced && target.state !== 'stopped') {
      this.kernel.observer?.signal(target, info);
      groupExit(this, signaledStatus(signal, false));
      return;
    }
    const isRoomy = this.holdings.hasRoom(OBJECT_COST.signal);
    const limit = isRoomy ? Math.min(MAX_QUEUED, this.limits.soft(RLIMIT_SIGPENDING)) : 0;
    if (!queue.add(info, limit)) return;
    if (!target.signalMask.has(signal)) this.kernel.scheduler.attend(target);
    this.signalQueue.notify(POLLIN);
  }

  #ignores(signal: number, isForced: boolean): boolean {
    if (this.isUnkillable && this.actions.get(signal).handler === SIG_DFL)
      return signal !== SIGSTOP || !isForced;
    return this.actions.ignores(signal);
  }

  #discardEverywhere(signals: SignalSet): void {
    this.pending.discard(signals);
    for (const task of this.tasks) task.pending.discard(signals);
  }
}
