// SPDX-License-Identifier: Apache-2.0
// What permission checks need to know of a task: credentials(7), capabilities(7).
import type { CapabilitySet } from '../../abi/capability.ts';

/** Immutable: a task that changes one of these gets a new object (so open files can keep theirs). */
export interface Credentials {
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  readonly effective: CapabilitySet;
  readonly permitted: CapabilitySet;
  readonly inheritable: CapabilitySet;
  readonly bounding: CapabilitySet;
  readonly ambient: CapabilitySet;
  readonly securebits: number;
}

/** True when `capability` (CAP_*) is effective. */
export function isCapable(credentials: Credentials, capability: number): boolean {
  const word = capability < 32 ? credentials.effective.lo : credentials.effective.hi;
  return ((word >>> (capability & 31)) & 1) === 1;
}
