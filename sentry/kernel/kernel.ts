// The kernel of one sandbox: every table there is one of, and the main loop.

import { ENOSYS } from '../../abi/errno.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { Clock } from '../base/clock.ts';
import { TimerQueue } from '../base/timer-queue.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { ShmSegments } from '../mm/shm-segments.ts';
import type { Platform } from '../platform/platform.ts';
import { groupExit } from './exit.ts';
import { FutexTable } from './futex.ts';
import { Limits } from './limits.ts';
import { MemoryGuard } from './memory-guard.ts';
import type { ProgramEnvironment } from './program-environment.ts';
import { Scheduler } from './scheduler.ts';
import { ProcessGroup, Session } from './session.ts';
import { SignalActions } from './signal-state.ts';
import type { Task } from './task.ts';
import { ThreadGroup } from './thread-group.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What boot knows of the host and of the caller's wishes. */
export interface KernelOptions {
  readonly clock: Clock;
  readonly platform: Platform;
  readonly hostname: string;
  /** Bytes that the guest sees as its memory. */
  readonly memoryBytes: number;
  /** What the processes may have resident together (`--memory`); undefined: no limit. */
  readonly memoryLimitBytes: number | undefined;
  /** Threads that may exist at once; Infinity for no limit. */
  readonly pidLimit: number;
  /** CPUs that the guest sees. */
  readonly cpuCount: number;
  readonly log: (level: LogLevel, message: string) => void;
  /** Runs one syscall of a task: the table's dispatch. */
  readonly dispatch: (task: Task) => MaybeBlocking;
  readonly program: ProgramEnvironment;
  /** Fills the whole array with random bytes. */
  readonly randomFill: (bytes: Uint8Array) => void;
}

/** Largest pid; Linux's PID_MAX_LIMIT on 64-bit. */
const PID_MAX = 4_194_304;
/** Events handled before timers are looked at again. */
const BATCH = 64;

export class Kernel {
  readonly clock: Clock;
  readonly platform: Platform;
  readonly timers: TimerQueue = new TimerQueue();
  readonly scheduler: Scheduler;
  readonly futexes: FutexTable = new FutexTable();
  readonly shmSegments: ShmSegments;
  readonly log: (level: LogLevel, message: string) => void;
  readonly dispatch: (task: Task) => MaybeBlocking;
  readonly randomFill: (bytes: Uint8Array) => void;
  readonly program: ProgramEnvironment;

  /** uname(2). The release is what runts claims to implement, whatever the host runs. */
  hostname: string;
  domainname = '(none)';
  readonly sysname = 'Linux';
  readonly release = '6.12.0-runts';
  readonly version = '#1 SMP PREEMPT_DYNAMIC runts';
  readonly machine = 'x86_64';

  readonly memoryBytes: number;
  readonly pidLimit: number;
  readonly cpuCount: number;

  /** Living tasks by tid. */
  readonly tasks: Map<number, Task> = new Map();
  /** Processes by id, zombies included. */
  readonly groups: Map<number, ThreadGroup> = new Map();
  readonly processGroups: Map<number, ProcessGroup> = new Map();
  readonly sessions: Map<number, Session> = new Map();
  readonly init: ThreadGroup;
  /** The process whose end is the sandbox's end. */
  mainGroup: ThreadGroup | undefined = undefined;
  /** A shell outside can continue the main process when it stops: its process group is no orphan. */
  mainHasShell = false;
  /** Tells boot that the main process stopped (true) or went on (false), with the signal. */
  mainStopped: ((stopped: boolean, signal: number) => void) | undefined = undefined;
  /** Processes started since boot (for /proc/stat). */
  forkCount = 0;

  /** Gives `task` a descriptor for a process; set by boot, since descriptors' inodes live above this layer. */
  addPidfd: (task: Task, group: ThreadGroup) => number = () => ENOSYS;

  readonly #memoryGuard: MemoryGuard | undefined;
  #lastPid = 1;
  #exitStatus: number | undefined = undefined;

