// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/footprint.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface FootprintCalls {
  /** Finds the mappings of program files, for dropPages. Reads /proc/self/maps: once, before confinement. */
  learnProgram(): SysResult;
  /** The kernel takes back no page of them that was touched (mlock2(2)). -ENOMEM, -EPERM: not allowed to. */
  keepProgram(): SysResult;
  /**
   * Takes the pages of program files (they come back when touched) and free memory of malloc out of
   * this process.
   */
  dropPages(): SysResult;
  /** poll(2) for input: 1, or 0 after this time. Negative: for ever. */
  awaitInput(fd: number, milliseconds: number): SysResult;
}
