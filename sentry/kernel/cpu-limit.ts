// SPDX-License-Identifier: Apache-2.0
// RLIMIT_CPU (getrlimit(2)): SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one.
// A timer runs only where a limit is set. As in Linux the soft limit moves on with each signal.
import { RLIMIT_CPU } from '../../abi/resource.ts';
import { SI_KERNEL, SIGKILL, SIGXCPU } from '../../abi/signal.ts';
import { processCpuNs } from './cpu-time.ts';
import type { ThreadGroup } from './thread-group.ts';

const SECOND_NS = 1e9;
/** No look at the host's clock sooner than this after the last. */
const MIN_RECHECK_NS = 10_000_000;

/** (Re-)arms the check: after fork, and whenever the limit was set. */
export function watchCpuLimit(group: ThreadGroup): void {
  group.cpuLimitTimer?.cancel();
  group.cpuLimitTimer = undefined;
  const { soft, hard } = group.limits.get(RLIMIT_CPU);
  // Linux takes 0 as a second: the process is to run at all.
  const nextNs = Math.max(1, Math.min(soft, hard)) * SECOND_NS;
  if (nextNs === Number.POSITIVE_INFINITY || group.isExiting) return;
  const { clock, timers, cpuCount } = group.kernel;
  // Each CPU gives a process a second of its time a second at most.
  const waitNs = Math.max(MIN_RECHECK_NS, (nextNs - processCpuNs(group)) / cpuCount);
  group.cpuLimitTimer = timers.add(clock.monotonicNs() + waitNs, () => check(group));
}

function check(group: ThreadGroup): void {
  const { soft, hard } = group.limits.get(RLIMIT_CPU);
  const usedNs = processCpuNs(group);
  if (usedNs >= Math.max(1, hard) * SECOND_NS) {
    group.send({ signal: SIGKILL, code: SI_KERNEL });
    return;
  }
  if (usedNs >= Math.max(1, soft) * SECOND_NS) {
    group.limits.set(RLIMIT_CPU, { soft: Math.max(1, soft) + 1, hard });
    group.send({ signal: SIGXCPU, code: SI_KERNEL });
  }
  watchCpuLimit(group);
}
