// SPDX-License-Identifier: Apache-2.0
// What the sockets of the sandbox's network share: who is bound to what.
import type { InetSocket } from './inet-socket.ts';
import { PortTable } from './ports.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { TcpTable } from './tcp-table.ts';

class InetStack {
  readonly tcp: TcpTable<TcpSocket> = new TcpTable();
  readonly udp: PortTable<InetSocket> = new PortTable();
}

/** A sandbox has one network. */
export const inetStack: InetStack = new InetStack();
