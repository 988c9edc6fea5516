// SPDX-License-Identifier: Apache-2.0
// Memory trim: a Sentry or Gofer that has been idle for a while gives back the memory that only
// work needs. It trims again only after new work, and less and less often, so that an idle process
// takes no CPU time.
import { native } from './addon.ts';

/**
 * Longer than the pauses of a start while many others start beside it: a collection costs what a
 * third of a start does.
 */
const FIRST_QUIET_NS = 2e9;
const LONGEST_QUIET_NS = 60e9;
/** V8's own threads sweep for a while after a collection. */
const AFTER_COLLECTION_NS = 100e6;

type CollectGarbage = (options: { type: string; execution: string; flavor: string }) => void;

export class MemoryTrim {
  /** --expose-gc; absent in unit tests. */
  readonly #collect = (globalThis as { gc?: CollectGarbage }).gc;
  #quietNs = FIRST_QUIET_NS;
  #step: 'active' | 'collected' | 'trimmed' = 'active';

  /** Called before confinement, because it reads /proc/self/maps. */
  prepare(): void {
    native.learnProgram();
    // An ordinary user may not lock that much memory: then a guest at its memory limit may be slow
    // instead of being killed.
    native.keepProgram();
  }

  /**
   * How long the process must have been idle before `trim` is due; Infinity where there is nothing
   * to trim.
   */
  get quietNs(): number {
    if (this.#step === 'trimmed') return Number.POSITIVE_INFINITY;
    return this.#step === 'active' ? this.#quietNs : AFTER_COLLECTION_NS;
  }

  /** Collects all garbage now: while the process works, and without dropping its program. */
  collectGarbage(): void {
    this.#collect?.({ type: 'major', execution: 'sync', flavor: 'regular' });
  }

  /** The process has worked: there may be memory to trim again. */
  disturb(): void {
    this.#step = 'active';
  }

  /** Takes the next step: first collects V8's garbage, later drops the pages of the program. */
  trim(): void {
    if (this.#step === 'active') {
      this.#step = 'collected';
      this.#quietNs = Math.min(this.#quietNs * 4, LONGEST_QUIET_NS);
      this.#collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    } else {
      this.#step = 'trimmed';
      native.dropPages();
    }
  }
}
