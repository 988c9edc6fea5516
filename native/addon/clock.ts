// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/clock.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface ClockCalls {
  /**
   * Calibrates (some ms). A descriptor of the vDSO's parameter page. Once a process, before the
   * calls below.
   */
  startClock(): SysResult;
  /** Keeps a copy of the parameters in a page that lives as long as the process, for the stubs. */
  copyClock(page: Uint8Array, offset: number): SysResult;
  /** The sandbox's CLOCK_MONOTONIC: the same that guests read through the vDSO. */
  monotonicNs(): number;
  /** CLOCK_REALTIME as seconds and nanoseconds in out[0], out[1]. */
  realtime(out: Float64Array): SysResult;
  /**
   * The host's CLOCK_MONOTONIC and CLOCK_BOOTTIME when the sandbox's clock was 0: seconds,
   * nanoseconds each.
   */
  clockOrigin(out: Float64Array): SysResult;
  /** A sealed memfd with the vDSO code, which adds so much (as in clockOrigin) to those two. */
  vdsoCode(offsets: Float64Array): SysResult;
  vdsoBytes(): number;
}
