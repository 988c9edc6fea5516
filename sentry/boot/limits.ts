// SPDX-License-Identifier: Apache-2.0
// The limits of a container's cgroup on the host, as its guests see them: at the start, and after
// `runts update`.

import type { LimitsConfig } from '../../protocol/boot-config.ts';
import type { GroupLimits } from '../kernel/allowance.ts';

const DEFAULT_PERIOD_US = 100_000;

/** Returns the limits after an update. A limit that is not named stays as it was. */
export function changedLimits(before: GroupLimits, changes: LimitsConfig): GroupLimits {
  const { memoryBytes, pidLimit, cpuQuotaUs, cpuPeriodUs, cpuShares } = changes;
  const limits: { -readonly [Name in keyof GroupLimits]: GroupLimits[Name] } = { ...before };
  if (memoryBytes !== undefined) limits.memoryBytes = orNone(memoryBytes);
  if (pidLimit !== undefined) limits.pids = orNone(pidLimit);
  if (cpuQuotaUs !== undefined) limits.cpuQuotaUs = orNone(cpuQuotaUs);
  if (cpuPeriodUs !== undefined)
    limits.cpuPeriodUs = cpuPeriodUs > 0 ? cpuPeriodUs : DEFAULT_PERIOD_US;
  if (cpuShares !== undefined) limits.cpuWeight = weightOf(cpuShares);
  return limits;
}

const orNone = (limit: number): number => (limit > 0 ? limit : Number.POSITIVE_INFINITY);

/** Turns v1's shares (2 to 262144) into v2's weight (1 to 10000), as engines do. */
function weightOf(shares: number): number {
  if (!(shares > 0)) return 100;
  const bounded = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor(((bounded - 2) * 9999) / 262_142);
}
