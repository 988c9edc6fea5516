// SPDX-License-Identifier: Apache-2.0
// The waiter makes the Sentry wait. First it polls the slots of running threads for a short while.
// Then it announces in the page that all stubs read that the Sentry sleeps, and makes one
// epoll_wait over the wake-up eventfd, the seccomp listener and the watched descriptors.
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN } from '../../abi/epoll.ts';
import { EBUSY, EINVAL, ESRCH, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import {
  GLOBAL,
  GLOBAL_PAGE_BYTES,
  STATE_ANSWERED,
  STATE_RUNNING,
} from '../../protocol/mailbox.ts';
import type { Clock } from '../../sentry/base/clock.ts';
import type { HandoverCounters } from '../../sentry/platform/handover-counters.ts';
import type { HostFdWatcher } from '../../sentry/platform/platform.ts';
import type { SystrapThread } from './guest-thread.ts';
import { ANYWHERE, HandOver } from './hand-over.ts';

const MOST_EVENTS = 64;

/** How long a stub may spin for its answer before it sleeps. */
const STUB_SPIN_NS = 20_000;
/**
 * The bounds of the time for which the Sentry polls. The time doubles when polling pays, and halves
 * when it does not.
 */
const MOST_SPIN_NS = 50_000;
const LEAST_SPIN_NS = 2_000;
/** The Sentry's first spell after spinning has become worth while. */
const FIRST_SPIN_NS = 200_000;
/** How often threads that stay side by side are looked at, while there are any. */
const TICK_NS = 4e6;
/** Every so many ticks the Sentry itself may be woken on another processor than it was. */
const TICKS_PER_CHOICE = 5;
/** A thread that has run for so long without a call is let loose. */
const LOOSE_NS = 1e6;
/** Moves that the host refuses before none is tried any more. */
const MOST_REFUSALS = 8;

export interface WaiterOptions {
  readonly wakeEventFd: number;
  readonly globalPageFd: number;
  /** Whether stubs copy arguments into the mailbox: true unless said otherwise. */
  readonly windows?: boolean;
  /** The memory trim that is due when nothing has happened for a while. */
  readonly memoryTrim?: IdleTrim | undefined;
}

/** The part of MemoryTrim (native/memory-trim.ts) that the waiter uses. */
export interface IdleTrim {
  /**
   * How long the Sentry must have been idle before `trim` is due; Infinity where there is nothing
   * to trim.
   */
  readonly quietNs: number;
  trim(): void;
  /** The Sentry has worked. */
  disturb(): void;
}

export class Waiter {
  readonly #words: Int32Array;
  readonly #clock: Clock;
  readonly #wakeFd: number;
  readonly #memoryTrim: IdleTrim | undefined;
  readonly #global: Int32Array;
  readonly #childFlag: Int32Array;
  readonly #watchedSlots: Int32Array;
  readonly #running: SystrapThread[] = [];
  readonly #epollFd: number;
  /** An epoll that watches the platform's own descriptors only. */
  readonly #internalEpollFd: number;
  readonly #ready = new Int32Array(2 * MOST_EVENTS);
  readonly #watchers: Map<number, HostFdWatcher> = new Map();
  readonly #cpus: number;
  readonly #pausesPerUs: number;
  readonly #handOver: HandOver;
  /** PAUSE instructions that stubs may spin for. */
  readonly #stubPauses: number;
  readonly #tickFd: number;
  #isTicking = false;
  #ticks = 0;
  /**
   * The processor on which the Sentry stays in `side`: woken by a thread beside it, it would be sent
   * to an idle processor, and the thread after it, call by call.
   */
  #ownCpu = ANYWHERE;
  /** The Sentry stays nowhere until it has slept once: the host chooses a processor. */
  #isChoosing = false;
  #refusals = 0;
  #spinNs = MOST_SPIN_NS;
  /** How long `pause` has slept. */
  sleptNs = 0;

  constructor(words: Int32Array, clock: Clock, options: WaiterOptions) {
    const { wakeEventFd: wakeFd, globalPageFd, memoryTrim } = options;
    this.#memoryTrim = memoryTrim;
    this.#words = words;
    this.#clock = clock;
    this.#wakeFd = wakeFd;
    this.#global = new Int32Array(
      must(native.mapShared(globalPageFd, GLOBAL_PAGE_BYTES), 'global page'),
    );
    this.#childFlag = new Int32Array(must(native.watchChildren(wakeFd), 'SIGCHLD'));
    this.#watchedSlots = new Int32Array(native.watchedSlots());
    this.#epollFd = native.epollCreate();
    this.#internalEpollFd = native.epollCreate();
    this.#cpus = native.cpuCount();
    this.#pausesPerUs = 1e6 / Math.max(native.pauseNs(), 1000);
    this.#stubPauses = Math.round((STUB_SPIN_NS / 1000) * this.#pausesPerUs);
    this.#handOver = new HandOver(this.#cpus);
    this.#tickFd = native.timerCreate();
    this.#publishSpin();
    native.copyClock(new Uint8Array(this.#global.buffer), 4 * GLOBAL.clock);
    this.#global[GLOBAL.windows] = options.windows === false ? 0 : 1;
    this.#global[GLOBAL.futexPauses] = this.#cpus > 1 ? this.#stubPauses : 0;
    this.watchQuietly(wakeFd);
    native.epollControl(this.#epollFd, EPOLL_CTL_ADD, this.#tickFd, EPOLLIN);
  }

  /** The counts of the hand-over so far. */
  get counters(): HandoverCounters {
    return this.#handOver.counters;
  }

  /**
   * The threads whose slots are watched. The caller goes through them from the last to the first,
   * as they may be removed.
   */
  get running(): readonly SystrapThread[] {
    return this.#running;
  }

  add(thread: SystrapThread): void {
    thread.runIndex = this.#running.length;
    this.#watchedSlots[thread.runIndex] = thread.base;
    this.#running.push(thread);
  }

  remove(thread: SystrapThread): void {
    const index = thread.runIndex;
    if (index < 0) return;
    const last = this.#running.pop() as SystrapThread;
    if (last !== thread) {
      this.#running[index] = last;
      this.#watchedSlots[index] = last.base;
      last.runIndex = index;
    }
    thread.runIndex = -1;
  }

  /** Takes note of an answered system call; `late` where the stub had stopped spinning. */
  answered(late: boolean): void {
    if (this.#handOver.answered(late, this.#running.length)) this.#publishSpin();
  }

  /** A thread has stopped by itself. */
  threadStopped(thread: SystrapThread): void {
    if (!this.#handOver.spins) thread.place.stopped(this.#clock.monotonicNs());
  }

  /** A thread that is asleep is about to be woken: first it is moved to where it should run. */
  beforeWake(thread: SystrapThread): void {
    const { place } = thread;
    const handOver = this.#handOver;
    if (!handOver.spins) place.answeredNs = this.#clock.monotonicNs();
    if (this.#cpus < 2 || this.#refusals >= MOST_REFUSALS || thread.hostTid === 0) return;
    if (!handOver.spins && this.#ownCpu < 0) {
      if (this.#isChoosing) return;
      this.#stay(native.currentCpu());
    }
    const here = this.#ownCpu >= 0 ? this.#ownCpu : native.currentCpu();
    const cpu = handOver.placeFor(place, here);
    if (cpu !== place.cpu) this.#move(thread, cpu);
    if (cpu >= 0) this.#keepTicking();
  }

  #stay(cpu: number): void {
    native.setAffinity(0, cpu);
    this.#ownCpu = cpu;
  }

  #keepTicking(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    native.timerArm(this.#tickFd, TICK_NS);
  }

  #move(thread: SystrapThread, cpu: number): void {
    const moved = thread.runOn(cpu);
    // That a thread has just died says nothing about the host.
    if (moved !== ESRCH) this.#refusals = isErrno(moved) ? this.#refusals + 1 : 0;
    thread.place.cpu = cpu;
    this.#handOver.counters.moves++;
  }

  /** Lets threads loose that compute, and goes on ticking as long as any other is held. */
  #tick(): void {
    native.drainEvent(this.#tickFd);
    this.#isTicking = false;
    const nowNs = this.#clock.monotonicNs();
    let held = 0;
    for (const thread of this.#running) {
      const { place } = thread;
      if (place.cpu < 0) continue;
      if (nowNs - place.answeredNs < LOOSE_NS) {
        held++;
        continue;
      }
      this.#move(thread, ANYWHERE);
      this.#handOver.counters.letLoose++;
    }
    this.#ticks++;
    if (held > 0) this.#keepTicking();
    if (this.#ownCpu < 0 || (held > 0 && this.#ticks % TICKS_PER_CHOICE !== 0)) return;
    this.#stay(ANYWHERE);
    this.#isChoosing = true;
  }

  /**
   * Something is about to be dealt with: the launcher notices where that never ends
   * (native/launcher/watchdog.c).
   */
  turn(): void {
    const turns = (this.#global[GLOBAL.turns] as number) + 1;
    this.#global[GLOBAL.turns] = turns === 0 ? 1 : turns;
  }

  /** Returns true once after a child has died. */
  takeChildDied(): boolean {
    return this.#childFlag[0] !== 0 && Atomics.exchange(this.#childFlag, 0, 0) !== 0;
  }

  /** Polls the slots for a while. Returns true where something has to be handled. */
  spin(deadlineNs: number): boolean {
    const count = this.#running.length;
    if (count === 0 || count >= this.#cpus || !this.#handOver.spins) return false;
    if (deadlineNs - this.#clock.monotonicNs() < this.#spinNs) return false;
    const pauses = (this.#spinNs / 1000) * this.#pausesPerUs;
    const found = native.spin(count, pauses) === 1;
    this.#spinNs = found
      ? Math.min(this.#spinNs * 2, MOST_SPIN_NS)
      : Math.max(this.#spinNs / 2, LEAST_SPIN_NS);
    if (found) this.#handOver.counters.spinsThatFound++;
    else this.#handOver.counters.spinsThatGaveUp++;
    return found;
  }

  /**
   * Sleeps until something happens or the deadline has come. It calls the watchers of host
   * descriptors; the caller looks at the slots.
   */
  sleep(deadlineNs: number): void {
    Atomics.store(this.#global, GLOBAL.sleeping, 1);
    if (this.#anything()) {
      Atomics.store(this.#global, GLOBAL.sleeping, 0);
      return;
    }
    this.#handOver.counters.sleeps++;
    const nowNs = this.#clock.monotonicNs();
    const leftNs = deadlineNs - nowNs;
    const quietNs = this.#memoryTrim?.quietNs ?? Number.POSITIVE_INFINITY;
    // A signal may end the sleep before the time is over.
    const quietEndNs = quietNs < leftNs ? nowNs + quietNs : Number.POSITIVE_INFINITY;
    const sleepNs = Math.min(leftNs, quietNs);
    const timeout = sleepNs === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(sleepNs));
    const count = native.epollWait(this.#epollFd, this.#ready, timeout);
    Atomics.store(this.#global, GLOBAL.sleeping, 0);
    this.#isChoosing = false;
    if (count > 0) this.#memoryTrim?.disturb();
    else if (this.#clock.monotonicNs() >= quietEndNs && !this.#anything()) this.#memoryTrim?.trim();
    this.#deliver(count);
  }

  /** Looks at host descriptors without sleeping. Returns true if any was ready. */
  pollDescriptors(): boolean {
    if (this.#watchers.size === 0) return false;
    return this.#deliver(native.epollWait(this.#epollFd, this.#ready, 0));
  }

  /**
   * Sleeps for a short wait of the platform's own, until a slot, a child or an internal descriptor
   * asks for attention, or the time is over. It calls no watchers.
   */
  pause(timeoutNs: number): void {
    const spins = this.#handOver.spins;
    if (spins && native.spin(this.#running.length, 20 * this.#pausesPerUs) === 1) return;
    Atomics.store(this.#global, GLOBAL.sleeping, 1);
    if (!this.#anything()) {
      const beganNs = this.#clock.monotonicNs();
      native.epollWait(this.#internalEpollFd, this.#ready, timeoutNs);
      // Beyond what was asked for it is the machine that was busy, or stopped.
      this.sleptNs += Math.min(this.#clock.monotonicNs() - beganNs, timeoutNs);
      native.drainEvent(this.#wakeFd);
    }
    Atomics.store(this.#global, GLOBAL.sleeping, 0);
  }

  /** Watches an internal descriptor, which merely ends the sleep. */
  watchQuietly(fd: number): void {
    native.epollControl(this.#epollFd, EPOLL_CTL_ADD, fd, EPOLLIN);
    native.epollControl(this.#internalEpollFd, EPOLL_CTL_ADD, fd, EPOLLIN);
  }

  watch(hostFd: number, events: number, watcher: HostFdWatcher): SysResult {
    if (this.#watchers.has(hostFd)) return EBUSY;
    const result = native.epollControl(this.#epollFd, EPOLL_CTL_ADD, hostFd, events);
    if (result === 0) this.#watchers.set(hostFd, watcher);
    return result;
  }

  rewatch(hostFd: number, events: number): SysResult {
    if (!this.#watchers.has(hostFd)) return EINVAL;
    return native.epollControl(this.#epollFd, EPOLL_CTL_MOD, hostFd, events);
  }

  unwatch(hostFd: number): void {
    if (this.#watchers.delete(hostFd)) {
      native.epollControl(this.#epollFd, EPOLL_CTL_DEL, hostFd, 0);
    }
  }

  #deliver(count: number): boolean {
    let any = false;
    for (let i = 0; i < count; i++) {
      const fd = this.#ready[2 * i] as number;
      if (fd === this.#wakeFd) {
        native.drainEvent(fd);
        continue;
      }
      if (fd === this.#tickFd) {
        this.#tick();
        continue;
      }
      const watcher = this.#watchers.get(fd);
      if (watcher === undefined) continue;
      any = true;
      watcher.ready(this.#ready[2 * i + 1] as number);
    }
    return any;
  }

  #anything(): boolean {
    if (Atomics.load(this.#childFlag, 0) !== 0) return true;
    for (const thread of this.#running) {
      const state = Atomics.load(this.#words, thread.base);
      if (state !== STATE_ANSWERED && state !== STATE_RUNNING) return true;
    }
    return false;
  }

  #publishSpin(): void {
    // The first stub is still to be woken on another processor.
    this.#spinNs = FIRST_SPIN_NS;
    if (this.#handOver.spins && this.#ownCpu >= 0) this.#stay(ANYWHERE);
    this.#global[GLOBAL.spinCount] = this.#handOver.spins ? this.#stubPauses : 0;
  }
}

function must(buffer: Result<ArrayBuffer>, what: string): ArrayBuffer {
  if (isErrno(buffer)) throw new Error(`${what}: errno ${-buffer}`);
  return buffer;
}
