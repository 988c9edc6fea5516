// SPDX-License-Identifier: Apache-2.0
// Lets a created container run (runtime.md of the specification, steps 7 to 9).
import { complain, describe, Failure } from '../failure.ts';
import type { OciContext } from './context.ts';
import { runHooks } from './hooks.ts';
import { orderStart } from './order.ts';
import type { ContainerRecord } from './state/container-record.ts';
import { stateDocument, statusOf } from './state/status.ts';

export async function startContainer(context: OciContext, record: ContainerRecord): Promise<void> {
  const status = statusOf(context.store, record);
  if (status === 'stopped')
    throw new Failure('RUNTS_E_CONTAINER_STATE', 'cannot start a container that has stopped');
  if (status !== 'created' || record.front === undefined || !context.store.markStarted(record.id))
    throw new Failure(
      'RUNTS_E_CONTAINER_STATE',
      status === 'running' || status === 'created'
        ? 'cannot start an already running container'
        : `cannot start a container in the ${status} state`,
    );
  const inside = record.hooks.startContainer ?? [];
  if (inside.length > 0) {
    const { runHooksInside } = await import('./hooks-inside.ts');
    await runHooksInside(context, record, inside);
  }
  orderStart(record.front.pid);
  try {
    runHooks(record.hooks.poststart ?? [], stateDocument(record, 'running'), 'poststart');
  } catch (error) {
    // It runs all the same (runtime.md, step 9).
    context.log.write('warning', describe(error));
    complain(describe(error));
  }
}
