// The network of the host (in a container: that of its network namespace), as `--network host` gives it to the guest.
// Opens at boot, before the Sentry is confined, what cannot be opened later.
import { CAP_NET_RAW } from '../../../abi/capability.ts';
import {
  EACCES,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
  isErrno,
  type Result,
} from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { NETLINK_ROUTE } from '../../../abi/netlink.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNSPEC,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import { settings } from '../../base/settings.ts';
import { setNetFiles } from '../../fs/proc/net.ts';
import { type NetworkInterface, setInterfaceLister } from '../../fs/sys/network-interface.ts';
import type { Task } from '../../kernel/task.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { setNetwork } from '../network.ts';
import type { Socket } from '../socket.ts';
import { HostInetSocket } from './host-inet-socket.ts';
import { hostInterfaceIoctl } from './host-ioctl.ts';
import { hostRouteAnswerer } from './host-route.ts';
import type { HostSockets } from './host-sockets.ts';
import { parseLink } from './link.ts';
import { openNetFiles, readNetFile } from './net-files.ts';
import { RouteSocket } from './route-socket.ts';

/** From here on the guest's network is the one that this process is in. 0, or why it cannot be. */
export function useHostNetwork(sockets: HostSockets): number {
  const routeFd = native.hostSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (routeFd < 0) return routeFd;
  const askFd = native.hostSocket(AF_INET, SOCK_DGRAM, 0);
  if (askFd < 0) return askFd;
  const routes = new RouteSocket(routeFd);
  const files = openNetFiles();
  setNetFiles({
    names: [...files.keys()],
    read: (name) => {
      const hostFd = files.get(name);
      return hostFd === undefined ? undefined : readNetFile(hostFd);
    },
  });
  setInterfaceLister(() => interfaces(routes));
  setNetwork({
    newSocket: (task, domain, type, protocol, flags) =>
      newHostSocket(sockets, task, domain, type, protocol, flags),
    answerRoute: hostRouteAnswerer(routes),
    interfaceIoctl: (command, argument, caller) =>
      hostInterfaceIoctl(askFd, command, argument, caller),
  });
  return 0;
}

function interfaces(routes: RouteSocket): NetworkInterface[] {
  const links = routes.dump(nl.RTM_GETLINK, AF_UNSPEC);
  if (isErrno(links)) return [];
  return links.flatMap(({ body }) => parseLink(body) ?? []);
}

/** Protocols of the kinds of sockets that the host makes without privilege; the first is meant by 0. */
const protocolsOf: ReadonlyMap<number, readonly number[]> = new Map([
  [SOCK_STREAM, [IPPROTO_TCP]],
  [SOCK_DGRAM, [IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6]],
]);

function newHostSocket(
  sockets: HostSockets,
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  // Raw sockets see and make any packet: the Sentry may not have one.
  if (type === SOCK_RAW)
    return isCapable(task.credentials, CAP_NET_RAW) && protocol === 0 ? EPROTONOSUPPORT : EPERM;
  const protocols = protocolsOf.get(type);
  if (protocols === undefined) return ESOCKTNOSUPPORT;
  const chosen = protocol === 0 ? (protocols[0] as number) : protocol;
  const isForeign = chosen === (domain === AF_INET6 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (!protocols.includes(chosen) || isForeign) return EPROTONOSUPPORT;
  if (type === SOCK_DGRAM && chosen !== IPPROTO_UDP && !mayPing(task)) return EACCES;
  const kind = { domain, type, protocol: chosen };
  return HostInetSocket.open(sockets, kind, flags, task.credentials);
}

/** ping_init_sock: one of the caller's groups is in net.ipv4.ping_group_range. */
function mayPing({ credentials }: Task): boolean {
  const [first, last] = settings.text('net.ipv4.ping_group_range').split('\t').map(Number);
  const groups = [credentials.egid, ...credentials.groups];
  return groups.some((group) => group >= (first as number) && group <= (last as number));
}
