// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/engine.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface EngineCalls {
  /** V8's flags, as on Node's command line. -ENOSYS where this Node does not let an addon set them. */
  setEngineFlags(flags: string): SysResult;
}
