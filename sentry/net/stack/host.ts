// SPDX-License-Identifier: Apache-2.0
// What a network stack needs of what is around it: time, chance, memory; and who has sockets.
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { TimerQueue } from '../../base/timer-queue.ts';
import type { Endpoint, IpAddress } from '../inet/address.ts';
import type { IcmpError } from '../ip/icmp.ts';
import type { Packet } from '../ip/packet.ts';
import type { Connection } from '../tcp/connection.ts';
import type { Tuning, User } from '../tcp/contract.ts';

export interface StackHost {
  readonly timers: Pick<TimerQueue, 'add'>;
  nowNs(): number;
  randomFill(bytes: Uint8Array): void;
  /** The account of the whole sandbox, for memory that no process can be charged for. */
  readonly account: MemoryAccount;
}

/** A listening socket. */
export interface Listener {
  /** The same for each look-up of one socket. */
  readonly key: object;
  /** Connections that may wait for accept(2) beside those that do. */
  readonly acceptRoom: number;
  /** Connections that may be half open. */
  readonly backlog: number;
  readonly account: MemoryAccount;
  tuning(): Tuning;
  /** A connection is made: a socket for it waits for accept(2). Undefined: nobody listens any more. */
  accepted(connection: Connection, local: Endpoint, remote: Endpoint): User | undefined;
}

/** A UDP socket that takes a datagram. */
export interface DatagramReceiver {
  /** `bytes` is lent. */
  arrived(bytes: Uint8Array, from: Endpoint, to: Endpoint, packet: Packet): void;
  /** An error came about a datagram of this socket's. */
  failed(error: IcmpError, to: Endpoint): void;
}

/** The sockets of the sandbox, as the stack looks for them. */
export interface Sockets {
  listener(to: Endpoint, from: Endpoint): Listener | undefined;
  receiver(to: Endpoint, from: Endpoint): DatagramReceiver | undefined;
  /** All that take a datagram to a group or to everybody. */
  receivers(to: Endpoint, from: Endpoint): Iterable<DatagramReceiver>;
}

/** A raw or ping socket. */
export interface PacketReceiver {
  /** A packet that came or, within the sandbox, was sent. `bytes` is lent. */
  packetArrived(packet: Packet, bytes: Uint8Array): void;
  packetFailed(error: IcmpError, bytes: Uint8Array): void;
}

export interface SendOptions {
  readonly hopLimit: number;
  readonly trafficClass: number;
  /** IP_MTU_DISCOVER: 'want' fragments what is too long, 'do' refuses it, 'dont' sends without DF. */
  readonly discover: 'want' | 'do' | 'dont';
  /** SO_BINDTODEVICE, or the interface of a multicast; 0: any. */
  readonly linkIndex: number;
}

export const defaultSendOptions: SendOptions = {
  hopLimit: 64,
  trafficClass: 0,
  discover: 'want',
  linkIndex: 0,
};

/** The payload of a UDP datagram or another packet that goes. */
export interface Outgoing {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly options: SendOptions;
}
