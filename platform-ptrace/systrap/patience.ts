// How long the Sentry waits for what a stub owes it. A stub that a guest has broken may never answer; an honest one answers
// in microseconds of its own time, which on a busy machine may be long after.
import type { Clock } from '../../sentry/base/clock.ts';

const PATIENCE_NS = 10e9;
/**
 * Most that counts between two looks. Where more has passed the Sentry itself did not run, and no more did the stub: a
 * freezer holds both (`docker pause`), or others have the processors.
 */
const MOST_COUNTED_NS = 20e6;

export class Patience {
  readonly #clock: Pick<Clock, 'monotonicNs'>;
  #leftNs: number;
  #lastNs: number;

  constructor(clock: Pick<Clock, 'monotonicNs'>, patienceNs: number = PATIENCE_NS) {
    this.#clock = clock;
    this.#leftNs = patienceNs;
    this.#lastNs = clock.monotonicNs();
  }

  /** To be asked at least every 10 ms. */
  isLeft(): boolean {
    const now = this.#clock.monotonicNs();
    this.#leftNs -= Math.min(now - this.#lastNs, MOST_COUNTED_NS);
    this.#lastNs = now;
    return this.#leftNs > 0;
  }
}
