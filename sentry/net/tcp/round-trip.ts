// SPDX-License-Identifier: Apache-2.0
// The round trip time and how long an acknowledgement is waited for (RFC 6298), in milliseconds.

/** Linux's; RFC 6298 2.4 says a second, which no one waits any more. */
const LEAST_RTO_MS = 200;
const MOST_RTO_MS = 120_000;
const INITIAL_RTO_MS = 1000;
/** The smallest round trip is that of this time (RACK wants a recent one). */
const MINIMUM_WINDOW_MS = 300_000;

export class RoundTrip {
  /** 0: not measured yet. */
  smoothedMs = 0;
  variationMs = 0;
  minimumMs: number = Number.POSITIVE_INFINITY;
  #minimumSinceMs = 0;
  #backoff = 0;

  measured(sampleMs: number, nowMs: number): void {
    const sample = Math.max(sampleMs, 0.001);
    if (this.smoothedMs === 0) {
      this.smoothedMs = sample;
      this.variationMs = sample / 2;
    } else {
      this.variationMs += (Math.abs(this.smoothedMs - sample) - this.variationMs) / 4;
      this.smoothedMs += (sample - this.smoothedMs) / 8;
    }
    if (sample <= this.minimumMs || nowMs - this.#minimumSinceMs > MINIMUM_WINDOW_MS) {
      this.minimumMs = sample;
      this.#minimumSinceMs = nowMs;
    }
    this.#backoff = 0;
  }

  get rtoMs(): number {
    const base =
      this.smoothedMs === 0
        ? INITIAL_RTO_MS
        : this.smoothedMs + Math.max(LEAST_RTO_MS, 4 * this.variationMs);
    return Math.min(base * 2 ** this.#backoff, MOST_RTO_MS);
  }

  /** RFC 6298 5.5. */
  backOff(): void {
    this.#backoff = Math.min(this.#backoff + 1, 16);
  }

  /** Something new was acknowledged. */
  forgive(): void {
    this.#backoff = 0;
  }
}
