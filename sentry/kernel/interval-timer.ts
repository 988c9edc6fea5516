// SPDX-License-Identifier: Apache-2.0
// setitimer(2): one real, one virtual and one profiling timer a process; alarm(2).
import { SI_KERNEL, SIGALRM, SIGPROF, SIGVTALRM } from '../../abi/signal.ts';
import { ITIMER_REAL, ITIMER_VIRTUAL } from '../../abi/time.ts';
import type { Timer } from '../base/timer-queue.ts';
import { processCpuNs } from './cpu-time.ts';
import type { ThreadGroup } from './thread-group.ts';

export interface IntervalValue {
  /** Time to the next expiry, 0 when disarmed. */
  readonly valueNs: number;
  readonly intervalNs: number;
}

/**
 * CPU time passes no faster than real time on each CPU: a CPU timer is looked at again no sooner
 * than this.
 */
const MIN_RECHECK_NS = 1_000_000;

class IntervalTimer {
  readonly #group: ThreadGroup;
  readonly #signal: number;
  readonly #nowNs: () => number;
  readonly #isCpu: boolean;
  #expiryNs = 0;
  #intervalNs = 0;
  #timer: Timer | undefined = undefined;

  constructor(group: ThreadGroup, signal: number, isCpu: boolean) {
    this.#group = group;
    this.#signal = signal;
    this.#isCpu = isCpu;
    this.#nowNs = isCpu ? () => processCpuNs(group) : () => group.kernel.clock.monotonicNs();
  }

  get(): IntervalValue {
    if (this.#expiryNs === 0) return { valueNs: 0, intervalNs: this.#intervalNs };
    return {
      valueNs: Math.max(1000, this.#expiryNs - this.#nowNs()),
      intervalNs: this.#intervalNs,
    };
  }

  set(value: IntervalValue): void {
    this.cancel();
    // As in Linux a disarmed timer of CPU time remembers its interval, and that of real time does not.
    this.#intervalNs = value.valueNs === 0 && !this.#isCpu ? 0 : value.intervalNs;
    if (value.valueNs === 0) return;
    this.#expiryNs = this.#nowNs() + value.valueNs;
    this.#arm();
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#expiryNs = 0;
  }

  #arm(leastNs = 0): void {
    const { clock, guestTimers, cpuCount } = this.#group.kernel;
    const restNs = this.#expiryNs - this.#nowNs();
    const waitNs = this.#isCpu ? Math.max(MIN_RECHECK_NS, restNs / cpuCount) : restNs;
    this.#timer = guestTimers.add(clock.monotonicNs() + Math.max(leastNs, waitNs), () =>
      this.#expired(),
    );
  }

  #expired(): void {
    const now = this.#nowNs();
    if (now < this.#expiryNs) {
      this.#arm();
      return;
    }
    const isPending = this.#group.pending.set.has(this.#signal);
    this.#group.send({ signal: this.#signal, code: SI_KERNEL });
    if (this.#group.isExiting) return;
    if (this.#intervalNs === 0) {
      this.#expiryNs = 0;
      return;
    }
    const missed = Math.floor((now - this.#expiryNs) / this.#intervalNs);
    this.#expiryNs += (missed + 1) * this.#intervalNs;
    // Nobody takes the signals: a timer of a microsecond must not keep the Sentry busy.
    this.#arm(isPending ? MIN_RECHECK_NS : 0);
  }
}

export class IntervalTimers {
  readonly #timers: readonly IntervalTimer[];

  constructor(group: ThreadGroup) {
    this.#timers = [
      new IntervalTimer(group, SIGALRM, false),
      new IntervalTimer(group, SIGVTALRM, true),
      new IntervalTimer(group, SIGPROF, true),
    ];
  }

  static of(group: ThreadGroup): IntervalTimers {
    group.intervalTimers ??= new IntervalTimers(group);
    return group.intervalTimers;
  }

  /** `which`: ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF; the caller has checked it. */
  get(which: number): IntervalValue {
    return this.#timer(which).get();
  }

  set(which: number, value: IntervalValue): IntervalValue {
    const old = this.#timer(which).get();
    this.#timer(which).set(value);
    return old;
  }

  cancel(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  #timer(which: number): IntervalTimer {
    const index = which === ITIMER_REAL ? 0 : which === ITIMER_VIRTUAL ? 1 : 2;
    return this.#timers[index] as IntervalTimer;
  }
}
