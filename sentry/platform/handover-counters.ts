// SPDX-License-Identifier: Apache-2.0
// How guest threads and the Sentry handed over to each other so far. A platform may count whatever it has:
// `runts do --stats` prints each field by its name.

/** Plain numbers that only grow, and that a platform counts all the time: an increment costs nothing. */
export interface HandoverCounters {
  /** Answers whose guest thread was still spinning for them, and those for which it slept. */
  readonly answersToSpinning?: number;
  readonly answersToSleeping?: number;
  /** The Sentry's own spins: those that found something, and those that gave up. */
  readonly spinsThatFound?: number;
  readonly spinsThatGaveUp?: number;
  /** How often the Sentry slept. */
  readonly sleeps?: number;
  /** Changes to the regime in which both sides spin, and to that in which they sleep side by side. */
  readonly turnsToSpin?: number;
  readonly turnsToSide?: number;
  /** Guest threads that were moved to another processor, and those let loose because they computed. */
  readonly moves?: number;
  readonly letLoose?: number;
}
