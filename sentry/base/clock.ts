// SPDX-License-Identifier: Apache-2.0
// The sandbox's clocks. Times are numbers of nanoseconds where they count from the sandbox's
// start (exact up to 104 days) and {sec, nsec} pairs where they are wall-clock times.
export interface WallTime {
  readonly sec: number;
  readonly nsec: number;
}

export interface Clock {
  /** CLOCK_MONOTONIC (and BOOTTIME) of the sandbox in ns: 0 is about when the sandbox started. */
  monotonicNs(): number;
  /** CLOCK_REALTIME. */
  realtime(): WallTime;
}

const COARSE_STEP_NS = 4_000_000;

/** Wall time in steps of 4 ms: Linux stamps inodes with its coarse clock, and programs compare stamps. */
export function coarseRealtime(clock: Clock): WallTime {
  const { sec, nsec } = clock.realtime();
  return { sec, nsec: nsec - (nsec % COARSE_STEP_NS) };
}
