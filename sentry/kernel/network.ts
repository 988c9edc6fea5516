// SPDX-License-Identifier: Apache-2.0
// What the kernel knows of the network that its guests have: the sandbox's own loopback device
// (net/inet), or that of the host (net/host-inet). Chosen once, at boot; everything that differs
// between the two goes through here.
import type { Result, SysResult } from '../../abi/errno.ts';
import type { Caller } from '../vfs/caller.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { AbstractNames, NetlinkPorts } from './network-names.ts';
import type { Task } from './task.ts';

/** A request of netlink(7), its header split off. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The whole message, header included. */
  readonly bytes: Uint8Array;
  readonly body: DataView;
}

/** Messages for the socket's queue, each one datagram. `portId` is the asking socket's. */
export type RouteAnswerer = (
  request: NetlinkRequest,
  portId: number,
  privileged: boolean,
) => Uint8Array[];

/** The tables of /proc/net that list sockets. */
export type SocketTable =
  | 'tcp'
  | 'tcp6'
  | 'udp'
  | 'udp6'
  | 'raw'
  | 'raw6'
  | 'unix'
  | 'netlink'
  | 'packet';

/** Files of /proc/net that the sandbox shares with the host. */
export interface NetFiles {
  readonly names: readonly string[];
  /** undefined where the file is the sandbox's own. */
  read(name: string): string | undefined;
}

/** A network device as sysfs shows it. */
export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  /** IFLA_LINK: the other end's index, or its own. */
  readonly linkIndex: number;
  readonly mtu: number;
  readonly queueLength: number;
  /** In hexadecimal, with colons. */
  readonly address: string;
  readonly broadcast: string;
  readonly addressBytes: number;
  readonly carrier: number;
  readonly state: string;
  /** The counters by name; those not named are 0. */
  readonly counters: ReadonlyMap<string, number>;
}

export interface Network {
  /** A socket of AF_INET or AF_INET6. `flags`: O_NONBLOCK. */
  newSocket(
    task: Task,
    domain: number,
    type: number,
    protocol: number,
    flags: number,
  ): Result<OpenFile>;
  /** A request of rtnetlink(7). */
  readonly answerRoute: RouteAnswerer;
  /** A request of sock_diag(7); undefined: there is no such protocol. */
  readonly answerDiag: RouteAnswerer | undefined;
  /** An ioctl of netdevice(7); undefined for other commands. */
  interfaceIoctl(command: number, argument: number, caller: Caller): SysResult | undefined;
  /** The rows of a table of /proc/net, each with its newline. */
  listSockets(table: SocketTable): Iterable<string>;
  readonly files: NetFiles;
  readonly abstractNames: AbstractNames;
  readonly netlinkPorts: NetlinkPorts;
  interfaces(): readonly NetworkInterface[];
  /** Connections that outlive their programs; absent where they are the host's business. */
  readonly leftover?: LeftoverConnections;
}

export interface LeftoverConnections {
  /** Whether something that programs sent before they ended is not acknowledged yet. */
  areSending(): boolean;
  /** Resets all connections that there are: the network goes. */
  abandon(): void;
}
