// What of a container's limits goes to the host's cgroup, where runts' own processes are too.
import type { LimitsConfig } from '../../sentry/boot/config.ts';
import type { Resources } from './spec/types.ts';

/**
 * Threads of a front, a launcher, a Sentry and a Gofer. The Sentry counts the guest's own (`pidLimit`), so that a limit
 * of ten is one of ten.
 */
const OWN_TASKS = 64;

export function hostResources(resources: Resources): Resources {
  const limit = resources.pids?.limit;
  if (limit === undefined || Number(limit) <= 0) return resources;
  return { ...resources, pids: { limit: Number(limit) + OWN_TASKS } };
}

/** What the guest sees of them; of those that are not asked for it sees what was before. */
export function guestLimits({ memory, pids, cpu }: Resources): LimitsConfig {
  const set = (name: keyof LimitsConfig, value: number | bigint | undefined): LimitsConfig => {
    const number = Number(value ?? 0);
    return number === 0 ? {} : { [name]: Math.max(0, number) };
  };
  return {
    ...set('memoryBytes', memory?.limit),
    ...set('pidLimit', pids?.limit),
    ...set('cpuQuotaUs', cpu?.quota),
    ...set('cpuPeriodUs', cpu?.period),
    ...set('cpuShares', cpu?.shares),
  };
}
