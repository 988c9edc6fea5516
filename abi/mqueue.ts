// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/mqueue.h, include/linux/ipc_namespace.h.
/** Priorities are below. */
export const MQ_PRIO_MAX = 32768;
/** The limits that CAP_SYS_RESOURCE cannot exceed either. */
export const HARD_MSGMAX = 65536;
export const HARD_MSGSIZEMAX = 16_777_216;

/** Offsets of struct mq_attr: longs, four more are reserved. */
export const mqAttr = { size: 64, flags: 0, maxmsg: 8, msgsize: 16, curmsgs: 24 } as const;

/** Bytes of the datagram that SIGEV_THREAD sends; its last byte says what happened. */
export const NOTIFY_COOKIE_LEN = 32;
export const NOTIFY_WOKENUP = 1;
export const NOTIFY_REMOVED = 2;

/** sizeof(struct sigevent); where sigev_value, sigev_signo and sigev_notify lie. */
export const sigevent = { size: 64, value: 0, signo: 8, notify: 12 } as const;
