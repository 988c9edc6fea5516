// SPDX-License-Identifier: Apache-2.0
// By how much a container's clocks are ahead of the sandbox's: time_namespaces(7).
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  type Timespec,
} from '../../abi/time.ts';
import type { TimeOffsets } from '../../protocol/boot-config.ts';

const nothing: Timespec = { sec: 0, nsec: 0 };
export const noTimeOffsets: TimeOffsets = { monotonic: nothing, boottime: nothing };

export interface VdsoFiles {
  readonly paramsFd: number;
  readonly codeFd: number;
  readonly codeBytes: number;
}

/** A time namespace of a container's own. */
export interface TimeNamespace {
  /** In /proc/PID/ns/time. */
  readonly inode: number;
  /** The offsets that were asked for, against the host's clocks: /proc/PID/timens_offsets. */
  readonly shown: TimeOffsets;
  /** Against the sandbox's, which start at 0. */
  readonly offsets: TimeOffsets;
  /** Reads the same clocks. */
  readonly vdso: VdsoFiles;
}

/** Undefined for a clock that no time namespace moves. */
export function offsetOf(offsets: TimeOffsets, clockId: number): Timespec | undefined {
  switch (clockId) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
      return offsets.monotonic;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return offsets.boottime;
    default:
      return undefined;
  }
}

export function addTimes(a: Timespec, b: Timespec): Timespec {
  const nsec = a.nsec + b.nsec;
  return nsec < 1e9 ? { sec: a.sec + b.sec, nsec } : { sec: a.sec + b.sec + 1, nsec: nsec - 1e9 };
}

/** A time on a container's clock as one of the sandbox's. Never 0, which disarms timers. */
export function sandboxNs(time: Timespec, offset: Timespec | undefined): number {
  const { sec, nsec } = offset ?? nothing;
  return (time.sec - sec) * 1e9 + (time.nsec - nsec) || 1;
}
