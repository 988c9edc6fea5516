// The limits of the sandbox's cgroup on the host, as the guest sees them: at the start, and after `runts update`.
import type { Machine } from '../host/machine.ts';
import type { GroupLimits, Kernel } from '../kernel/kernel.ts';
import type { LimitsConfig } from './config.ts';

const DEFAULT_PERIOD_US = 100_000;

export function memoryLimit({ memoryBytes = 0 }: LimitsConfig): number | undefined {
  return memoryBytes > 0 ? memoryBytes : undefined;
}

export function applyLimits(kernel: Kernel, limits: LimitsConfig, machine: Machine): void {
  const { memoryBytes, pidLimit, cpuQuotaUs, cpuPeriodUs, cpuShares } = limits;
  const shown: { -readonly [Name in keyof GroupLimits]: GroupLimits[Name] } = {
    ...kernel.groupLimits,
  };
  if (memoryBytes !== undefined) {
    shown.memoryBytes = orNone(memoryBytes);
    kernel.memoryBytes = Math.min(shown.memoryBytes, machine.memoryBytes);
  }
  if (pidLimit !== undefined) kernel.pidLimit = orNone(pidLimit);
  if (cpuQuotaUs !== undefined) shown.cpuQuotaUs = orNone(cpuQuotaUs);
  if (cpuPeriodUs !== undefined)
    shown.cpuPeriodUs = cpuPeriodUs > 0 ? cpuPeriodUs : DEFAULT_PERIOD_US;
  if (cpuShares !== undefined) shown.cpuWeight = weightOf(cpuShares);
  kernel.groupLimits = shown;
}

const orNone = (limit: number): number => (limit > 0 ? limit : Number.POSITIVE_INFINITY);

/** As engines turn v1's shares (2 to 262144) into v2's weight (1 to 10000). */
function weightOf(shares: number): number {
  if (!(shares > 0)) return 100;
  const bounded = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor(((bounded - 2) * 9999) / 262_142);
}
