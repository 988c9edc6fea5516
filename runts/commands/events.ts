// SPDX-License-Identifier: Apache-2.0
// `runts events`: what a container uses, once or again and again, and that memory ran out.
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { restoreCgroup } from '../oci/cgroups/cgroup.ts';
import { renderStatsEvent } from '../oci/cgroups/stats.ts';
import type { OciContext } from '../oci/context.ts';
import { statusOf } from '../oci/state/status.ts';
import { parseTime } from '../quantities.ts';

export interface EventsOptions {
  readonly stats?: boolean;
  readonly interval: string;
}

export async function events(
  context: OciContext,
  id: string,
  options: EventsOptions,
): Promise<void> {
  const intervalMs = parseTime(options.interval, '--interval');
  if (intervalMs <= 0)
    throw new Failure('RUNTS_E_OPTION_VALUE', 'duration interval must be greater than 0');
  const record = context.store.load(id);
  if (statusOf(context.store, record) === 'stopped')
    throw new Failure('RUNTS_E_CONTAINER_NOT_RUNNING', `container with id ${id} is not running`);
  if (record.cgroup === null)
    throw new Failure('RUNTS_E_CGROUP_NONE', `container ${id} has no cgroup to be watched`);
  const cgroup = restoreCgroup(record.cgroup);
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  print(renderStatsEvent(id, cgroup.stats()));
  if (options.stats === true) return;
  const oom = cgroup.oomEvents(intervalMs, () => print(JSON.stringify({ type: 'oom', id })));
  while (statusOf(context.store, record) !== 'stopped') {
    await sleep(intervalMs);
    print(renderStatsEvent(id, cgroup.stats()));
  }
  oom.stop();
}
