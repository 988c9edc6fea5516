// SPDX-License-Identifier: Apache-2.0
// Rows of /proc/net/unix (proc_pid_net(5)).
import type { AbstractNames } from '../../kernel/network-names.ts';
import { UnixSocket } from './unix-socket.ts';

/** Each Unix socket of the network, in the order in which they were made. */
export function* listUnixSockets(names: AbstractNames): Generator<string> {
  for (const socket of names.all) if (socket instanceof UnixSocket) yield formatRow(socket);
}

function formatRow(socket: UnixSocket): string {
  const flags = socket.isListening ? 0x10000 : 0;
  const state = socket.isConnected ? 3 : 1;
  const { address } = socket.name;
  const name =
    address.kind === 'unnamed'
      ? ''
      : address.kind === 'path'
        ? ` ${address.name}`
        : ` @${address.name}`;
  const fields = [
    hex(socket.references + 1, 8),
    hex(0, 8),
    hex(flags, 8),
    hex(socket.type, 4),
    hex(state, 2),
    String(socket.node.ino).padStart(5),
  ];
  return `${hex(0, 16)}: ${fields.join(' ')}${name}\n`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
