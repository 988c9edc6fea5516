// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/timerfd.h.
import { O_CLOEXEC, O_NONBLOCK } from './fcntl.ts';

export const TFD_TIMER_ABSTIME = 1;
export const TFD_TIMER_CANCEL_ON_SET = 2;
export const TFD_CLOEXEC = O_CLOEXEC;
export const TFD_NONBLOCK = O_NONBLOCK;
/** _IOW('T', 0, u64). */
export const TFD_IOC_SET_TICKS = 0x4008_5400;
