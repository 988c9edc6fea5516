// SPDX-License-Identifier: Apache-2.0
// The load averages of getloadavg(3).

const loadSpansSec = [60, 300, 900] as const;

/**
 * Load averages. Differs from Linux: taken when somebody looks, not every five seconds, so that an idle
 * sandbox needs no timer.
 */
export class LoadAverage {
  readonly #values = [0, 0, 0];
  #atNs = 0;

  sample(nowNs: number, running: number): readonly number[] {
    const elapsedSec = Math.max(0, (nowNs - this.#atNs) / 1e9);
    this.#atNs = nowNs;
    for (const [index, span] of loadSpansSec.entries()) {
      const weight = Math.exp(-elapsedSec / span);
      this.#values[index] = (this.#values[index] as number) * weight + running * (1 - weight);
    }
    return this.#values;
  }
}
