// SPDX-License-Identifier: Apache-2.0
import type { Trap } from '../trap.ts';
import { traceeFilter } from './tracee-filter.ts';
import { tracerFilter } from './tracer-filter.ts';

/** Guest code is stopped by ptrace(2), by a process that does the rest as well (native/tracer). */
export const ptrace: Trap = {
  name: 'ptrace',
  missing: () => undefined,
  processFilter: traceeFilter,
  tracerFilter,
  canPatch: false,
};
