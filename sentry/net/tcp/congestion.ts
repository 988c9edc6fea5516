// SPDX-License-Identifier: Apache-2.0
// How much may be on its way: CUBIC (RFC 9438) and NewReno (RFC 5681). Windows are bytes.

export interface CongestionControl {
  readonly name: 'cubic' | 'reno';
  window: number;
  threshold: number;
  /** `bytes` more were acknowledged, while the window was what held the sender back. */
  acknowledged(bytes: number, nowMs: number, rttMs: number): void;
  /** Something was lost. The window is what may be on its way from now on. */
  lost(inFlight: number, nowMs: number): void;
  /** Nothing came back at all (RFC 5681 3.1). */
  timedOut(inFlight: number): void;
}

/** RFC 6928. */
const INITIAL_SEGMENTS = 10;
const CUBIC_C = 0.4;
const CUBIC_BETA = 0.7;
/** RFC 9438 4.3: CUBIC grows as Reno would with its own factor of decrease. */
const CUBIC_ALPHA = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA);

export class Reno implements CongestionControl {
  readonly name = 'reno';
  window: number;
  threshold: number = Number.POSITIVE_INFINITY;
  readonly #segmentBytes: number;
  #left = 0;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.window = INITIAL_SEGMENTS * segmentBytes;
  }

  acknowledged(bytes: number): void {
    if (this.window < this.threshold) {
      this.window += bytes;
      return;
    }
    this.#left += bytes;
    if (this.#left < this.window) return;
    this.#left -= this.window;
    this.window += this.#segmentBytes;
  }

  lost(inFlight: number): void {
    this.threshold = Math.max(inFlight / 2, 2 * this.#segmentBytes);
    this.window = this.threshold;
    this.#left = 0;
  }

  timedOut(inFlight: number): void {
    this.threshold = Math.max(inFlight / 2, 2 * this.#segmentBytes);
    this.window = this.#segmentBytes;
    this.#left = 0;
  }
}

export class Cubic implements CongestionControl {
  readonly name = 'cubic';
  window: number;
  threshold: number = Number.POSITIVE_INFINITY;
  readonly #segmentBytes: number;
  /** The window before the last loss; where the curve is flat. */
  #plateau = 0;
  /** Since when the curve runs; undefined: it begins with the next acknowledgement. */
  #epochMs: number | undefined;
  #secondsToPlateau = 0;
  /** The window that Reno would have. */
  #renoWindow = 0;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.window = INITIAL_SEGMENTS * segmentBytes;
  }

  acknowledged(bytes: number, nowMs: number, rttMs: number): void {
    if (this.window < this.threshold) {
      this.window += bytes;
      return;
    }
    if (this.#epochMs === undefined) this.#beginEpoch(nowMs);
    const seconds = (nowMs - (this.#epochMs ?? nowMs) + rttMs) / 1000 - this.#secondsToPlateau;
    const curve = this.#plateau + CUBIC_C * seconds ** 3 * this.#segmentBytes;
    // RFC 9438 4.4: at most half as much more as was acknowledged in a round trip.
    const target = Math.min(Math.max(curve, this.window), this.window * 1.5);
    const alpha = this.#renoWindow >= this.#plateau ? 1 : CUBIC_ALPHA;
    this.#renoWindow += (alpha * this.#segmentBytes * bytes) / this.window;
    this.window += ((target - this.window) * bytes) / this.window;
    this.window = Math.max(this.window, this.#renoWindow);
  }

  #beginEpoch(nowMs: number): void {
    this.#epochMs = nowMs;
    this.#renoWindow = this.window;
    if (this.window >= this.#plateau) this.#plateau = this.window;
    const missing = (this.#plateau - this.window) / this.#segmentBytes;
    this.#secondsToPlateau = Math.cbrt(missing / CUBIC_C);
  }

  lost(inFlight: number): void {
    this.#rememberPlateau();
    const most = Math.max(Math.min(this.window, inFlight * 2), inFlight);
    this.threshold = Math.max(most * CUBIC_BETA, 2 * this.#segmentBytes);
    this.window = this.threshold;
  }

  timedOut(inFlight: number): void {
    this.#rememberPlateau();
    this.threshold = Math.max(inFlight * CUBIC_BETA, 2 * this.#segmentBytes);
    this.window = this.#segmentBytes;
  }

  /** RFC 9438 4.7: who lost before the last plateau was reached makes room for others. */
  #rememberPlateau(): void {
    this.#epochMs = undefined;
    this.#plateau =
      this.window < this.#plateau ? (this.window * (1 + CUBIC_BETA)) / 2 : this.window;
  }
}
