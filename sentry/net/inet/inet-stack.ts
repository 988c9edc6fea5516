// SPDX-License-Identifier: Apache-2.0
// What the sockets of the sandbox's network share: who is bound to what.
import type { InetSocket } from './inet-socket.ts';
import { GroupTable } from './memberships.ts';
import { PortTable } from './ports.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { TcpTable } from './tcp-table.ts';

class InetStack {
  readonly tcp: TcpTable<TcpSocket> = new TcpTable();
  readonly udp: PortTable<InetSocket> = new PortTable();
  readonly groups: GroupTable = new GroupTable();
}

/** A sandbox has one network. */
export const inetStack: InetStack = new InetStack();
