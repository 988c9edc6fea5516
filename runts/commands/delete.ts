// `runts delete`: what is left of a stopped container goes; with --force, of any.
import { Failure } from '../failure.ts';
import type { OciContext } from '../oci/context.ts';
import { destroy } from '../oci/destroy.ts';
import { statusOf } from '../oci/state/status.ts';

export interface DeleteOptions {
  readonly force?: boolean;
}

export async function remove(
  context: OciContext,
  id: string,
  { force = false }: DeleteOptions,
): Promise<void> {
  const record = context.store.find(id);
  if (record === undefined) {
    // A directory without a record: whoever made it died at once.
    if (force || context.store.exists(id)) context.store.remove(id);
    if (force) return;
    throw new Failure(`container does not exist: ${id}`, 1);
  }
  const status = statusOf(context.store, record);
  if (status !== 'stopped' && status !== 'created' && !force)
    throw new Failure(`cannot delete container ${id} that is not stopped: ${status}`, 1);
  await destroy(context, record, { runsHooks: true });
}
