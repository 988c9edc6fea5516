// SPDX-License-Identifier: Apache-2.0
// `runts debug seccomp`: the filters of a sandbox's processes, from the data they are compiled from.
import { goferFilter } from '../../gofer/gofer-filter.ts';
import { proxyFilter } from '../../native/proxy/proxy-filter.ts';
import { describeFilter } from '../../native/seccomp/bpf.ts';
import { traceeFilter } from '../../platform-ptrace/ptrace/tracee-filter.ts';
import { tracerFilter } from '../../platform-ptrace/ptrace/tracer-filter.ts';
import { stubFilter } from '../../platform-ptrace/systrap/stub-filter.ts';
import { sentryFilter } from '../../sentry/host/sentry-filter.ts';

/** Samples of what is known only when a sandbox starts: the number of a descriptor, the place of a stub. */
const SAMPLE_DESCRIPTOR = 30;
const SAMPLE_BASE = 0x7f0000000000;

export function printFilters(): void {
  for (const filter of [
    sentryFilter(SAMPLE_DESCRIPTOR, 'none'),
    sentryFilter(SAMPLE_DESCRIPTOR, 'host'),
    sentryFilter(SAMPLE_DESCRIPTOR, 'none', 'profile'),
    goferFilter({ writable: true, watches: true }),
    proxyFilter,
    stubFilter(SAMPLE_BASE),
    traceeFilter(SAMPLE_BASE),
    tracerFilter,
  ])
    process.stdout.write(`${describeFilter(filter)}\n\n`);
}
