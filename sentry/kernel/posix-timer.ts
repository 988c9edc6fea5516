// SPDX-License-Identifier: Apache-2.0
// POSIX per-process timers (timer_create(2)). A timer has at most one signal queued; expiries
// meanwhile are counted as overruns.
import { SI_TIMER, SIGEV_NONE, SIGEV_THREAD_ID } from '../../abi/signal.ts';
import type { Timespec } from '../../abi/time.ts';
import type { Timer } from '../base/timer-queue.ts';
import type { SignalInfo } from './signal-info.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

export interface TimerEvent {
  /** SIGEV_*. */
  readonly notify: number;
  readonly signal: number;
  readonly valueLo: number;
  readonly valueHi: number;
  /** SIGEV_THREAD_ID. */
  readonly target: Task | undefined;
}

/** The clock a timer runs on: now, and how long to sleep in real time for a span of it. */
export interface TimerClock {
  readonly nowNs: () => number;
  /** True for CPU clocks: they may run slower than real time, so an expiry is looked at again. */
  readonly isCpu: boolean;
  /** The time by which the guest's clock is ahead of `nowNs`. */
  readonly offset?: Timespec;
}

/** A CPU timer is looked at again no sooner than this; nor any whose signal nobody takes. */
const MIN_RECHECK_NS = 1_000_000;
/** With more timers than this a process's looks are further apart, so that they take no longer in all. */
const TIMERS_PER_RECHECK = 20;

export class PosixTimer {
  readonly id: number;
  readonly clock: TimerClock;
  readonly #group: ThreadGroup;
  readonly #event: TimerEvent;
  #expiryNs = 0;
  #intervalNs = 0;
  #timer: Timer | undefined = undefined;
  /** Overruns of the last delivered expiry. */
  #overrun = 0;
  /** The signal that waits to be taken. Until then the timer rests: what it misses are overruns. */
  #queued: SignalInfo | undefined = undefined;

  constructor(group: ThreadGroup, id: number, clock: TimerClock, event: TimerEvent) {
    this.#group = group;
    this.id = id;
    this.clock = clock;
    this.#event = event;
  }

  get overrun(): number {
    return this.#overrun;
  }

  get(): { valueNs: number; intervalNs: number } {
    const intervalNs = this.#intervalNs;
    if (this.#expiryNs === 0) return { valueNs: 0, intervalNs };
    let restNs = this.#expiryNs - this.clock.nowNs();
    if (restNs <= 0 && intervalNs > 0) restNs = intervalNs - (-restNs % intervalNs);
    // Never 0 for one that is armed; SIGEV_NONE's single expiry shows as 0.
    const isOver = restNs <= 0 && this.#event.notify === SIGEV_NONE;
    return { valueNs: isOver ? 0 : Math.max(1, restNs), intervalNs };
  }

  /** `expiryNs` is absolute on the timer's clock; 0 disarms, and then there is no interval either. */
  set(expiryNs: number, intervalNs: number): void {
    this.cancel();
    this.#intervalNs = expiryNs === 0 ? 0 : intervalNs;
    this.#expiryNs = expiryNs;
    this.#overrun = 0;
    if (expiryNs !== 0 && this.#event.notify !== SIGEV_NONE) this.#arm(0);
  }

  /** A signal that is queued already stays; it no longer wakes the timer. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#queued = undefined;
    this.#expiryNs = 0;
  }

  get #recheckNs(): number {
    return MIN_RECHECK_NS * Math.max(1, this.#group.posixTimers.size / TIMERS_PER_RECHECK);
  }

  #arm(leastNs: number): void {
    const { clock, guestTimers, cpuCount } = this.#group.kernel;
    const rest = this.#expiryNs - this.clock.nowNs();
    const wait = this.clock.isCpu ? Math.max(this.#recheckNs, rest / cpuCount) : rest;
    this.#timer = guestTimers.add(clock.monotonicNs() + Math.max(leastNs, wait), () =>
      this.#expired(),
    );
  }

  #expired(): void {
    this.#timer = undefined;
    if (this.#group.isExiting) return;
    if (this.clock.nowNs() < this.#expiryNs) {
      this.#arm(0);
      return;
    }
    const event = this.#event;
    const info: SignalInfo = {
      signal: event.signal,
      code: SI_TIMER,
      timerId: this.id,
      overrun: 0,
      valueLo: event.valueLo,
      valueHi: event.valueHi,
      dequeued: () => this.#taken(info),
    };
    this.#queued = info;
    const { target } = event;
    if (event.notify !== SIGEV_THREAD_ID) this.#group.send(info);
    else if (target !== undefined) this.#group.sendTo(target, info);
    if (this.#queued !== info) return; // Already taken, or the process died of it.
    const queue = event.notify === SIGEV_THREAD_ID ? target?.pending : this.#group.pending;
    // Ignored, or its thread is gone: nobody will take it.
    if (queue?.has(info) !== true) this.#goOn(this.#recheckNs);
  }

  /** The signal leaves its queue: what was missed meanwhile is its overrun, and the timer runs on. */
  #taken(info: SignalInfo): void {
    if (this.#queued !== info) return; // The timer was set anew.
    const missed = this.#goOn(0);
    this.#overrun = Math.min(0x7fffffff, missed);
    info.overrun = this.#overrun;
  }

  /** On to the first expiry that is still to come. How many were missed. */
  #goOn(leastNs: number): number {
    this.#queued = undefined;
    if (this.#intervalNs === 0) {
      this.#expiryNs = 0;
      return 0;
    }
    const late = Math.max(0, this.clock.nowNs() - this.#expiryNs);
    const missed = Math.floor(late / this.#intervalNs);
    this.#expiryNs += (missed + 1) * this.#intervalNs;
    this.#arm(leastNs);
    return missed;
  }
}
