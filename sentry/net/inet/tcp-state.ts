// SPDX-License-Identifier: Apache-2.0
// The states of a TCP socket (RFC 9293, section 3.3.2) with the numbers that Linux gives them
// (include/net/tcp_states.h), as TCP_INFO, /proc/net/tcp and sock_diag show them.

export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;

/** The bits of sk_shutdown. */
export const RCV_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;
export const SHUTDOWN_MASK = 3;

const mask = (...states: number[]): number =>
  states.reduce((bits, state) => bits | (1 << state), 0);

/** States in which a reset tells the other end (tcp_need_reset). */
const toReset = mask(TCP_ESTABLISHED, TCP_CLOSE_WAIT, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_SYN_RECV);
const sending = mask(TCP_ESTABLISHED, TCP_CLOSE_WAIT);

/** True in the states in which a program may put bytes into the connection. */
export const maySend = (state: number): boolean => ((1 << state) & sending) !== 0;

/** True in the states in which an aborted connection sends a reset. */
export const needsReset = (state: number): boolean => ((1 << state) & toReset) !== 0;
