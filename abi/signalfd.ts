// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/signalfd.h.
import { O_CLOEXEC, O_NONBLOCK } from './fcntl.ts';

export const SFD_CLOEXEC = O_CLOEXEC;
export const SFD_NONBLOCK = O_NONBLOCK;

/** struct signalfd_siginfo. */
export const signalfdSiginfo = {
  signo: 0,
  errno: 4,
  code: 8,
  pid: 12,
  uid: 16,
  fd: 20,
  tid: 24,
  band: 28,
  overrun: 32,
  trapno: 36,
  status: 40,
  int: 44,
  ptr: 48,
  utime: 56,
  stime: 64,
  addr: 72,
  size: 128,
} as const;
