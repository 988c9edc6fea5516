// SPDX-License-Identifier: Apache-2.0
// Where memory is to come from, as a task (set_mempolicy(2)) or a mapping (mbind(2)) asks. There is
// one memory node: policies are kept, judged and shown.
import { MPOL_DEFAULT } from '../../abi/mempolicy.ts';

export interface MemoryPolicy {
  /** MPOL_* with its mode flags. */
  readonly mode: number;
  /** Bit mask of nodes. */
  readonly nodes: number;
}

export const defaultMemoryPolicy: MemoryPolicy = { mode: MPOL_DEFAULT, nodes: 0 };

export function isSamePolicy(a: MemoryPolicy | undefined, b: MemoryPolicy | undefined): boolean {
  return a?.mode === b?.mode && a?.nodes === b?.nodes;
}
