// SPDX-License-Identifier: Apache-2.0
import { native } from '../../native/addon.ts';
import type { Trap } from '../trap.ts';
import { stubFilter } from './stub-filter.ts';

/** Guest code stops by signals, which a handler in the guest's own process takes (native/stub). */
export const systrap: Trap = {
  name: 'systrap',
  missing: () =>
    native.hasFsgsbase() === 0
      ? 'this processor or host kernel has no FSGSBASE (Linux >= 5.9 on Ivy Bridge or later)'
      : undefined,
  processFilter: stubFilter,
  tracerFilter: undefined,
  canPatch: true,
};
