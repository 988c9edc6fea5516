// SPDX-License-Identifier: Apache-2.0
// siginfo_t: what a signal carries (sigaction(2)). Encoded to guest memory here and nowhere else.
import { SIGINFO_BYTES } from '../../abi/signal.ts';
import { setI64 } from '../../abi/time.ts';

export interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  readonly errno?: number;
  /** SI_USER, SI_QUEUE, SI_TKILL, CLD_*: the sender. */
  readonly pid?: number;
  readonly uid?: number;
  /** CLD_*: exit code or signal. */
  readonly status?: number;
  readonly utimeTicks?: number;
  readonly stimeTicks?: number;
  /** SI_QUEUE, SI_TIMER, SI_MESGQ: sigval as two halves. */
  readonly valueLo?: number;
  readonly valueHi?: number;
  /** SI_TIMER; the overrun is known when the signal leaves its queue. */
  readonly timerId?: number;
  overrun?: number;
  /** Told when the signal has left its queue, taken or thrown away. */
  readonly dequeued?: () => void;
  /** Faults; of SIGSYS the address after the call. */
  readonly addr?: number;
  readonly trapNumber?: number;
  readonly errorCode?: number;
  /** SIGIO: band and descriptor. */
  readonly band?: number;
  readonly fd?: number;
  /** SIGSYS: syscall number and architecture. */
  readonly syscall?: number;
  readonly arch?: number;
  /** The sender is not of the target's PID namespace: SIGKILL and SIGSTOP reach process 1. */
  readonly fromOutside?: boolean;
  /** rt_sigqueueinfo: everything as the sender wrote it. */
  readonly raw?: Uint8Array;
}

/** Writes 128 bytes at `at`. */
export function writeSignalInfo(view: DataView, at: number, info: SignalInfo): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, SIGINFO_BYTES);
  bytes.fill(0);
  if (info.raw !== undefined) bytes.set(info.raw.subarray(0, SIGINFO_BYTES));
  view.setInt32(at, info.signal, true);
  view.setInt32(at + 4, info.errno ?? 0, true);
  view.setInt32(at + 8, info.code, true);
  if (info.raw !== undefined) return;
  if (info.syscall !== undefined) {
    setI64(view, at + 16, info.addr ?? 0);
    view.setInt32(at + 24, info.syscall, true);
    view.setUint32(at + 28, info.arch ?? 0, true);
  } else if (info.addr !== undefined) {
    setI64(view, at + 16, info.addr);
  } else if (info.band !== undefined) {
    setI64(view, at + 16, info.band);
    view.setInt32(at + 24, info.fd ?? -1, true);
  } else if (info.timerId !== undefined) {
    view.setInt32(at + 16, info.timerId, true);
    view.setInt32(at + 20, info.overrun ?? 0, true);
    writeValue(view, at + 24, info);
  } else {
    view.setInt32(at + 16, info.pid ?? 0, true);
    view.setUint32(at + 20, info.uid ?? 0, true);
    if (info.status === undefined) {
      writeValue(view, at + 24, info);
    } else {
      view.setInt32(at + 24, info.status, true);
      setI64(view, at + 32, info.utimeTicks ?? 0);
      setI64(view, at + 40, info.stimeTicks ?? 0);
    }
  }
}

function writeValue(view: DataView, at: number, info: SignalInfo): void {
  view.setUint32(at, info.valueLo ?? 0, true);
  view.setUint32(at + 4, info.valueHi ?? 0, true);
}
