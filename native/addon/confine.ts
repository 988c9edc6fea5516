// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/confine.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface ConfineCalls {
  /**
   * seccomp(SECCOMP_SET_MODE_FILTER) on all threads, after no_new_privs. `program` is an array of
   * struct sock_filter; `flags` are SECCOMP_FILTER_FLAG_* besides TSYNC.
   */
  installFilter(program: Uint8Array, flags: number): SysResult;
  /** PR_SET_DUMPABLE: with 0 no process of the same user can attach to this one. */
  setDumpable(dumpable: 0 | 1): SysResult;
}
