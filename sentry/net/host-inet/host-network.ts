// SPDX-License-Identifier: Apache-2.0
// The network of the host (in a container: that of its network namespace), as `--network host`
// gives it to the guest. Opens at boot, before the Sentry is confined, what cannot be opened later.
import { EACCES, EPERM, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_NETLINK, AF_UNSPEC, SOCK_DGRAM, SOCK_RAW } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import type { NetFiles, Network, NetworkInterface } from '../../kernel/network.ts';
import { AbstractNames, NetlinkPorts } from '../../kernel/network-names.ts';
import type { Task } from '../../kernel/task.ts';
import { inetProtocol, isPing } from '../inet/protocols.ts';
import type { Socket } from '../socket.ts';
import { hostDiagAnswerer } from './host-diag.ts';
import { HostInetSocket } from './host-inet-socket.ts';
import { hostInterfaceIoctl } from './host-ioctl.ts';
import { HostNetlink } from './host-netlink.ts';
import { hostRouteAnswerer } from './host-route.ts';
import type { HostSockets } from './host-sockets.ts';
import { parseLink } from './link.ts';
import { openNetFiles, readNetFile } from './net-files.ts';
import { RouteSocket } from './route-socket.ts';

/** The network that this process is in, for the guest; or why it cannot be. */
export function openHostNetwork(sockets: HostSockets): Result<Network> {
  const routeFd = native.hostSocket(AF_NETLINK, SOCK_RAW, nl.NETLINK_ROUTE);
  if (isErrno(routeFd)) return routeFd;
  // A kernel without it has it for nobody.
  const diagFd = native.hostSocket(AF_NETLINK, SOCK_RAW, nl.NETLINK_SOCK_DIAG);
  const askFd = native.hostSocket(AF_INET, SOCK_DGRAM, 0);
  if (isErrno(askFd)) return askFd;
  const routes = new RouteSocket(new HostNetlink(routeFd));
  return {
    newSocket: (task, domain, type, protocol, flags) =>
      newHostInetSocket(sockets, task, domain, type, protocol, flags),
    answerRoute: hostRouteAnswerer(routes),
    answerDiag: isErrno(diagFd) ? undefined : hostDiagAnswerer(new HostNetlink(diagFd)),
    interfaceIoctl: (command, argument, caller) =>
      hostInterfaceIoctl(askFd, command, argument, caller),
    listSockets: () => [],
    files: hostNetFiles(),
    abstractNames: new AbstractNames(),
    netlinkPorts: new NetlinkPorts(),
    interfaces: () => interfaces(routes),
  };
}

function hostNetFiles(): NetFiles {
  const files = openNetFiles();
  return {
    names: [...files.keys()],
    read: (name) => {
      const hostFd = files.get(name);
      return hostFd === undefined ? undefined : readNetFile(hostFd);
    },
  };
}

function interfaces(routes: RouteSocket): NetworkInterface[] {
  const links = routes.dump(nl.RTM_GETLINK, AF_UNSPEC);
  if (isErrno(links)) return [];
  return links.flatMap(({ body }) => parseLink(body) ?? []);
}

/**
 * Raw sockets come from the broker alone: the Sentry may not make one, and has one only where the
 * container may.
 */
function newHostInetSocket(
  sockets: HostSockets,
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  const chosen = inetProtocol(task, domain, type, protocol);
  if (isErrno(chosen)) return chosen;
  const { broker } = sockets;
  const make = (): SysResult => {
    if (type === SOCK_RAW) return broker.rawSocket(domain, chosen);
    const made = native.hostSocket(domain, type, chosen);
    // The groups that may ping are the guest's to be in, not the Sentry's.
    if (made !== EACCES || !isPing(chosen)) return made;
    const brokered = broker.pingSocket(domain);
    return brokered === EPERM ? EACCES : brokered;
  };
  const kind = { domain, type, protocol: chosen };
  return HostInetSocket.open(sockets, kind, flags, task.credentials, make);
}
