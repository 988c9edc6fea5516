// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/eventpoll.h.
import { O_CLOEXEC } from './fcntl.ts';

export const EPOLL_CLOEXEC = O_CLOEXEC;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;

export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 0x1000_0000;
export const EPOLLWAKEUP = 0x2000_0000;
export const EPOLLONESHOT = 0x4000_0000;
export const EPOLLET = 0x8000_0000;

/** struct epoll_event is packed on x86-64: u32 events, u64 data. */
export const epollEvent = { events: 0, dataLow: 4, dataHigh: 8, size: 12 } as const;

/** EP_MAX_EVENTS: INT_MAX / sizeof(struct epoll_event). */
export const EP_MAX_EVENTS = Math.floor(0x7fff_ffff / epollEvent.size);
/** EP_MAX_NESTS of fs/eventpoll.c. */
export const EP_MAX_NESTS = 4;
