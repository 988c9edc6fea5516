// SPDX-License-Identifier: Apache-2.0
// Rows of /proc/net/tcp, tcp6, udp and udp6 (proc_net(5)).
import { AF_INET6 } from '../../../abi/socket.ts';
import { anyOf, type IpAddress } from './address.ts';
import { InetSocket } from './inet-socket.ts';
import { inetStack } from './inet-stack.ts';
import { TcpSocket } from './tcp-socket.ts';
import type { TcpUser } from './tcp-table.ts';

const noQueues = { unsent: 0, unread: 0 };

/** The rows of one table, none for tables that this file does not know. */
export function* listInetSockets(table: string): Generator<string> {
  const sockets = table.startsWith('tcp')
    ? inetStack.tcp.all()
    : table.startsWith('udp')
      ? inetStack.udp.all()
      : [];
  let row = 0;
  for (const socket of sockets) {
    if ((socket.domain === AF_INET6) !== table.endsWith('6')) continue;
    yield formatRow(row, socket, table.startsWith('tcp') ? '100 0 0 10 0' : '0');
    row += 1;
  }
}

function formatRow(row: number, socket: InetSocket | TcpUser, tail: string): string {
  const local = endpoint(socket.localIp, socket.localPort);
  const { remote } = socket;
  const far =
    remote === undefined ? endpoint(anyOf(socket.domain), 0) : endpoint(remote.ip, remote.port);
  const state = hex(socket.tableState, 2);
  const { unsent, unread } = socket instanceof TcpSocket ? socket.queueBytes : noQueues;
  const queues = `${hex(unsent, 8)}:${hex(unread, 8)} 00:00000000 00000000`;
  // What only waits has no inode, and is nobody's.
  const inode = socket instanceof InetSocket ? socket.node.ino : 0;
  const owner = `${String(inode === 0 ? 0 : socket.ownerUid).padStart(5)}        0 ${inode}`;
  return `${String(row).padStart(4)}: ${local} ${far} ${state} ${queues} ${owner} 2 0000000000000000 ${tail}\n`;
}

/** Each 32-bit word of the address as the host's integer, as Linux prints it. */
function endpoint(ip: IpAddress, port: number): string {
  let words = '';
  for (let at = 0; at < ip.length; at += 4) {
    for (let byte = 3; byte >= 0; byte -= 1) words += hex(ip.charCodeAt(at + byte), 2);
  }
  return `${words}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
