// SPDX-License-Identifier: Apache-2.0
// The sandbox's own network: a loopback device and nothing else.
import type { Network, NetworkInterface } from '../../kernel/network.ts';
import { AbstractNames, NetlinkPorts } from '../../kernel/network-names.ts';
import { answerLoopbackRoute } from '../netlink/loopback-route.ts';
import { listUnixSockets } from '../unix/socket-table.ts';
import { newLoopbackSocket } from './families.ts';
import { interfaceIoctl } from './interface-ioctl.ts';
import { answerSocketDiag } from './socket-diag.ts';
import { listInetSockets } from './socket-tables.ts';
import { noWayOut, type WayOut } from './way-out.ts';

const loopback: NetworkInterface = {
  name: 'lo',
  index: 1,
  type: 772,
  flags: 0x9,
  linkIndex: 1,
  mtu: 65_536,
  queueLength: 1000,
  address: '00:00:00:00:00:00',
  broadcast: '00:00:00:00:00:00',
  addressBytes: 6,
  carrier: 1,
  state: 'unknown',
  counters: new Map(),
};

export function newLoopbackNetwork(wayOut: WayOut = noWayOut()): Network {
  const abstractNames = new AbstractNames();
  return {
    newSocket: (task, domain, type, protocol, flags) =>
      newLoopbackSocket(task, domain, type, protocol, flags, wayOut),
    answerRoute: answerLoopbackRoute,
    answerDiag: answerSocketDiag,
    interfaceIoctl,
    listSockets: (table) =>
      table === 'unix' ? listUnixSockets(abstractNames) : listInetSockets(table),
    files: { names: [], read: () => undefined },
    abstractNames,
    netlinkPorts: new NetlinkPorts(),
    interfaces: () => [loopback],
  };
}
