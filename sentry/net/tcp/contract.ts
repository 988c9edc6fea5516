// SPDX-License-Identifier: Apache-2.0
// What a connection and its surroundings agree on: states, the wire below, the socket above, and what a
// program may set.
import {
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_CLOSING,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_LAST_ACK,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
} from '../../../abi/tcp.ts';
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { ByteRing } from '../../vfs/byte-ring.ts';
import type { Connection } from './connection.ts';
import type { Header } from './segment.ts';

export type State =
  | 'closed'
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'fin-wait-1'
  | 'fin-wait-2'
  | 'closing'
  | 'time-wait'
  | 'close-wait'
  | 'last-ack';

/** TCP_* of linux/tcp_states.h. */
export const stateNumbers: Readonly<Record<State, number>> = {
  established: TCP_ESTABLISHED,
  'syn-sent': TCP_SYN_SENT,
  'syn-received': TCP_SYN_RECV,
  'fin-wait-1': TCP_FIN_WAIT1,
  'fin-wait-2': TCP_FIN_WAIT2,
  'time-wait': TCP_TIME_WAIT,
  closed: TCP_CLOSE,
  'close-wait': TCP_CLOSE_WAIT,
  'last-ack': TCP_LAST_ACK,
  closing: TCP_CLOSING,
};

/** Carries a connection's segments, and tells it the time. */
export interface Wire {
  nowMs(): number;
  /** Sends a header with `length` bytes of `ring` from `skip` on, cut to `segmentBytes`. False: not now. */
  transmit(
    connection: Connection,
    header: Header,
    ring: ByteRing | undefined,
    skip: number,
    length: number,
    segmentBytes: number,
  ): boolean;
  /** `connection.expire` is to be called at `deadlineMs`, or earlier. */
  schedule(connection: Connection, deadlineMs: number): void;
  /** `connection.flush` is to be called when the segments that wait were taken. */
  flushLater(connection: Connection): void;
  /** Its end: the connection is closed. */
  forget(connection: Connection): void;
  /** The peer answers: its neighbour's address is right. */
  confirm(connection: Connection): void;
}

/** The socket of a connection. */
export interface User {
  /** POLL* events. */
  changed(events: number): void;
  /** The handshake is over. */
  established(): void;
  /** The connection is gone; `error` as a negative errno, 0 where it ended well. */
  ended(error: number): void;
}

/** The options that a program may set. */
export interface Tuning {
  noDelay: boolean;
  cork: boolean;
  keepAlive: boolean;
  keepIdleMs: number;
  keepIntervalMs: number;
  keepCount: number;
  synRetries: number;
  /** TCP_USER_TIMEOUT; 0: by the count of retries. */
  userTimeoutMs: number;
  finWaitMs: number;
  sendBufferBytes: number;
  receiveBufferBytes: number;
  /** The receive buffer grows by itself up to here. */
  mostReceiveBytes: number;
  congestion: 'cubic' | 'reno';
}

export const defaultTuning: Tuning = {
  noDelay: false,
  cork: false,
  keepAlive: false,
  keepIdleMs: 7_200_000,
  keepIntervalMs: 75_000,
  keepCount: 9,
  synRetries: 6,
  userTimeoutMs: 0,
  finWaitMs: 60_000,
  sendBufferBytes: 1 << 20,
  receiveBufferBytes: 512 * 1024,
  mostReceiveBytes: 4 << 20,
  congestion: 'cubic',
};

export interface ConnectionOptions {
  readonly localPort: number;
  readonly remotePort: number;
  /** The sequence number of our SYN. */
  readonly first: number;
  /** The payload that fits into one packet of the route, without options. */
  readonly segmentBytes: number;
  readonly timestampOffset: number;
  readonly wire: Wire;
  readonly account: MemoryAccount;
  readonly tuning: Tuning;
}
