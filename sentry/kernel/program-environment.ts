// SPDX-License-Identifier: Apache-2.0
// What every program that is loaded gets from the machine rather than from its parent.
import type { SharedMemorySource } from '../mm/memory-manager.ts';
import type { VdsoFiles } from './time-offsets.ts';

export interface ProgramEnvironment {
  readonly sharedMemory: SharedMemorySource;
  /** The vDSO's host descriptors (loader/vdso.ts says what they are); undefined: programs get none. */
  readonly vdso: VdsoFiles | undefined;
  /** AT_HWCAP and AT_HWCAP2. */
  readonly cpu: { readonly hwcap: number; readonly hwcap2: number };
}
