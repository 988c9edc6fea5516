// `runts pause` and `runts resume`: all processes of a container rest, the Sentry with them (the cgroup freezer).
import { Failure } from '../failure.ts';
import { type Cgroup, restoreCgroup } from '../oci/cgroups/cgroup.ts';
import type { OciContext } from '../oci/context.ts';
import { type Status, statusOf } from '../oci/state/status.ts';

export function pause(context: OciContext, id: string): void {
  const { cgroup, status } = find(context, id);
  if (status !== 'running' && status !== 'created') throw new Failure('container not running', 1);
  cgroup.freeze();
}

export function resume(context: OciContext, id: string): void {
  const { cgroup, status } = find(context, id);
  if (status !== 'paused') throw new Failure('container not paused', 1);
  cgroup.thaw();
}

function find(context: OciContext, id: string): { cgroup: Cgroup; status: Status } {
  const record = context.store.load(id);
  if (record.cgroup === null)
    throw new Failure(`container ${id} has no cgroup: it cannot be paused`, 1);
  return { cgroup: restoreCgroup(record.cgroup), status: statusOf(context.store, record) };
}
