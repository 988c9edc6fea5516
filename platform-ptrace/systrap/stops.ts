// SPDX-License-Identifier: Apache-2.0
// Which of the threads that have stopped is dealt with next. Mostly there are a few, and each is
// dealt with where it is found. Where there are more than there is time for, as with thousands of
// threads in calls, they stand in line by process (sentry/base/fair-queue.ts), so that a process with
// one thread waits for one call of the others and not for all of them.
import { STATE_ANSWERED, STATE_RUNNING } from '../../protocol/mailbox.ts';
import type { Clock } from '../../sentry/base/clock.ts';
import { FairQueue, type FairShare } from '../../sentry/base/fair-queue.ts';
import { PIECE_NS } from '../../sentry/base/turn.ts';

/** The parts of SystrapThread that are wanted here. */
export interface StoppingThread {
  /** Where its slot begins, in words. */
  readonly base: number;
  /** Its place among the threads that are watched; negative where it is not. */
  readonly runIndex: number;
}

/** Stops between two looks at the clock. */
const STOPS_PER_CLOCK = 4;

export class Stops<Thread extends StoppingThread> {
  readonly #words: Int32Array;
  /** The watched threads: the last takes the place of one that is removed. */
  readonly #watched: { readonly running: readonly Thread[] };
  readonly #clock: Clock;
  readonly #handle: (thread: Thread, state: number) => void;
  readonly #shareOf: (thread: Thread) => FairShare<Thread>;
  readonly #line: FairQueue<Thread> = new FairQueue();
  readonly #inLine: Set<Thread> = new Set();

  constructor(
    words: Int32Array,
    watched: { readonly running: readonly Thread[] },
    clock: Clock,
    handle: (thread: Thread, state: number) => void,
    shareOf: (thread: Thread) => FairShare<Thread>,
  ) {
    this.#words = words;
    this.#watched = watched;
    this.#clock = clock;
    this.#handle = handle;
    this.#shareOf = shareOf;
  }

  /**
   * Deals with the threads that have stopped, or for about PIECE_NS with as many as can be. Returns
   * true if there was any.
   */
  poll(): boolean {
    const { running } = this.#watched;
    let count = 0;
    let endNs = 0;
    let isOver = this.#line.size > 0;
    for (let i = running.length - 1; i >= 0; i -= 1) {
      const thread = running[i];
      if (thread === undefined) continue;
      const state = Atomics.load(this.#words, thread.base);
      if (state === STATE_ANSWERED || state === STATE_RUNNING) continue;
      if (isOver) {
        this.#wait(thread);
        continue;
      }
      this.#handle(thread, state);
      count += 1;
      if (count % STOPS_PER_CLOCK === 0) {
        const nowNs = this.#clock.monotonicNs();
        if (endNs === 0) endNs = nowNs + PIECE_NS;
        else isOver = nowNs > endNs;
      }
    }
    if (this.#line.size === 0) return count > 0;
    if (count === 0) this.#serve();
    return true;
  }

  #wait(thread: Thread): void {
    if (this.#inLine.has(thread)) return;
    this.#inLine.add(thread);
    this.#line.add(this.#shareOf(thread), thread);
  }

  #serve(): void {
    let nowNs = this.#clock.monotonicNs();
    const endNs = nowNs + PIECE_NS;
    do {
      const thread = this.#line.take();
      if (thread === undefined) return;
      this.#inLine.delete(thread);
      // It may have ended meanwhile.
      if (thread.runIndex < 0) continue;
      const state = Atomics.load(this.#words, thread.base);
      if (state === STATE_ANSWERED || state === STATE_RUNNING) continue;
      this.#handle(thread, state);
      const beganNs = nowNs;
      nowNs = this.#clock.monotonicNs();
      this.#line.charge(nowNs - beganNs);
    } while (nowNs < endNs);
  }
}
