// SPDX-License-Identifier: Apache-2.0
// The hand-over policy decides how a guest thread and the Sentry wait for each other.
//
// The model, in microseconds for a round trip (measured with a futex ping-pong between two
// processes; an idle virtual machine of two processors):
//
//   NEAR  1 to 2   both spin, each on a processor of its own
//   SIDE  5 to 6   both sleep, side by side on one processor
//   FAR  50 to 150 one has to be woken on another processor, which is halted
//
// So there are two regimes. In `spin` both sides spin for a short while before they sleep: the best
// where a processor is free for each, and the worst where an answer is late, for then a spell was
// spun in vain and a far wake-up follows. In `side` nobody spins, and guest threads are kept on the
// Sentry's processor, where a wake-up is a context switch. `spin` is better as long as
//
//   late * FAR + (1 - late) * NEAR < SIDE,  that is where fewer than one answer in ten is late.
//
// A window of answers judges. In `side` nothing tells whether spinning would pay, so it is tried
// now and then for a few answers: at most a tenth of the time goes into tries that fail, and they
// become rarer. The first thing a late answer causes is a move: a stub that spins on the very
// processor which the Sentry needs is late however idle the other ones are.
//
// Threads that compute must not stay side by side. A thread is let loose when it has run for long
// without a call, and comes back when its calls have become frequent.

import type { HandoverCounters } from '../../sentry/platform/handover-counters.ts';

/** A thread's processor is any that the sandbox may use. */
export const ANYWHERE = -1;

/** A thread's processor is any but `cpu`. */
export const awayFrom = (cpu: number): number => -2 - cpu;

/** The answers that one judgement is about, and those of a try. */
const WINDOW = 64;
const TRY = 16;
/** Late answers in a window from which on spinning does not pay. */
const MOST_LATE = 7;
/** Late answers in a row after which a try is given up at once. */
const MOST_LATE_TRIED = 3;
/** Answers in `side` before spinning is tried again: doubles with each try that fails. */
const FIRST_REST = 512;
const LONGEST_REST = 16384;
/** A run between two calls from which on a thread computes, as a mean of the last few runs. */
const LONG_RUN_NS = 300_000;
/** The most that one run counts for, so that a thread which calls again is soon back. */
const LONGEST_RUN_NS = 4 * LONG_RUN_NS;

/** One guest thread, as far as the policy knows it. */
export class ThreadPlace {
  /** The processor, ANYWHERE, or `awayFrom` one. */
  cpu = ANYWHERE;
  /** When the thread was last answered. */
  answeredNs = 0;
  /** The mean of its last runs. */
  runNs = 0;

  /** Takes note that the thread has stopped. */
  stopped(nowNs: number): void {
    const runNs = Math.min(nowNs - this.answeredNs, LONGEST_RUN_NS);
    this.runNs += (runNs - this.runNs) / 4;
  }

  get computes(): boolean {
    return this.runNs > LONG_RUN_NS;
  }
}

/** The counts of the policy and of who carries it out. */
export type HandOverCounts = { -readonly [Name in keyof HandoverCounters]-?: number };

export class HandOver {
  readonly counters: HandOverCounts = {
    answersToSpinning: 0,
    answersToSleeping: 0,
    spinsThatFound: 0,
    spinsThatGaveUp: 0,
    sleeps: 0,
    turnsToSpin: 0,
    turnsToSide: 0,
    moves: 0,
    letLoose: 0,
  };
  /** Both sides may spin. */
  spins: boolean;
  readonly #cpus: number;
  #answers = 0;
  #late = 0;
  #rest = FIRST_REST;
  #isTry = false;

  /** `cpus`: the processors that the sandbox may use. On a single one nobody ever spins. */
  constructor(cpus: number) {
    this.#cpus = cpus;
    this.spins = cpus > 1;
  }

  /**
   * Takes note of an answer. `late`: the stub had gone to sleep; `running` other guest threads are
   * at work, and where they need all processors spinning only keeps one of them from running.
   * Returns true if the regime changed.
   */
  answered(late: boolean, running: number): boolean {
    if (late) this.counters.answersToSleeping++;
    else this.counters.answersToSpinning++;
    if (this.#cpus < 2) return false;
    this.#answers++;
    if (!this.spins) return this.#answers >= this.#rest && this.#turn(true);
    // The first of a try had gone to sleep under the old regime.
    if (this.#isTry && this.#answers <= 2) return false;
    if (late || running >= this.#cpus - 1) this.#late++;
    if (this.#isTry) {
      if (this.#late >= MOST_LATE_TRIED) return this.#turn(false);
      if (this.#answers >= TRY) this.#isTry = false;
      return false;
    }
    if (this.#late >= MOST_LATE) return this.#turn(false);
    if (this.#answers >= WINDOW) {
      this.#answers = 0;
      this.#late = 0;
      this.#rest = FIRST_REST;
    }
    return false;
  }

  /**
   * Where a thread that is asleep should be woken, `here` being the Sentry's processor. Returns
   * its place as it is where it should stay.
   */
  placeFor(place: ThreadPlace, here: number): number {
    if (this.#cpus < 2) return place.cpu;
    if (this.spins) return awayFrom(here);
    return place.computes ? ANYWHERE : here;
  }

  #turn(spins: boolean): boolean {
    if (spins) this.counters.turnsToSpin++;
    else {
      this.counters.turnsToSide++;
      this.#rest = this.#isTry ? Math.min(this.#rest * 2, LONGEST_REST) : FIRST_REST;
    }
    this.#isTry = spins;
    this.spins = spins;
    this.#answers = 0;
    this.#late = 0;
    return true;
  }
}
