// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/time.h, time_types.h.
import { EINVAL, type Result } from './errno.ts';

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;

export const TIMER_ABSTIME = 1;

export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

/** sizeof(struct timespec), sizeof(struct timeval). */
export const TIMESPEC_BYTES = 16;
/** sizeof(struct itimerspec), sizeof(struct itimerval). */
export const ITIMERSPEC_BYTES = 32;

export interface Timespec {
  readonly sec: number;
  readonly nsec: number;
}

/** A signed 64-bit little-endian value as a number (exact in +-2^53). */
export function getI64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

export function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

/** Stores an integer in +-2^53 as 64 bits. */
export function setI64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setInt32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Decodes and range-checks; a guest may put anything in nsec. */
export function readTimespec(view: DataView, at: number): Result<Timespec> {
  const sec = getI64(view, at);
  const nsec = getI64(view, at + 8);
  return sec < 0 || nsec < 0 || nsec >= 1e9 ? EINVAL : { sec, nsec };
}

/** struct timeval as a Timespec. */
export function readTimeval(view: DataView, at: number): Result<Timespec> {
  const sec = getI64(view, at);
  const usec = getI64(view, at + 8);
  return sec < 0 || usec < 0 || usec >= 1e6 ? EINVAL : { sec, nsec: usec * 1000 };
}

export function writeTimespec(view: DataView, at: number, time: Timespec): void {
  setI64(view, at, time.sec);
  setI64(view, at + 8, time.nsec);
}

export function writeTimeval(view: DataView, at: number, time: Timespec): void {
  setI64(view, at, time.sec);
  setI64(view, at + 8, Math.floor(time.nsec / 1000));
}

/** Nanoseconds; exact below 104 days, and rounded (not wrapped) above. */
export function toNs(time: Timespec): number {
  return time.sec * 1e9 + time.nsec;
}

export function fromNs(ns: number): Timespec {
  const sec = Math.floor(ns / 1e9);
  return { sec, nsec: Math.floor(ns - sec * 1e9) };
}
