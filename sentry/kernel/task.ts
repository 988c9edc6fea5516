// SPDX-License-Identifier: Apache-2.0
// A task: one guest thread with all that the kernel keeps for it (clone(2)).
import { RLIMIT_SIGPENDING } from '../../abi/resource.ts';
import { SS_DISABLE } from '../../abi/signal.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { SignalSet } from '../base/sigset.ts';
import type { Timer } from '../base/timer-queue.ts';
import type { Blocking, MaybeBlocking, Sleep, Wake, Waker } from '../base/wait.ts';
import type { GuestMemory } from '../mm/guest-memory.ts';
import type { MemoryManager } from '../mm/memory-manager.ts';
import { defaultMemoryPolicy, type MemoryPolicy } from '../mm/memory-policy.ts';
import { type GuestThread, getRegister, type KeptCall, REG } from '../platform/guest-thread.ts';
import type { Caller } from '../vfs/caller.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FdTable } from '../vfs/fd-table.ts';
import type { FsContext } from '../vfs/fs-context.ts';
import type { SpecialFiles } from '../vfs/special-files.ts';
import type { IpcNamespace } from './ipc/ipc-namespace.ts';
import type { UndoList } from './ipc/semaphore-undo.ts';
import type { Kernel } from './kernel.ts';
import type { PidNamespace } from './pid-namespace.ts';
import type { Trace } from './ptrace/trace.ts';
import { ordinaryScheduling, type Scheduling } from './scheduling.ts';
import type { Seccomp } from './seccomp/seccomp.ts';
import type { SignalInfo } from './signal-info.ts';
import { PendingSignals } from './signal-state.ts';
import type { SyscallArgs } from './syscall-args.ts';
import type { ThreadGroup } from './thread-group.ts';
import type { UtsNamespace } from './uts-namespace.ts';

/**
 * Where a task is. 'guest': its thread runs guest code. 'kernel': a handler runs for it right now.
 * 'sleeping': its handler waits. 'stopped': job control holds it on the way back to the guest.
 * 'dead': gone; only its ThreadGroup may still be a zombie.
 */
export type TaskState = 'guest' | 'kernel' | 'sleeping' | 'stopped' | 'dead';

export interface AlternateStack {
  readonly addr: number;
  readonly sizeBytes: number;
  /** SS_DISABLE or SS_AUTODISARM. */
  readonly flags: number;
}

export const noAlternateStack: AlternateStack = { addr: 0, sizeBytes: 0, flags: SS_DISABLE };

/** The parts that a new task starts from. */
export interface TaskParts {
  readonly kernel: Kernel;
  readonly tid: number;
  readonly group: ThreadGroup;
  readonly credentials: Credentials;
  readonly mm: MemoryManager;
  readonly files: FdTable;
  readonly fs: FsContext;
  /** Without it the container's. */
  readonly ipc?: IpcNamespace;
  readonly uts?: UtsNamespace;
  readonly thread: GuestThread;
  readonly args: SyscallArgs;
  readonly comm: string;
}

export class Task implements Caller, Waker {
  readonly kernel: Kernel;
  tid: number;
  group: ThreadGroup;
  /** Unlike `tid` of this task alone, in all namespaces and times; a leader's is its process's. */
  readonly serial: number;
  #credentials: Credentials;
  mm: MemoryManager;
  files: FdTable;
  fs: FsContext;
  ipc: IpcNamespace;
  uts: UtsNamespace;
  /** SEM_UNDO, once there was one. */
  undo: UndoList | undefined = undefined;
  thread: GuestThread;
  readonly args: SyscallArgs;
  /** At most 15 bytes, latin1. */
  comm: string;
  state: TaskState = 'kernel';

  signalMask: SignalSet = new SignalSet();
  /** Mask to go back to after sigsuspend, ppoll and the like; undefined when none is set aside. */
  savedMask: SignalSet | undefined = undefined;
  readonly pending: PendingSignals;
  alternateStack: AlternateStack = noAlternateStack;
  /** Something to look at before the guest runs on: a signal, a stop, a death. */
  workPending = false;

  /** set_tid_address(2), CLONE_CHILD_CLEARTID; 0 for none. */
  clearChildTid = 0;
  /** set_robust_list(2); 0 for none. */
  robustList = 0;
  /** Completes restart_syscall(2) after a stop interrupted a call with a relative timeout. */
  restart: (() => MaybeBlocking) | undefined = undefined;
  parentDeathSignal = 0;
  noNewPrivileges = false;
  #seccomp: Seccomp | undefined = undefined;
  timerSlackNs = 50_000;
  niceness = 0;
  /** Kept and shown, without effect. */
  scheduling: Scheduling = ordinaryScheduling;
  /** ioprio_set(2); 0: none was set. */
  ioPriority = 0;
  /** CPU mask (undefined: all). */
  affinity: Uint8Array | undefined = undefined;
  /** PR_MCE_KILL_*: kept and shown, the host tells guests of no broken memory. */
  memoryFailurePolicy = 2;
  memoryPolicy: MemoryPolicy = defaultMemoryPolicy;
  readonly startTimeNs: number;
  /** The vfork parent waits for this task to exec or exit. */
  vforkDone: (() => void) | undefined = undefined;
  voluntarySwitches = 0;

  /** The bond with its tracer; ptrace(2). */
  trace: Trace | undefined = undefined;

