// SPDX-License-Identifier: Apache-2.0
// RUNTS_TURNS=1: how long the Sentry's only thread was with one thing, by what it did. Whoever else
// wants something of the Sentry waits that long at the most. Measured is the Sentry's own processor
// time, which a machine that is busy with other programs does not make longer, and the time that it
// slept for a stub, which it does.

/** How often something was done, and how long it took. */
export interface TurnCount {
  readonly name: string;
  readonly count: number;
  readonly longestMs: number;
  readonly totalMs: number;
}

interface Count {
  count: number;
  longestNs: number;
  totalNs: number;
}

export class TurnMeter {
  readonly #spentNs: () => number;
  readonly #nameOf: (syscall: number) => string;
  readonly #counts = new Map<string, Count>();
  #lastNs = 0;

  /** `spentNs`: processor time and waits for stubs so far. */
  constructor(spentNs: () => number, nameOf: (syscall: number) => string) {
    this.#spentNs = spentNs;
    this.#nameOf = nameOf;
    this.#lastNs = spentNs();
  }

  /** Ends a turn: the time since the last one ended was for `what`, the number of a system call or a name. */
  lap(what: number | string): void {
    const now = this.#spentNs();
    const spentNs = now - this.#lastNs;
    this.#lastNs = now;
    const name = typeof what === 'number' ? this.#nameOf(what) : what;
    const count = this.#counts.get(name);
    if (count === undefined) {
      this.#counts.set(name, { count: 1, longestNs: spentNs, totalNs: spentNs });
      return;
    }
    count.count += 1;
    count.totalNs += spentNs;
    if (spentNs > count.longestNs) count.longestNs = spentNs;
  }

  /** Everything measured so far, the longest turn first. */
  counts(): TurnCount[] {
    const all = [...this.#counts].map(([name, { count, longestNs, totalNs }]) => ({
      name,
      count,
      longestMs: Math.round(longestNs / 1e4) / 100,
      totalMs: Math.round(totalNs / 1e4) / 100,
    }));
    return all.sort((a, b) => b.longestMs - a.longestMs);
  }
}
