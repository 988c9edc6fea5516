// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/host-work.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

/** How many host calls are under way or done and not taken, at the most. */
export const HOST_WORK_SLOTS = 16;

/** The kinds of calls. */
export const HOST_WORK = { read: 0, write: 1, sync: 2 } as const;

export interface HostWorkCalls {
  /**
   * Makes the threads, once and before confinement, and returns when they wait. `event` is an
   * eventfd that they write whenever a call is done.
   */
  startHostWork(threads: number, event: number): SysResult;
  /**
   * Has a thread make a host call. Returns its slot; EAGAIN: all are taken. `fd` and `bytes` must
   * stay until the slot is done. Calls that `mayHang` (0 or 1) never have all threads.
   */
  submitHostWork(
    kind: number,
    fd: number,
    bytes: Uint8Array | undefined,
    length: number,
    position: number,
    mayHang: number,
  ): SysResult;
  /** Takes what is done: how many, and in `out` a slot and its result for each. */
  takeHostWork(out: Float64Array): SysResult;
  /**
   * preadv2(2) with RWF_NOWAIT. EAGAIN: nothing of it is at hand; EOPNOTSUPP: the file system
   * cannot tell.
   */
  preadNow(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): SysResult;
}