  /** Only the scheduler touches these. */
  sleeper: Blocking<number> | undefined = undefined;
  sleep: Sleep | undefined = undefined;
  sleepTimer: Timer | undefined = undefined;
  wakeReason: Wake | undefined = undefined;
  /** The syscall's answer while the task is stopped on its way back; undefined: registers stay. */
  resultOnHold: number | undefined = undefined;

  constructor(parts: TaskParts) {
    this.kernel = parts.kernel;
    this.tid = parts.tid;
    this.group = parts.group;
    this.serial = parts.group.leader === undefined ? parts.group.serial : parts.kernel.nextSerial();
    this.#credentials = parts.credentials;
    this.mm = parts.mm;
    this.files = parts.files;
    this.fs = parts.fs;
    this.uts = parts.uts ?? parts.group.container.uts;
    this.ipc = (parts.ipc ?? parts.group.container.ipc).acquire();
    this.thread = parts.thread;
    this.args = parts.args;
    this.comm = parts.comm;
    this.group.holdings.force(OBJECT_COST.task);
    this.pending = new PendingSignals(this.group.holdings);
    this.startTimeNs = parts.kernel.clock.monotonicNs();
  }

  get credentials(): Credentials {
    return this.#credentials;
  }

  set credentials(credentials: Credentials) {
    this.#credentials = credentials;
    // A task that runs no guest code has no thread.
    this.thread?.forgetAnswers();
  }

  /** seccomp(2): undefined while it restricts nothing. */
  get seccomp(): Seccomp | undefined {
    return this.#seccomp;
  }

  set seccomp(seccomp: Seccomp | undefined) {
    this.#seccomp = seccomp;
    this.thread?.forgetAnswers();
  }

  /**
   * Leaves the answer of a call with the platform, unless each call is to be seen: by a filter of
   * the guest's, by its tracer, or by who counts and prints them. Returns the answer.
   */
  answerFromNowOn(call: KeptCall, answer: number): number {
    if (!this.#showsEachCall) this.thread.keepAnswer(call, answer);
    return answer;
  }

  /** A filter of the guest's, its tracer, or who counts and prints calls is to see each of them. */
  get #showsEachCall(): boolean {
    return this.#seccomp !== undefined || this.trace !== undefined || this.kernel.watchesCalls;
  }

  /** Lets the thread wait and wake on private futexes by itself, unless each call is to be seen. */
  waitsByItself(): void {
    if (this.#showsEachCall) return;
    const { sec, nsec } = this.group.container.timeOffsets.monotonic;
    this.thread.waitsByItself(sec === 0 && nsec === 0);
  }

  /** The same for sched_yield. */
  yieldsByItself(): void {
    if (!this.#showsEachCall) this.thread.yieldsByItself();
  }

  get memory(): GuestMemory {
    return this.mm.memory;
  }

  get specialFiles(): SpecialFiles {
    return this.group.container.mounts.specialFiles;
  }

  /** The PID namespace in which the pids that this task names have their meaning. */
  get pids(): PidNamespace {
    return this.group.pids;
  }

  get isDead(): boolean {
    return this.state === 'dead';
  }

  get isLeader(): boolean {
    return this.tid === this.group.id;
  }

  /** The stack pointer at the last stop, for sigaltstack's ONSTACK test. */
  get stackPointer(): number {
    return getRegister(this.thread.registers(), REG.rsp);
  }

  /** Waker: an event that this task sleeps for. */
  wake(_events: number): void {
    this.kernel.scheduler.makeReady(this, 'event');
  }

  /** A signal that this task does not block waits for it, or it is to stop or die. */
  recheckPendingSignal(): boolean {
    return this.workPending && this.recalculateWork();
  }

  /** The signals that wait for this task: its own and its process's. */
  pendingSet(): SignalSet {
    return this.pending.set.union(this.group.pending.set);
  }

  recalculateWork(): boolean {
    const mask = this.signalMask;
    const { trace } = this;
    const pending =
      (trace === undefined ? this.group.stopRequested : trace.isStopDue) ||
      this.group.isExiting ||
      this.pending.set.firstNotIn(mask) !== 0 ||
      this.group.pending.set.firstNotIn(mask) !== 0;
    // A temporary mask also wants the slow way back, which ends it.
    this.workPending = pending || this.savedMask !== undefined;
    return pending;
  }

  setSignalMask(mask: SignalSet): void {
    const old = this.signalMask;
    this.signalMask = mask.blockable();
    this.recalculateWork();
    if (!this.group.pending.isEmpty) this.group.retarget(this, this.signalMask.without(old));
  }

  /** ppoll, pselect, sigsuspend: `mask` holds until the call returns or a handler has run. */
  setTemporarySignalMask(mask: SignalSet): void {
    this.savedMask = this.signalMask;
    this.setSignalMask(mask);
    this.workPending = true;
  }

  /** A temporary mask ends without a handler having run. */
  restoreSignalMask(): void {
    if (this.savedMask === undefined) return;
    const mask = this.savedMask;
    this.savedMask = undefined;
    this.setSignalMask(mask);
  }

  /** Sends to this thread alone. EAGAIN is the caller's business: see queueLimitReached. */
  sendSignal(info: SignalInfo): void {
    this.group.sendTo(this, info);
  }

  /** RLIMIT_SIGPENDING, or want of memory: rt_sigqueueinfo and tgkill answer EAGAIN for real-time signals. */
  queueLimitReached(): boolean {
    const limit = this.group.limits.soft(RLIMIT_SIGPENDING);
    const { holdings, pending } = this.group;
    return this.pending.count + pending.count >= limit || !holdings.hasRoom(OBJECT_COST.signal);
  }
}
