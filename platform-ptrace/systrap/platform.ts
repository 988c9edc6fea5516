// SPDX-License-Identifier: Apache-2.0
// The systrap platform: guest code runs natively in stub processes whose system calls raise SIGSYS;
// stops and answers travel through shared memory. See README.md.
import { EAGAIN, EIO, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { MSG_DONTWAIT } from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import {
  EVENT_CLONED,
  EVENT_OPERATION_FAILED,
  EVENT_READY,
  OP_CLOSE,
  ORDER_STOP,
  SLOT,
  STATE_ANSWERED,
  STATE_POSTED,
  STATE_RUNNING,
  STATE_SLEEPING,
  ZYGOTE_CANNOT_TRACE,
} from '../../protocol/mailbox.ts';
import type { Clock } from '../../sentry/base/clock.ts';
import type { WorkCounters } from '../../sentry/base/work-counters.ts';
import type { HandoverCounters } from '../../sentry/platform/handover-counters.ts';
import type {
  FreshAddressSpace,
  HostFdWatcher,
  Platform,
  PlatformEvents,
  ProcessPool,
} from '../../sentry/platform/platform.ts';
import { type Trap, usableTraps } from '../trap.ts';
import { prepareSpace, SystrapSpace } from './address-space.ts';
import { type CloneHost, Clones } from './clones.ts';
import { Flushes, TRY_NS } from './flushes.ts';
import type { SystrapThread } from './guest-thread.ts';
import { ANYWHERE } from './hand-over.ts';
import { MailboxRegion } from './mailbox-region.ts';
import { Patience } from './patience.ts';
import { Stops } from './stops.ts';
import { StubPool } from './stub-pool.ts';
import { type IdleTrim, Waiter } from './waiter.ts';
import { GUEST_TOP, randomStubBase, sendInit, type ZygoteFds } from './zygote.ts';

/** Each costs a host call. */
const MOST_LET_LOOSE = 64;
/**
 * A process that dies gives its memory back itself, and one with more than this shall not do so on
 * the Sentry's processor. For less, waking another processor costs as much.
 */
const LARGE_BYTES = 8 * 1024 * 1024;
/** How far past the highest known host pid strangers are looked for. */
const STRANGER_RANGE = 1024;
/**
 * Host descriptors are polled once in this many polls, as long as there is always something to do.
 */
const POLLS_PER_DESCRIPTOR_CHECK = 64;

export interface StubOptions extends ZygoteFds {
  readonly clock: Clock;
  readonly memoryTrim?: IdleTrim;
  /** Whether system calls that trap often are patched: true unless said otherwise. */
  readonly patches?: boolean;
  /** Whether arguments of calls come in the mailbox: true unless said otherwise. */
  readonly windows?: boolean;
  /** Whether guest threads wait and wake on private futexes by themselves: true unless said otherwise. */
  readonly hostFutexes?: boolean;
  /** Counts copies, where somebody wants to know. */
  readonly work?: WorkCounters | undefined;
}

/**
 * Makes a platform with the first of these traps that the host allows. Throws where it allows none;
 * the message says what is missing.
 */
export function createStubPlatform(traps: readonly Trap[], options: StubOptions): StubPlatform {
  return new StubPlatform(usableTraps(traps), options);
}

export class StubPlatform implements Platform, CloneHost {
  readonly guestTop = GUEST_TOP;
  readonly stubBase = randomStubBase();
  readonly region = new MailboxRegion();
  readonly words = this.region.words;
  readonly bytes: Uint8Array = new Uint8Array(this.region.words.buffer);
  readonly clones: Clones;
  readonly #mayPatch: boolean;
  readonly #mayUseHostFutexes: boolean;
  /** The thread whose stop is handled right now: its window can be used (window.ts). */
  handled: SystrapThread | undefined = undefined;
  readonly work: WorkCounters | undefined;
  fpStateBytes = 0;
  fpState: Uint8Array = new Uint8Array(0);
  #trap: Trap;
  readonly #clock: Clock;
  readonly #controlFd: number;
  readonly #waiter: Waiter;
  readonly #zygote: SystrapThread;
  /** The one above and those of containers with cgroups of their own. */
  readonly #zygotes: Set<SystrapThread> = new Set();
  #events: PlatformEvents | undefined;
  /**
   * The address spaces by the pids of their host processes. A destroyed one stays here until it is
   * reaped.
   */
  readonly #processes: Map<number, SystrapSpace> = new Map();
  /** The pool in the sandbox's own cgroups, and those of containers with cgroups of their own. */
  readonly #ownPool: StubPool;
  readonly #containerPools: Set<StubPool> = new Set();
  /**
   * Address spaces that broke their stubs, and threads with an outcome to deliver: `poll` delivers
   * both.
   */
  readonly #broken: { space: SystrapSpace; reason: string }[] = [];
  readonly #later: SystrapThread[] = [];
  readonly #status = new Int32Array(1);
  /** Pid and status of a guest process that has ended, as the tracer tells them. */
  readonly #death = new Int32Array(2);
  readonly #deathBytes = new Uint8Array(this.#death.buffer);
  readonly #stops: Stops<SystrapThread>;
  #pollCount = 0;
  readonly #flushes: Flushes;

  constructor(traps: readonly [Trap, ...Trap[]], options: StubOptions) {
    this.#trap = traps[0];
    this.#clock = options.clock;
    this.#controlFd = options.zygoteSocketFd;
    this.#mayPatch = options.patches ?? true;
    this.#mayUseHostFutexes = options.hostFutexes ?? true;
    this.work = options.work;
    this.#waiter = new Waiter(this.words, options.clock, options);
    this.#stops = new Stops(
      this.words,
      this.#waiter,
      options.clock,
      (thread, state) => this.#stopped(thread, state),
      (thread) => thread.space.stops,
    );
    this.#flushes = new Flushes(this, this.#waiter, options.clock);
    this.#zygote = this.#startZygote(traps, options.zygoteSocketFd);
    this.clones = new Clones(this, this.hasTracer ? undefined : this.#takeListener());
    this.#ownPool = new StubPool(
      () => this.#zygote,
      () => undefined,
    );
    this.#ownPool.fill();
  }

  get name(): Trap['name'] {
    return this.#trap.name;
  }

  get patches(): boolean {
    return this.#trap.canPatch && this.#mayPatch;
  }

  /** Threads wait for futexes on the host in patched calls only. */
  get hostFutexes(): boolean {
    return this.#trap.canPatch && this.#mayUseHostFutexes;
  }

  get hasTracer(): boolean {
    return this.#trap.tracerFilter !== undefined;
  }

  get counters(): HandoverCounters {
    return this.#waiter.counters;
  }

  start(events: PlatformEvents): void {
    this.#events = events;
  }

  newAddressSpace(processPool?: ProcessPool): Result<FreshAddressSpace> {
    const pool = processPool instanceof StubPool ? processPool : this.#ownPool;
    const patience = new Patience(this.#clock);
    for (;;) {
      const fresh = pool.take();
      if (fresh !== undefined) return fresh;
      const filled = pool.fill();
      if (isErrno(filled) || !patience.isLeft()) return EAGAIN;
      if (!this.#spawnStep(pool)) this.#waiter.pause(1e6);
    }
  }

  tryNewAddressSpace(
    processPool: ProcessPool | undefined,
    ready: (isReady: boolean) => void,
  ): Result<FreshAddressSpace> | undefined {
    const pool = processPool instanceof StubPool ? processPool : this.#ownPool;
    const patience = new Patience(this.#clock, TRY_NS);
    for (;;) {
      const fresh = pool.take();
      if (fresh !== undefined) return fresh;
      if (isErrno(pool.fill())) return EAGAIN;
      if (!patience.isLeft()) break;
      if (!this.#spawnStep(pool)) this.#waiter.pause(1e6);
    }
    return pool.whenNext(ready) ? undefined : EAGAIN;
  }

  newProcessPool(cgroupFds: readonly number[]): Result<ProcessPool> {
    const processPool = new StubPool(
      () => this.#zygoteIn(cgroupFds),
      () => {
        this.#containerPools.delete(processPool);
        for (const fd of cgroupFds) native.close(fd);
      },
    );
    this.#containerPools.add(processPool);
    const filled = processPool.fill();
    if (!isErrno(filled)) return processPool;
    processPool.end();
    return filled;
  }

  poll(): boolean {
    this.#waiter.turn();
    let any = this.#deliverDeaths();
    if (!this.clones.isIdle && this.clones.answerNotifications()) any = true;
    if (this.#stops.poll()) any = true;
    // A stub that was found broken just now is reported before the Sentry sleeps: no later event
    // may come to end the sleep.
    if (this.#broken.length > 0 && this.#deliverDeaths()) any = true;
    if (++this.#pollCount >= POLLS_PER_DESCRIPTOR_CHECK) {
      this.#pollCount = 0;
      if (this.#waiter.pollDescriptors()) any = true;
    }
    return any;
  }

  look(): void {
    this.#pollCount = 0;
    this.#waiter.pollDescriptors();
    this.clones.answerNotifications();
    if (!this.clones.isIdle) this.clones.expire();
    this.poll();
  }

  get sleptNs(): number {
    return this.#waiter.sleptNs;
  }

  get runningThreads(): number {
    return this.#waiter.running.length;
  }

  wait(untilNs: number): void {
    if (this.poll()) return;
    this.#refillPools();
    const deadlineNs = this.clones.isIdle ? untilNs : Math.min(untilNs, this.clones.expiryNs);
    // A pending clone is asked for on a descriptor, which spinning on the slots would not notice.
    if (this.clones.isAsked || !this.#waiter.spin(deadlineNs)) {
      this.#waiter.sleep(deadlineNs);
      // A clone that waits for leave has ended the sleep, and must be answered even if nobody
      // ordered it.
      this.clones.answerNotifications();
      if (!this.clones.isIdle) this.clones.expire();
    }
    this.poll();
  }

  /** Makes address spaces for the next execs, now that there is nothing else to do. */
  #refillPools(): void {
    if (this.#ownPool.isShort) this.#ownPool.fill();
    for (const pool of this.#containerPools) if (pool.isShort) pool.fill();
  }

  watch(hostFd: number, events: number, watcher: HostFdWatcher): SysResult {
    return this.#waiter.watch(hostFd, events, watcher);
  }

  rewatch(hostFd: number, events: number): SysResult {
    return this.#waiter.rewatch(hostFd, events);
  }

  unwatch(hostFd: number): void {
    this.#waiter.unwatch(hostFd);
  }

  /** Kills every stub and the zygote, for tests. In production they die with the PID namespace. */
  shutdown(): void {
    for (const [pid, space] of this.#processes) {
      native.kill(pid, SIGKILL);
      if (!space.isDead) this.#forget(space);
    }
  }

  // ---- ThreadHost, SpaceHost, CloneHost ----

  threadRuns(thread: SystrapThread): void {
    thread.state = 'running';
    if (thread.runIndex < 0) this.#waiter.add(thread);
  }

  answered(late: boolean): void {
    this.#waiter.answered(late);
  }

  beforeWake(thread: SystrapThread): void {
    // A zygote forks while the Sentry and guests work, on whatever processor is free.
    if (!this.#zygotes.has(thread)) this.#waiter.beforeWake(thread);
  }

  flush(thread: SystrapThread): SysResult {
    return this.#flushes.flush(thread);
  }

  tryFlush(thread: SystrapThread, done: (result: SysResult) => void): SysResult | undefined {
    return this.#flushes.tryFlush(thread, done);
  }

  flushFirst(thread: SystrapThread, then: () => void): void {
    this.#flushes.flushFirst(thread, then);
  }

  deliverLater(thread: SystrapThread): void {
    thread.state = 'running';
    this.#later.push(thread);
  }

  spaceBroke(space: SystrapSpace, reason: string): void {
    this.#broken.push({ space, reason });
  }

  threadDropped(thread: SystrapThread): void {
    this.#waiter.remove(thread);
  }

  spaceDestroyed(space: SystrapSpace): void {
    if (space.pid !== 0) {
      if (space.toldResidentBytes > LARGE_BYTES) this.#letLoose(space);
      native.kill(space.pid, SIGKILL);
    }
    this.#forget(space);
  }

  /** Lets threads that were kept on the Sentry's processor run on any; of thousands none. */
  #letLoose({ threads }: SystrapSpace): void {
    if (threads.size > MOST_LET_LOOSE) return;
    for (const thread of threads.values())
      if (thread.place.cpu !== ANYWHERE && thread.hostTid !== 0) thread.runOn(ANYWHERE);
  }

  adoptProcess(space: SystrapSpace, pid: number): boolean {
    if (this.#processes.has(pid)) return false;
    space.pid = pid;
    this.#processes.set(pid, space);
    return true;
  }

  unknownChildren(): number[] {
    // Pids grow until they wrap: a child of the Sentry that is younger than the zygote has a higher
    // pid.
    const last = Math.max(...this.#processes.keys()) + STRANGER_RANGE;
    const unknown: number[] = [];
    for (let pid = this.#zygote.space.pid + 1; pid <= last; pid++) {
      if (!this.#processes.has(pid) && native.waitOne(pid) === 0) unknown.push(pid);
    }
    return unknown;
  }

  killUnknown(pids: readonly number[]): void {
    for (const pid of pids) if (!this.#processes.has(pid)) native.kill(pid, SIGKILL);
  }

  nowNs(): number {
    return this.#clock.monotonicNs();
  }

  // ---- events ----

  #stopped(thread: SystrapThread, state: number): void {
    this.#waiter.turn();
    this.#waiter.remove(thread);
    this.#waiter.threadStopped(thread);
    thread.state = 'stopped';
    const kind = this.words[thread.base + SLOT.kind] as number;
    if (state !== STATE_POSTED && state !== STATE_SLEEPING) {
      this.spaceBroke(thread.space, `slot in state ${state}`);
    } else if (thread.flushed !== undefined) {
      const { flushed } = thread;
      thread.flushed = undefined;
      flushed(this.#flushes.resultOf(thread));
      if (thread.leavesAtStop && thread.state === 'stopped') thread.exit();
      else if (thread.flushed === undefined) thread.workDone();
    } else if (thread.clone !== undefined) {
      this.#cloneStopped(thread, kind);
    } else if (thread.readStop(kind)) {
      if (thread.leavesAtStop) thread.exit();
      else this.#handle(thread);
    } else {
      this.spaceBroke(thread.space, `event ${kind} out of turn`);
    }
  }

  #handle(thread: SystrapThread): void {
    const { window } = thread;
    this.handled = thread;
    this.#events?.threadStopped(thread);
    this.handled = undefined;
    // A call that sleeps copies for itself when it goes on.
    window.close();
    if (window.isDirty && !thread.space.isDead) thread.space.flushWindow(window);
  }

  #cloneStopped(thread: SystrapThread, kind: number): void {
    const clone = thread.clone;
    if (clone === undefined) return;
    if (thread === clone.child) {
      if (kind === EVENT_READY && thread.readStop(kind) === false) this.clones.childReady(clone);
      else this.spaceBroke(thread.space, `event ${kind} from a new thread`);
    } else if (kind === EVENT_CLONED) {
      const result = this.words[thread.base + SLOT.childId] as number;
      this.clones.parentAnswered(clone, result === 0 ? EIO : result);
    } else if (kind === EVENT_OPERATION_FAILED && thread.readStop(kind)) {
      this.clones.parentAnswered(clone, thread.outcome.errno);
    } else {
      this.spaceBroke(thread.space, `event ${kind} instead of a clone`);
    }
  }

  #deliverDeaths(): boolean {
    let any = false;
    if (this.#waiter.takeChildDied()) any = this.#reap();
    while (this.#broken.length > 0) {
      const broken = this.#broken.pop();
      if (broken !== undefined && !broken.space.isDead) {
        any = true;
        if (broken.space.pid !== 0) native.kill(broken.space.pid, SIGKILL);
        this.#died(broken.space, broken.reason, 0);
      }
    }
    while (this.#later.length > 0) {
      const thread = this.#later.pop();
      if (thread === undefined || thread.state !== 'running') continue;
      any = true;
      thread.state = 'stopped';
      if (thread.leavesAtStop) thread.exit();
      else this.#events?.threadStopped(thread);
    }
    return any;
  }

  #reap(): boolean {
    let any = false;
    for (;;) {
      const pid = this.#nextDead();
      if (pid <= 0) return any;
      any = true;
      const space = this.#processes.get(pid);
      if (space === undefined) {
        this.clones.strangerReaped(pid);
        continue;
      }
      this.#processes.delete(pid);
      const status = this.#status[0] as number;
      if (space === this.#zygote.space) throw new Error(`the stub zygote died (status ${status})`);
      if (!space.isDead)
        this.#died(space, `its host process died (status ${status})`, status & 0x7f);
    }
  }

  /**
   * The pid of a guest process that has ended, with its status in #status; 0 or negative: none. The
   * tracer is their parent where there is one, and tells of them on its socket.
   */
  #nextDead(): number {
    if (!this.hasTracer) return native.waitAny(this.#status);
    for (let pid = native.waitAny(this.#status); pid > 0; pid = native.waitAny(this.#status)) {
      // The first of the tracer's threads is the process.
      if (pid === this.#zygote.tracerTid)
        throw new Error(`the tracer died (status ${this.#status[0]})`);
    }
    const told = native.recvMessage(this.#controlFd, this.#deathBytes, undefined, MSG_DONTWAIT);
    if (told !== this.#deathBytes.length) return 0;
    this.#status[0] = this.#death[1] as number;
    return this.#death[0] as number;
  }

  #died(space: SystrapSpace, reason: string, signal: number): void {
    this.#forget(space);
    if (this.#ownPool.lost(space)) return;
    for (const processPool of this.#containerPools) if (processPool.lost(space)) return;
    this.#events?.addressSpaceDied(space, reason, signal);
  }

  #forget(space: SystrapSpace): void {
    const threads = [...space.threads.values()];
    for (const thread of threads) {
      this.#waiter.remove(thread);
      this.#zygotes.delete(thread);
    }
    this.clones.spaceGone(space);
    space.release();
    for (const thread of threads) {
      thread.flushed?.(EIO);
      thread.workDone();
    }
  }

  // ---- zygotes ----

  #startZygote(traps: readonly Trap[], socketFd: number): SystrapThread {
    const prepared = prepareSpace(this);
    if (isErrno(prepared)) throw new Error('no mailbox for the stub zygote');
    native.close(prepared.stubFd);
    // The zygote has its control socket already, and this process the other end of it, from the
    // launcher.
    const space = new SystrapSpace(this, socketFd, prepared.space.mailboxFd);
    const thread = space.addThread(0);
    if (isErrno(thread)) throw new Error('no room for mailboxes');
    const sent = sendInit(socketFd, traps, this.stubBase, space.mailboxFd);
    if (isErrno(sent)) throw new Error(`cannot reach the stub zygote: errno ${-sent}`);
    if (!this.#flushes.awaitZygote(thread, socketFd)) {
      throw new Error(this.#whyNoZygote());
    }
    const tracerTid = this.words[thread.base + SLOT.tracerTid] as number;
    this.#trap =
      traps.find((trap) => (trap.tracerFilter !== undefined) === (tracerTid !== 0)) ?? this.#trap;
    thread.state = 'stopped';
    this.fpStateBytes = this.words[thread.base + SLOT.fpBytes] as number;
    this.fpState = new Uint8Array(this.fpStateBytes);
    const pid = this.words[thread.base + SLOT.childId] as number;
    if (pid <= 0) throw new Error(`the stub zygote cannot filter system calls: errno ${-pid}`);
    thread.hostTid = pid;
    thread.tracerTid = tracerTid;
    this.adoptProcess(space, pid);
    this.#zygotes.add(thread);
    return thread;
  }

  #whyNoZygote(): string {
    for (let pid = native.waitAny(this.#status); pid > 0; pid = native.waitAny(this.#status)) {
      if (this.#status[0] !== ZYGOTE_CANNOT_TRACE << 8) continue;
      return 'ptrace is not permitted: by kernel.yama.ptrace_scope = 3 or 2, by a seccomp filter, or by a security module';
    }
    return 'the stub zygote did not start: it ended at once';
  }

  /** Moves the seccomp listener from the zygote to the Sentry. */
  #takeListener(): number {
    const theirs = this.words[this.#zygote.base + SLOT.listenerFd] as number;
    const listener = native.fetchDescriptor(this.#zygote.space.pid, theirs);
    if (isErrno(listener)) throw new Error(`cannot fetch the seccomp listener: errno ${-listener}`);
    this.#zygote.queueRaw({ kind: OP_CLOSE, addr: 0, prot: theirs });
    this.#zygote.answer(ORDER_STOP);
    const answers = this.#flushes.awaitZygote(this.#zygote, this.#zygote.space.controlFd);
    if (!answers || isErrno(this.#flushes.resultOf(this.#zygote)))
      throw new Error('the stub zygote does not answer');
    this.#waiter.watchQuietly(listener);
    return listener;
  }

  /**
   * Makes a zygote in other cgroups. Each descriptor is the cgroup.procs of one cgroup, and was
   * opened outside the sandbox: a write has the rights of the process that opened it, and takes
   * pids of this namespace (cgroups(7)).
   */
  #zygoteIn(cgroupFds: readonly number[]): Result<SystrapThread> {
    const fresh = this.newAddressSpace();
    if (isErrno(fresh)) return fresh;
    const thread = fresh.thread as SystrapThread;
    const number = Buffer.from(String(thread.space.pid), 'latin1');
    for (const fd of cgroupFds) {
      const wrote = native.write(fd, number, 0, number.length);
      if (wrote === number.length) continue;
      fresh.space.destroy();
      return isErrno(wrote) ? wrote : EIO;
    }
    this.#letLoose(thread.space);
    thread.place.cpu = ANYWHERE;
    this.#zygotes.add(thread);
    return thread;
  }

  /**
   * Moves a pending fork of a zygote on, without delivering events of guests. Returns true if
   * something happened.
   */
  #spawnStep({ zygote }: StubPool): boolean {
    let any = this.clones.answerNotifications();
    const running = this.#waiter.running;
    for (let i = running.length - 1; i >= 0; i--) {
      const thread = running[i];
      if (thread?.clone === undefined || thread.clone.via !== zygote) continue;
      const state = Atomics.load(this.words, thread.base);
      if (state === STATE_ANSWERED || state === STATE_RUNNING) continue;
      any = true;
      this.#stopped(thread, state);
    }
    return any;
  }
}
