// SPDX-License-Identifier: Apache-2.0
// `runts pause` and `runts resume`: all processes of a container rest (the cgroup freezer), and its
// Sentry with them where it is the container's own. That of a pod goes on for the others: it is
// told, so that it waits for nobody who is frozen.
import { describe, Failure } from '../failure.ts';
import { type Cgroup, restoreCgroup } from '../oci/cgroups/cgroup.ts';
import type { OciContext } from '../oci/context.ts';
import type { ContainerRecord } from '../oci/state/container-record.ts';
import { type Status, statusOf } from '../oci/state/status.ts';
import { tellSentry } from '../oci/tell-sentry.ts';

export async function pause(context: OciContext, id: string): Promise<void> {
  const { record, cgroup, status } = find(context, id);
  if (status !== 'running' && status !== 'created')
    throw new Failure('RUNTS_E_CONTAINER_NOT_RUNNING', 'container not running');
  await tellPaused(context, record, 'pause');
  try {
    cgroup.freeze();
  } catch (error) {
    await tellPaused(context, record, 'resume');
    throw new Failure('RUNTS_E_CGROUP_FREEZE', describe(error));
  }
}

export async function resume(context: OciContext, id: string): Promise<void> {
  const { record, cgroup, status } = find(context, id);
  if (status !== 'paused') throw new Failure('RUNTS_E_CONTAINER_STATE', 'container not paused');
  cgroup.thaw();
  await tellPaused(context, record, 'resume');
}

async function tellPaused(
  context: OciContext,
  record: ContainerRecord,
  type: 'pause' | 'resume',
): Promise<void> {
  if (record.sandbox === undefined) return;
  await tellSentry(context, record, { type, container: record.id }, 'the pod does not know of it');
}

function find(
  context: OciContext,
  id: string,
): { record: ContainerRecord; cgroup: Cgroup; status: Status } {
  const record = context.store.load(id);
  if (record.cgroup === null)
    throw new Failure('RUNTS_E_CGROUP_NONE', `container ${id} has no cgroup: it cannot be paused`);
  const cgroup = restoreCgroup(record.cgroup);
  return { record, cgroup, status: statusOf(context.store, record) };
}
