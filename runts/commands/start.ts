// SPDX-License-Identifier: Apache-2.0
// `runts start`: a created container runs.
import type { OciContext } from '../oci/context.ts';
import { startContainer } from '../oci/start.ts';

export async function start(context: OciContext, id: string): Promise<void> {
  await startContainer(context, context.store.load(id));
}
