// What the Sentry and the Gofer do when they have been idle for a while: give back the memory that only work needs.
// Done again only after new work, and less and less often, so that an idle process takes no CPU time.
import { native } from './addon.ts';

/** Longer than the pauses of a start while many others start beside it: a collection costs what a third of a start does. */
const FIRST_QUIET_NS = 2e9;
const LONGEST_QUIET_NS = 60e9;
/** V8's own threads sweep for a while after a collection. */
const AFTER_COLLECTION_NS = 100e6;

type CollectGarbage = (options: { type: string; execution: string; flavor: string }) => void;

export class Rest {
  /** --expose-gc; absent in unit tests. */
  readonly #collect = (globalThis as { gc?: CollectGarbage }).gc;
  #quietNs = FIRST_QUIET_NS;
  #step: 'awake' | 'collected' | 'resting' = 'awake';

  /** Before confinement. */
  prepare(): void {
    native.learnProgram();
    // An ordinary user may not lock as much. Then a guest at its memory limit may be slow instead of being killed.
    native.keepProgram();
  }

  /** How long nothing has to happen before `rest` is due; Infinity: no need. */
  get quietNs(): number {
    if (this.#step === 'resting') return Number.POSITIVE_INFINITY;
    return this.#step === 'awake' ? this.#quietNs : AFTER_COLLECTION_NS;
  }

  /** Something happened. */
  disturb(): void {
    this.#step = 'awake';
  }

  rest(): void {
    if (this.#step === 'awake') {
      this.#step = 'collected';
      this.#quietNs = Math.min(this.#quietNs * 4, LONGEST_QUIET_NS);
      this.#collect?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    } else {
      this.#step = 'resting';
      native.dropPages();
    }
  }
}
