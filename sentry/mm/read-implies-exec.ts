// SPDX-License-Identifier: Apache-2.0
// READ_IMPLIES_EXEC of personality(2): memory that may be read may be run.
import { PROT_EXEC, PROT_READ } from '../../abi/mman.ts';
import { READ_IMPLIES_EXEC } from '../../abi/personality.ts';
import type { MemoryCaller } from './memory-manager.ts';

/** Returns the protection that memory gets for which the caller asks `prot` and may have `maxProt`. */
export function withImpliedExec(
  { group }: MemoryCaller,
  prot: number,
  maxProt: number = PROT_EXEC,
): number {
  const implies = (group.personality & READ_IMPLIES_EXEC) !== 0 && (prot & PROT_READ) !== 0;
  return implies ? prot | (maxProt & PROT_EXEC) : prot;
}
