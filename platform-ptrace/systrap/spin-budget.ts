// How long stubs spin for their answers, learnt from how answers find them. On idle cores an answer comes within
// a microsecond or two and spinning saves two context switches. Where other programs want the same cores, the
// Sentry is often not running when a stub posts: spinning then only delays it (measured with three busy
// processes on two cores: 16 to 80 us a call with spinning, 10 to 25 without).

/** Answers that make one judgement. */
const WINDOW = 64;
const MOST_LATE = WINDOW / 4;
const FEW_LATE = WINDOW / 16;
/** Answers without spinning before it is tried again; doubles with each failed try. */
const FIRST_REST = 1024;
const LONGEST_REST = 16384;

export class SpinBudget {
  readonly #most: number;
  #current: number;
  #answers = 0;
  #late = 0;
  #rest = FIRST_REST;

  /** `most`: PAUSE instructions; 0 on a single processor, for good. */
  constructor(most: number) {
    this.#most = most;
    this.#current = most;
  }

  get pauses(): number {
    return this.#current;
  }

  /** An answer found its stub still spinning, or (late) asleep. True if the budget changed. */
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
      // The first, short try after a rest failed: rest longer.
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
