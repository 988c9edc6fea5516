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
  /** Wakes of guest threads by the Sentry (futex), and of the Sentry by whoever wrote its eventfd. */
  readonly futexWakes?: number;
  readonly eventWakes?: number;
}
