// SPDX-License-Identifier: Apache-2.0
// What the sockets of one network of the sandbox share: tables of ports and connections, and what they
// use of the kernel.
import type { Kernel } from '../../kernel/kernel.ts';
import type { InetSocket } from './inet-socket.ts';
import { PortTable } from './ports.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { TcpTable } from './tcp-table.ts';

/** The parts of the kernel that TCP and UDP use. */
export type InetKernel = Pick<
  Kernel,
  'clock' | 'network' | 'settings' | 'guestTimers' | 'randomFill'
>;

export class InetStack {
  readonly tcp: TcpTable<TcpSocket> = new TcpTable();
  readonly udp: PortTable<InetSocket> = new PortTable();
}
