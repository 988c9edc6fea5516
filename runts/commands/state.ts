// SPDX-License-Identifier: Apache-2.0
// `runts state`: the state document of the specification, with what runc adds to it.
import type { OciContext } from '../oci/context.ts';
import { stateText, statusOf } from '../oci/state/status.ts';

export function state(context: OciContext, id: string): void {
  const record = context.store.load(id);
  process.stdout.write(stateText(record, statusOf(context.store, record)));
}
