// SPDX-License-Identifier: Apache-2.0
// The sandbox's clocks: the same time base (native/addon/clock.c) that guests read through the vDSO without a
// system call, counted from the sandbox's start so that the host's uptime does not show.
import { isErrno, type Result } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import type { Clock, WallTime } from '../../sentry/base/clock.ts';

export interface Moment {
  readonly sec: number;
  readonly nsec: number;
}

/**
 * The vDSO that the loader maps: one page of parameters (r--) and right behind it the code (r-x).
 */
export interface SystrapVdso {
  readonly paramsFd: number;
  readonly codeFd: number;
  readonly codeBytes: number;
}

export class SystrapClock implements Clock {
  readonly vdso: SystrapVdso;
  readonly #parts = new Float64Array(2);

  /**
   * Calibrates the clock, which takes some milliseconds: it is made early, and once in a process.
   */
  constructor() {
    const paramsFd = native.startClock();
    const codeFd = native.vdsoCode(new Float64Array(4));
    if (isErrno(paramsFd) || isErrno(codeFd)) {
      throw new Error(`cannot start the clock: errno ${-Math.min(paramsFd, codeFd)}`);
    }
    this.vdso = { paramsFd, codeFd, codeBytes: native.vdsoBytes() };
  }

  /** Returns what the host's clocks showed when this clock was 0. */
  origin(): { readonly monotonic: Moment; readonly boottime: Moment } {
    const parts = new Float64Array(4);
    native.clockOrigin(parts);
    const [sec = 0, nsec = 0, bootSec = 0, bootNsec = 0] = parts;
    return { monotonic: { sec, nsec }, boottime: { sec: bootSec, nsec: bootNsec } };
  }

  /** Makes a vDSO that adds these amounts to the two clocks. Returns an errno where that fails. */
  vdsoWith(monotonic: Moment, boottime: Moment): Result<SystrapVdso> {
    const { sec, nsec } = monotonic;
    const codeFd = native.vdsoCode(new Float64Array([sec, nsec, boottime.sec, boottime.nsec]));
    return isErrno(codeFd) ? codeFd : { ...this.vdso, codeFd };
  }

  monotonicNs(): number {
    return native.monotonicNs();
  }

  realtime(): WallTime {
    native.realtime(this.#parts);
    return { sec: this.#parts[0] as number, nsec: this.#parts[1] as number };
  }
}
