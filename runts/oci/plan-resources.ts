// What of a container's limits goes to the host's cgroup, where runts' own processes are too.
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
