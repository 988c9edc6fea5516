// SPDX-License-Identifier: Apache-2.0
// The memory of the Sentry itself beside what the accounts say. Prices are estimates, and garbage is
// there until V8 collects it: so the Sentry looks at its own size as well. Where it is larger than the
// accounts explain it collects garbage, and what is there even then its guests have to pay for.
import type { Kernel, OwnMemory } from './kernel.ts';

/** How much larger than paid for the Sentry may be: caches, and garbage between two collections. */
const SLACK_BYTES = 64 * 2 ** 20;
const BETWEEN_LOOKS_NS = 100_000_000;
/** A collection is followed by a pause of so many times its own length. */
const PAUSE_FACTOR = 10;

export class SentryMemory {
  readonly #kernel: Kernel;
  readonly #own: OwnMemory;
  /** The size before guests had made anything; -1 before the first look. */
  #firstBytes = -1;
  #nextNs = 0;
  #nextCollectionNs = 0;
  /** How much there is beyond the slack that nobody pays for. */
  unpaidBytes = 0;

  constructor(kernel: Kernel, own: OwnMemory) {
    this.#kernel = kernel;
    this.#own = own;
  }

  /**
   * A collection stops everybody for as long as it takes, which is 100 ms and more with much to look
   * through: so none is made before `isTight` says that so many bytes more would come near a limit.
   */
  look(nowNs: number, isTight: (bytes: number) => boolean): void {
    if (nowNs < this.#nextNs) return;
    this.#nextNs = nowNs + BETWEEN_LOOKS_NS;
    if (this.#firstBytes < 0) this.#firstBytes = this.#own.inUseBytes();
    const excess = this.#excessBytes();
    if (excess > 0 && nowNs >= this.#nextCollectionNs && isTight(excess)) {
      const { clock, turns } = this.#kernel;
      turns?.lap('timers');
      this.#own.collectGarbage();
      turns?.lap('collection');
      const tookNs = clock.monotonicNs() - nowNs;
      this.#nextCollectionNs = nowNs + tookNs * (1 + PAUSE_FACTOR);
      this.unpaidBytes = Math.max(0, this.#excessBytes());
    } else if (excess <= 0) this.unpaidBytes = 0;
  }

  #excessBytes(): number {
    const { usedBytes, pageBytes } = this.#kernel.memory;
    return this.#own.inUseBytes() - this.#firstBytes - (usedBytes - pageBytes) - SLACK_BYTES;
  }
}
