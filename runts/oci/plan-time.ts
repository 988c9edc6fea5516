// SPDX-License-Identifier: Apache-2.0
// linux.timeOffsets: time_namespaces(7).
import { uptime } from 'node:os';
import type { ContainerConfig } from '../../protocol/boot-config.ts';
import { Failure } from '../failure.ts';
import type { Spec, TimeOffset } from './spec/types.ts';

/** KTIME_SEC_MAX / 2: proc_timens_set_offset of kernel/time/namespace.c. */
const FARTHEST_SEC = 4_611_686_018;

export function planTime({ linux }: Spec): Pick<ContainerConfig, 'timeOffsets'> {
  const offsets = linux?.timeOffsets;
  if (offsets === undefined) return {};
  const monotonicSec = Number(process.hrtime.bigint() / 1_000_000_000n);
  return {
    timeOffsets: {
      monotonic: planOffset('monotonic', offsets.monotonic, monotonicSec),
      boottime: planOffset('boottime', offsets.boottime, Math.floor(uptime())),
    },
  };
}

function planOffset(clock: string, offset: TimeOffset = {}, nowSec: number) {
  const sec = Number(offset.secs ?? 0);
  if (sec + nowSec < 0 || sec + nowSec > FARTHEST_SEC)
    throw new Failure(
      'RUNTS_E_CONFIG_TIME',
      `linux.timeOffsets.${clock}: numerical result out of range: the clock must not be negative or above ${FARTHEST_SEC} s`,
    );
  return { sec, nsec: offset.nanosecs ?? 0 };
}
