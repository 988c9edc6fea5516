// SPDX-License-Identifier: Apache-2.0
// The kernel of one sandbox: every table there is one of, and the main loop.

import { SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { Clock } from '../base/clock.ts';
import { IdPool } from '../base/id-pool.ts';
import { doLeftover, hasLeftovers } from '../base/leftovers.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import type { Settings } from '../base/settings.ts';
import { TimerQueue } from '../base/timer-queue.ts';
import { nextTurn, PIECE_NS } from '../base/turn.ts';
import { UserCount } from '../base/user-count.ts';
import { uuid } from '../base/uuid.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import type { Platform } from '../platform/platform.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import { FutexTable } from './futex.ts';
import { IpcMemory } from './ipc/ipc-memory.ts';
import { LoadAverage } from './load-average.ts';
import { MemoryGuard } from './memory-guard.ts';
import { NamespaceNumbers } from './namespace-numbers.ts';
import type { Network } from './network.ts';
import type { PidFd } from './pidfd.ts';
import type { ProgramEnvironment } from './program-environment.ts';
import { Scheduler } from './scheduler.ts';
import { AuditLimit } from './seccomp/audit.ts';
import type { SignalInfo } from './signal-info.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';
import type { TurnMeter } from './turn-meter.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Told what happens to tasks beside their calls (`runts do --strace`). */
export interface TaskObserver {
  /** A process made from outside has its program: what an execve with these strings would have done. */
  started(task: Task, path: string, argv: readonly string[], envp: readonly string[]): void;
  /** A signal that `task` takes or dies of, or one that is thrown away because it is ignored. */
  signal(task: Task, info: SignalInfo): void;
  /** `task` ends now, with a wait status. */
  exited(task: Task, status: number): void;
}

/** The knowledge of the host and of the caller's wishes that boot gives to the kernel. */
/** The memory of the Sentry itself, as the host counts it. */
export interface OwnMemory {
  /** Returns the anonymous memory in use; 0 where that is not known. */
  inUseBytes(): number;
  /** Collects garbage, which takes milliseconds or more. */
  collectGarbage(): void;
}

export interface KernelOptions {
  readonly clock: Clock;
  readonly platform: Platform;
  /** Bytes that the sandbox has for its guests. */
  readonly memoryBytes: number;
  /** The account of the whole sandbox. */
  readonly memory: MemoryAccount;
  readonly ownMemory: OwnMemory;
  /** CPUs that the guest sees. */
  readonly cpuCount: number;
  readonly log: (level: LogLevel, message: string) => void;
  /** Counts how long turns take, where that was asked for. */
  readonly turns?: TurnMeter | undefined;
  /** Tells the person who started the sandbox, where one is there to read. */
  readonly tell: (message: string) => void;
  /** Runs one syscall of a task: the table's dispatch. */
  readonly dispatch: (task: Task) => MaybeBlocking;
  readonly observer?: TaskObserver | undefined;
  /** Somebody counts or prints each system call: none may be answered without the kernel. */
  readonly watchesCalls: boolean;
  readonly program: ProgramEnvironment;
  /** Fills the whole array with random bytes. */
  readonly randomFill: (bytes: Uint8Array) => void;
  /**
   * A file for `creator`, with PIDFD_* `flags`, that stands for a process, or with PIDFD_THREAD for
   * its `thread`. The inodes of descriptors live above this layer.
   */
  readonly newPidfd: (creator: Task, group: ThreadGroup, flags: number, thread?: Task) => PidFd;
  readonly network: Network;
  readonly settings: Settings;
  readonly timers: TimerQueue;
  /** A shell outside can continue the main process when it stops: its process group is no orphan. */
  readonly mainHasShell: boolean;
  /** Told that the main process stopped (true) or went on (false), with the signal. */
  readonly mainStopped: (stopped: boolean, signal: number) => void;
}

/** Events handled before timers are looked at again. */
const BATCH = 64;
/** Polls between two looks at the clock within a batch. */
const POLLS_PER_CLOCK = 4;

export class Kernel {
  readonly clock: Clock;
  readonly platform: Platform;
  /** Ends of sleeps, at most one a task, and what runts itself wants to be told. */
  readonly timers: TimerQueue;
  /** The timers that guests make, of which a process may have 100,000: a bounded part of a turn is theirs. */
  readonly guestTimers: TimerQueue = new TimerQueue();
  readonly scheduler: Scheduler;
  readonly futexes: FutexTable = new FutexTable();
  readonly log: (level: LogLevel, message: string) => void;
  readonly tell: (message: string) => void;
  readonly observer: TaskObserver | undefined;
  readonly watchesCalls: boolean;
  /** Runs one syscall of a task. Who counts calls puts himself before it (boot/call-watch.ts). */
  dispatch: (task: Task) => MaybeBlocking;
  readonly turns: TurnMeter | undefined;
  readonly randomFill: (bytes: Uint8Array) => void;
  readonly newPidfd: KernelOptions['newPidfd'];
  readonly network: Network;
  readonly settings: Settings;
  readonly mainHasShell: boolean;
  readonly mainStopped: KernelOptions['mainStopped'];
  readonly program: ProgramEnvironment;
  /** The ids of eventfds, which their files in /proc/PID/fdinfo show. */
  readonly eventfdIds: IdPool = new IdPool();
  readonly audit: AuditLimit = new AuditLimit();

  /** uname(2). The release is what runts claims to implement, whatever the host runs. */
  readonly sysname = 'Linux';
  readonly release = '6.12.0-runts';
  readonly version = '#1 SMP PREEMPT_DYNAMIC runts';
  readonly machine = 'x86_64';

  readonly memoryBytes: number;
  readonly memory: MemoryAccount;
  /** The memory that messages and semaphores of all IPC namespaces may take. */
  readonly ipcMemory: IpcMemory;
  readonly cpuCount: number;

  /** Living tasks of all containers. What a guest names goes through its PID namespace (`task.pids`). */
  readonly tasks: Set<Task> = new Set();
  /** Processes of all containers, zombies included. */
  readonly groups: Set<ThreadGroup> = new Set();
  readonly containers: Map<string, Container> = new Map();
  /** The first container: its end is the sandbox's end. */
  mainContainer: Container | undefined = undefined;
  readonly loadAverage: LoadAverage = new LoadAverage();
  /** The memory that POSIX message queues of all IPC namespaces take of their users' limits. */
  readonly queueBytes: UserCount = new UserCount();
  readonly inotifyInstances: UserCount = new UserCount();
  readonly inotifyWatches: UserCount = new UserCount();
  readonly epollItems: UserCount = new UserCount();
  readonly namespaceNumbers: NamespaceNumbers = new NamespaceNumbers();
  #lastSerial = 0;
  #bootId: string | undefined = undefined;
  /** Processes started since boot (for /proc/stat). */
  forkCount = 0;

  readonly #memoryGuard: MemoryGuard;
  #exitStatus: number | undefined = undefined;
  /** When the next piece of a long call may run although others are busy. */
  #nextPieceNs = 0;

  constructor(options: KernelOptions) {
    this.clock = options.clock;
    this.platform = options.platform;
    this.memoryBytes = options.memoryBytes;
    this.memory = options.memory;
    this.#memoryGuard = new MemoryGuard(this, options.ownMemory);
    this.cpuCount = options.cpuCount;
    this.log = options.log;
    this.tell = options.tell;
    this.dispatch = options.dispatch;
    this.observer = options.observer;
    this.watchesCalls = options.watchesCalls;
    this.turns = options.turns;
    this.randomFill = options.randomFill;
    this.newPidfd = options.newPidfd;
    this.network = options.network;
    this.timers = options.timers;
    this.settings = options.settings;
    this.mainHasShell = options.mainHasShell;
    this.mainStopped = options.mainStopped;
    this.program = options.program;
    this.ipcMemory = new IpcMemory(options.memoryBytes, options.memory);
    this.scheduler = new Scheduler(this);
    this.platform.start(this.scheduler);
  }

  /** The process whose end is the sandbox's end. */
  get mainGroup(): ThreadGroup | undefined {
    return this.mainContainer?.main;
  }

  /** /proc/sys/kernel/random/boot_id. */
  get bootId(): string {
    this.#bootId ??= uuid(this.randomFill);
    return this.#bootId;
  }

  /** A number for a process or thread that no other has had in any PID namespace. */
  nextSerial(): number {
    this.#lastSerial += 1;
    return this.#lastSerial;
  }

  addContainer(container: Container): void {
    this.containers.set(container.id, container);
    if (this.mainContainer === undefined) {
      this.mainContainer = container;
      this.ipcMemory.payWith(container.allowance.account);
    }
    this.#memoryGuard.add(container);
  }

  /** The limits of `container` have changed. */
  limitsChanged(container: Container): void {
    this.#memoryGuard.add(container);
  }

  /** Forgets a container that has ended or never began. Its id is free again. */
  forgetContainer(container: Container): void {
    if (this.containers.get(container.id) !== container) return;
    this.containers.delete(container.id);
    this.#memoryGuard.remove(container);
    container.allowance.account.close();
    this.scheduler.forget(container);
    container.ipc.release();
    container.processPool?.end();
  }

  /** Runs until the main process has ended. Its wait status. */
  run(): number {
    this.turns?.lap('start');
    while (this.#exitStatus === undefined) {
      nextTurn();
      this.scheduler.runReady();
      this.#runTimers();
      this.#memoryGuard.look(this.clock.monotonicNs());
      this.turns?.lap('timers');
      if (this.scheduler.hasUnfinished || hasLeftovers()) this.#pieceOfWork();
      // Calls can wake one another without end, and the events of others come in between.
      else if (this.scheduler.hasReady) this.platform.poll();
      else if (!this.#pollBatch()) this.platform.wait(this.#nextDeadlineNs());
      this.turns?.lap('platform');
    }
    return this.#exitStatus;
  }

  /**
   * Runs a piece of a long call or of what was left over, and no more than that: whoever waits
   * comes before the next piece. While others are busy, they get as much time as the pieces.
   */
  #pieceOfWork(): void {
    const othersAreBusy = this.#pollBatch();
    const beganNs = this.clock.monotonicNs();
    if (this.#exitStatus !== undefined || (othersAreBusy && beganNs < this.#nextPieceNs)) return;
    this.turns?.lap('platform');
    if (this.scheduler.hasUnfinished) this.scheduler.runPiece();
    if (hasLeftovers()) {
      doLeftover();
      this.turns?.lap('leftovers');
    }
    const endedNs = this.clock.monotonicNs();
    this.#nextPieceNs = endedNs + Math.min(endedNs - beganNs, PIECE_NS);
    this.platform.look();
  }

  #nextDeadlineNs(): number {
    return Math.min(
      this.timers.nextDeadlineNs(),
      this.guestTimers.nextDeadlineNs(),
      this.#memoryGuard.deadlineNs(),
    );
  }

  #runTimers(): void {
    const nowNs = this.clock.monotonicNs();
    this.timers.runDue(nowNs);
    this.guestTimers.runDue(nowNs, () => this.clock.monotonicNs() > nowNs + PIECE_NS);
  }

  #pollBatch(): boolean {
    let endNs = 0;
    for (let count = 0; count < BATCH; count += 1) {
      if (this.#exitStatus !== undefined) return true;
      // Where many threads call at once a poll takes milliseconds, and timers are to be looked at.
      if (count % POLLS_PER_CLOCK === POLLS_PER_CLOCK - 1) {
        const nowNs = this.clock.monotonicNs();
        if (endNs === 0) endNs = nowNs + PIECE_NS;
        else if (nowNs > endNs) return true;
      }
      nextTurn();
      const delivered = this.platform.poll();
      if (this.scheduler.hasReady) return true;
      if (!delivered) return count > 0;
    }
    return true;
  }

  /**
   * Goes on for a while after the main process has ended: what it has sent last may still be on its
   * way, and on Linux the kernel outlives its processes.
   */
  linger(isNeeded: () => boolean, mostNs: number): void {
    const endNs = this.clock.monotonicNs() + mostNs;
    while (isNeeded() && this.clock.monotonicNs() < endNs) {
      nextTurn();
      this.scheduler.runReady();
      this.#runTimers();
      this.platform.wait(Math.min(endNs, this.#nextDeadlineNs()));
    }
  }

  /** The main process has ended: everything else is killed. */
  mainExited(status: number): void {
    this.#exitStatus = status;
    for (const group of [...this.groups]) groupExit(group, signaledStatus(SIGKILL, false));
  }

  /** Ends the sandbox from outside (time-out, CLI gone): as if the main process was killed. */
  kill(status: number): void {
    if (this.mainGroup !== undefined && !this.mainGroup.isExiting)
      groupExit(this.mainGroup, status);
    else this.mainExited(status);
  }
}
