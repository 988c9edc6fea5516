// SPDX-License-Identifier: Apache-2.0
// The seam between the sockets of the sandbox's own network and whoever carries what they send to
// other machines. Names, ports, options and what stays in the sandbox are the sockets' own; a
// stream or a datagram whose destination is elsewhere is handed to the way out.
import { ENETUNREACH, type Result, type SysResult } from '../../../abi/errno.ts';
import type { WaitQueue } from '../../base/wait.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { Endpoint, IpAddress } from './address.ts';

/** The socket at this end of a stream that leads out. */
export interface StreamOwner {
  readonly queue: WaitQueue;
  /** The other end has accepted. */
  outsideConnected(): void;
  /** The stream came to nothing, or was broken off: a negative errno for the program. */
  outsideFailed(error: number): void;
  /** The error that waits for the program, which is told by other means now. */
  takeError(): number;
}

/** A connection with somebody outside. As with files, nothing waits: EAGAIN. */
export interface OutsideStream {
  /** `flags`: MSG_MORE. */
  send(source: Source, flags?: number): SysResult;
  /** Bytes, 0 at the end. `flags`: MSG_PEEK, MSG_TRUNC. */
  receive(sink: Sink, flags: number): SysResult;
  /** Nothing more is sent. */
  endSending(): void;
  /** POLLIN, POLLOUT, POLLRDHUP: whatever the owner does not know by itself. */
  poll(): number;
  /** The bytes that could be received at once (FIONREAD). */
  readonly unreadBytes: number;
  /** Bytes that the other end has not got yet (SIOCOUTQ); undefined: not known. */
  readonly unsentBytes?: number;
  /** An option of the socket has changed. */
  optionsChanged?(): void;
  /** struct tcp_info. */
  info?(): Uint8Array;
  /** The program is done with it. `resets`: the other end is told at once, and unsent bytes are lost. */
  close(resets: boolean): void;
}

/** A socket that sends datagrams out. */
export interface DatagramOwner {
  deliver(bytes: Uint8Array, from: Endpoint): void;
  /** An error that came back, of the last destination: a negative errno. */
  outsideFailed(error: number): void;
}

export interface WayOut {
  /** An address of the sandbox besides those of lo. */
  isOwn(ip: IpAddress): boolean;
  /** True for a destination on lo that is outside nevertheless. */
  takes?(to: Endpoint): boolean;
  /** Returns the source address of what is sent to `to`, or an errno: it cannot be reached. */
  route(to: Endpoint): Result<IpAddress>;
  /** Begins a stream: the owner hears how it went. */
  connect(owner: StreamOwner, from: Endpoint, to: Endpoint): Result<OutsideStream>;
  /** 0, or an errno. */
  sendDatagram(owner: DatagramOwner, from: Endpoint, to: Endpoint, bytes: Uint8Array): SysResult;
  /** The socket is closed, or no longer the one it was. */
  forget(owner: DatagramOwner): void;
}

/** The way out of a sandbox with lo alone: nothing leads to other addresses. `wanted` hears of attempts. */
export function noWayOut(wanted: (to: Endpoint) => void = () => undefined): WayOut {
  return {
    isOwn: () => false,
    route: (to) => {
      wanted(to);
      return ENETUNREACH;
    },
    connect: () => ENETUNREACH,
    sendDatagram: () => ENETUNREACH,
    forget: () => undefined,
  };
}
