// SPDX-License-Identifier: Apache-2.0
import { isErrno } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import type { Trap } from '../trap.ts';
import { stubFilter } from './stub-filter.ts';

/** Guest code stops by signals, which a handler in the guest's own process takes (native/stub). */
export const systrap: Trap = {
  name: 'systrap',
  missing: () => {
    if (native.hasFsgsbase() === 0)
      return 'this processor or host kernel has no FSGSBASE (Linux >= 5.9 on Ivy Bridge or later)';
    const copy = native.fetchDescriptor(0, 0);
    if (isErrno(copy)) return `pidfd_getfd is not permitted here, or unknown: errno ${-copy}`;
    native.close(copy);
    return undefined;
  },
  processFilter: stubFilter,
  tracerFilter: undefined,
  canPatch: true,
};