  constructor(options: KernelOptions) {
    this.clock = options.clock;
    this.platform = options.platform;
    this.hostname = options.hostname;
    this.memoryBytes = options.memoryBytes;
    this.pidLimit = options.pidLimit;
    this.cpuCount = options.cpuCount;
    this.log = options.log;
    this.dispatch = options.dispatch;
    this.randomFill = options.randomFill;
    this.program = options.program;
    this.shmSegments = new ShmSegments(options.program.sharedMemory);
    this.#memoryGuard =
      options.memoryLimitBytes === undefined
        ? undefined
        : new MemoryGuard(this, options.memoryLimitBytes);
    this.scheduler = new Scheduler(this);
    this.init = new ThreadGroup(this, 1, undefined, undefined, new Limits(), new SignalActions());
    this.groups.set(1, this.init);
    this.newSession(this.init);
    this.platform.start(this.scheduler);
  }

  /** Runs until the main process has ended. Its wait status. */
  run(): number {
    while (this.#exitStatus === undefined) {
      this.scheduler.runReady();
      this.timers.runDue(this.clock.monotonicNs());
      this.#memoryGuard?.look(this.clock.monotonicNs());
      if (this.scheduler.hasReady) continue;
      if (!this.#pollBatch()) this.platform.wait(this.#nextDeadlineNs());
    }
    return this.#exitStatus;
  }

  #nextDeadlineNs(): number {
    const timers = this.timers.nextDeadlineNs();
    return this.#memoryGuard === undefined
      ? timers
      : Math.min(timers, this.#memoryGuard.deadlineNs());
  }

  #pollBatch(): boolean {
    for (let count = 0; count < BATCH; count += 1) {
      if (this.#exitStatus !== undefined) return true;
      const delivered = this.platform.poll();
      if (this.scheduler.hasReady) return true;
      if (!delivered) return count > 0;
    }
    return true;
  }

  /** The main process has ended: everything else is killed. */
  mainExited(status: number): void {
    this.#exitStatus = status;
    for (const group of [...this.groups.values()]) groupExit(group, signaledStatus(SIGKILL, false));
  }

  /** Ends the sandbox from outside (time-out, CLI gone): as if the main process was killed. */
  kill(status: number): void {
    if (this.mainGroup !== undefined && !this.mainGroup.isExiting)
      groupExit(this.mainGroup, status);
    else this.mainExited(status);
  }

  /** A free pid, or undefined when the limit is reached. */
  allocatePid(): number | undefined {
    if (this.tasks.size >= this.pidLimit) return undefined;
    for (let tries = 0; tries < PID_MAX; tries += 1) {
      this.#lastPid = this.#lastPid + 1 >= PID_MAX ? 300 : this.#lastPid + 1;
      if (!this.#isTaken(this.#lastPid)) return this.#lastPid;
    }
    return undefined;
  }

  /** The process of an id as kill(2) and prlimit(2) take it: any of its threads names it. */
  processOf(id: number): ThreadGroup | undefined {
    return this.groups.get(id) ?? this.tasks.get(id)?.group;
  }

  get lastPid(): number {
    return this.#lastPid;
  }

  #isTaken(id: number): boolean {
    return (
      this.tasks.has(id) ||
      this.groups.has(id) ||
      this.processGroups.has(id) ||
      this.sessions.has(id)
    );
  }

  /** setsid(2): a new session and process group with `leader` alone in it. */
  newSession(leader: ThreadGroup): Session {
    const session = new Session(leader);
    const group = new ProcessGroup(leader.id, session);
    this.sessions.set(session.id, session);
    this.processGroups.set(group.id, group);
    if (leader.processGroup === undefined) {
      leader.processGroup = group;
      group.members.add(leader);
    } else leader.moveTo(group);
    return session;
  }

  /** What is left of `memoryBytes` by the host's count of resident guest memory. */
  freeMemoryBytes(): number {
    let used = 0;
    for (const group of this.groups.values()) {
      const task = group.anyTask;
      if (task !== undefined && !task.isDead) used += task.mm.space.usage().residentBytes;
    }
    return Math.max(0, this.memoryBytes - used);
  }

  forgetProcessGroup(group: ProcessGroup): void {
    this.processGroups.delete(group.id);
    const session = group.session;
    session.groups.delete(group);
    // A terminal's foreground group stays what it was, as in Linux: nobody is in it, and others are in the background.
    if (session.groups.size === 0) this.sessions.delete(session.id);
  }
}
