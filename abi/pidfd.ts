// SPDX-License-Identifier: Apache-2.0
// linux/pidfd.h: pidfd_open(2), pidfd_send_signal(2).
import { O_EXCL, O_NONBLOCK } from './fcntl.ts';

export const PIDFD_NONBLOCK: number = O_NONBLOCK;
/** The descriptor stands for one thread. */
export const PIDFD_THREAD: number = O_EXCL;

/** Whom a signal is for, whatever the descriptor stands for. */
export const PIDFD_SIGNAL_THREAD = 1;
export const PIDFD_SIGNAL_THREAD_GROUP = 2;
export const PIDFD_SIGNAL_PROCESS_GROUP = 4;
