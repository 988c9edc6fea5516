// SPDX-License-Identifier: Apache-2.0
// /proc/PID/net: the network of the sandbox, which is a loopback device or the host's (proc_pid_net(5)).
// The network itself (kernel/network.ts) lists its sockets.
import type { Network, SocketTable } from '../../kernel/network.ts';
import { type Computed, directory } from '../pseudo/directory.ts';
import { type Entries, type Entry, recordOperations, type Text } from '../pseudo/entry.ts';
import { directoryOwnerOf, processFile, type Subject } from './subject.ts';

const headers: Readonly<Record<SocketTable, string>> = {
  tcp: '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n',
  tcp6: '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n',
  udp: '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n',
  udp6: '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n',
  raw: '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n',
  raw6: '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n',
  unix: 'Num       RefCount Protocol Flags    Type St Inode Path\n',
  netlink:
    'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n',
  packet: 'sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n',
};

/** A file with the content that the host shows under this name, or else the sandbox's own. */
const shown = (name: string, own: (network: Network) => Text): Entry<Subject> =>
  processFile(0o444, ({ kernel: { network } }) => network.files.read(name) ?? own(network), {
    operations: recordOperations,
  });

const socketTable = (table: SocketTable): Entry<Subject> =>
  shown(table, (network) => rowsOf(headers[table], network.listSockets(table)));

function* rowsOf(header: string, rows: Iterable<string>): IterableIterator<string> {
  yield header;
  yield* rows;
}

const devHeader =
  'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
const loopbackCounters = `    lo: ${'0'.padStart(7)} ${'0'.padStart(7)}    0    0    0     0          0         0 ${'0'.padStart(8)} ${'0'.padStart(7)}    0    0    0     0       0          0\n`;

const ownFiles: Entries<Subject> = {
  arp: shown(
    'arp',
    () => 'IP address       HW type     Flags       HW address            Mask     Device\n',
  ),
  dev: shown('dev', () => devHeader + loopbackCounters),
  if_inet6: shown('if_inet6', () => `${'1'.padStart(32, '0')} 01 80 10 80       lo\n`),
  ipv6_route: shown('ipv6_route', renderIpv6Routes),
  netlink: socketTable('netlink'),
  packet: socketTable('packet'),
  protocols: shown(
    'protocols',
    () =>
      'protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n',
  ),
  raw: socketTable('raw'),
  raw6: socketTable('raw6'),
  route: shown(
    'route',
    () =>
      `${'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT'.padEnd(127)}\n`,
  ),
  tcp: socketTable('tcp'),
  tcp6: socketTable('tcp6'),
  udp: socketTable('udp'),
  udp6: socketTable('udp6'),
  unix: socketTable('unix'),
};

/** Files that only the host has. */
const hostFiles: Computed<Subject> = {
  list: ({ kernel }) =>
    kernel.network.files.names.flatMap((name, key) =>
      Object.hasOwn(ownFiles, name) ? [] : [{ name, key }],
    ),
  lookup: (filesystem, subject, name) => {
    if (!subject.kernel.network.files.names.includes(name)) return undefined;
    const { computedNodes } = subject;
    const key = `net/${name}`;
    const node = computedNodes.get(key) ?? shown(name, () => '')(filesystem, subject);
    computedNodes.set(key, node);
    return node;
  },
};

export const netDirectory: Entry<Subject> = directory<Subject>(ownFiles, {
  owner: directoryOwnerOf,
  computed: hostFiles,
});

/** The host route of ::1. */
function renderIpv6Routes(): string {
  const loopback = '1'.padStart(32, '0');
  const none = '0'.repeat(32);
  return `${loopback} 80 ${none} 00 ${none} 00000000 00000002 00000000 80200001       lo\n`;
}
