// SPDX-License-Identifier: Apache-2.0
// Patience: how long the Sentry itself waits for a stub. A stub that a guest has broken may never
// answer. An honest stub answers within microseconds of its own processor time, but on a busy
// machine that may take long.
import type { Clock } from '../../sentry/base/clock.ts';

const PATIENCE_NS = 10e9;
/**
 * The most time that counts between two calls of `isLeft`. Where more time has passed, the Sentry
 * itself did not run, and most likely the stub did not either: a freezer holds both (`docker
 * pause`), or other programs have the processors.
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

  /** Returns whether the stub may still be waited for. It has to be called at least every 10 ms. */
  isLeft(): boolean {
    const now = this.#clock.monotonicNs();
    this.#leftNs -= Math.min(now - this.#lastNs, MOST_COUNTED_NS);
    this.#lastNs = now;
    return this.#leftNs > 0;
  }
}
