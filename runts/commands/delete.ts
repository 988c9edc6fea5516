// SPDX-License-Identifier: Apache-2.0
// `runts delete`: what is left of a stopped container goes; with --force, of any.
import { Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { destroy } from '../oci/destroy.ts';
import type { ContainerRecord } from '../oci/state/container-record.ts';
import { statusOf } from '../oci/state/status.ts';
import { BrokenRecord } from '../oci/state/store.ts';

export interface DeleteOptions {
  readonly force?: boolean;
}

export async function remove(
  context: OciContext,
  id: string,
  { force = false }: DeleteOptions,
): Promise<void> {
  const record = findOrForget(context, id, force);
  if (record === undefined) {
    // A directory without a record: whoever made it died at once.
    if (force || context.store.exists(id)) context.store.remove(id);
    if (force) return;
    throw new Failure('RUNTS_E_CONTAINER_UNKNOWN', `container does not exist: ${id}`);
  }
  const status = statusOf(context.store, record);
  if (status !== 'stopped' && status !== 'created' && !force)
    throw new Failure(
      'RUNTS_E_CONTAINER_STATE',
      `cannot delete container ${id} that is not stopped: ${status}`,
    );
  await destroy(context, record, { runsHooks: true });
}

/**
 * With --force a record that says nothing is as good as none: what it should have told of is lost
 * either way.
 */
function findOrForget(
  { store, log }: OciContext,
  id: string,
  force: boolean,
): ContainerRecord | undefined {
  try {
    return store.find(id);
  } catch (error) {
    if (!force || !(error instanceof BrokenRecord)) throw error;
    log.write('warning', `${error.message}; it is removed all the same`);
    return undefined;
  }
}
