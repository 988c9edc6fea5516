// SPDX-License-Identifier: Apache-2.0
// The spin budget: how long stubs spin for their answers. It is learnt from whether answers find
// the stubs still spinning. On idle cores an answer comes within a microsecond or two and spinning
// saves two context switches. Where other programs want the same cores, the Sentry is often not
// running when a stub posts: spinning then only delays it (measured with three busy processes on
// two cores: 16 to 80 us a call with spinning, 10 to 25 without).

/** The number of answers that make one judgement. */
const WINDOW = 64;
const MOST_LATE = WINDOW / 4;
const FEW_LATE = WINDOW / 16;
/**
 * The number of answers without spinning before spinning is tried again. It doubles with each try
 * that fails.
 */
const FIRST_REST = 1024;
const LONGEST_REST = 16384;

export class SpinBudget {
  readonly #most: number;
  #current: number;
  #answers = 0;
  #late = 0;
  #rest = FIRST_REST;

  /**
   * `most` is counted in PAUSE instructions. It is 0 on a single processor, where stubs never spin.
   */
  constructor(most: number) {
    this.#most = most;
    this.#current = most;
  }

  get pauses(): number {
    return this.#current;
  }

  /**
   * Takes note of an answer that found its stub still spinning, or asleep (`late`). Returns true if
   * the budget changed.
   */
  note(late: boolean): boolean {
    if (late) this.#late++;
    this.#answers++;
    if (this.#current === 0)
      return this.#most > 0 && this.#answers >= this.#rest && this.#set(this.#most / 4);
    return this.#answers >= WINDOW && this.#judge();
  }

  #judge(): boolean {
    const late = this.#late;
    if (late > MOST_LATE) {
      // The first, short try after some time without spinning has failed: the next try comes later.
      if (this.#current < this.#most) this.#rest = Math.min(this.#rest * 2, LONGEST_REST);
      return this.#set(0);
    }
    if (late > FEW_LATE || this.#current === this.#most) {
      this.#answers = 0;
      this.#late = 0;
      return false;
    }
    this.#rest = FIRST_REST;
    return this.#set(Math.min(this.#most, this.#current * 2));
  }

  #set(pauses: number): boolean {
    this.#current = Math.round(pauses);
    this.#answers = 0;
    this.#late = 0;
    return true;
  }
}
