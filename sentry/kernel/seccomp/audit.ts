// SPDX-License-Identifier: Apache-2.0
// How much filters may fill the log: as printk_ratelimit(), ten lines in five seconds.
const LINES = 10;
const INTERVAL_NS = 5_000_000_000;

export class AuditLimit {
  #begunNs = Number.NEGATIVE_INFINITY;
  #told = 0;

  /** Counts a line; false when there were enough. */
  mayTell(nowNs: number): boolean {
    if (nowNs - this.#begunNs >= INTERVAL_NS) {
      this.#begunNs = nowNs;
      this.#told = 0;
    }
    this.#told += 1;
    return this.#told <= LINES;
  }
}
