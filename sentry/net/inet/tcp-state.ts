// SPDX-License-Identifier: Apache-2.0
// What may be done in which state of a TCP socket (RFC 9293, section 3.3.2).
import {
  TCP_CLOSE_WAIT,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_SYN_RECV,
} from '../../../abi/tcp.ts';

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
