// Making sockets by address family: socket(2), socketpair(2).
import { CAP_NET_RAW } from '../../abi/capability.ts';
import {
  EACCES,
  EAFNOSUPPORT,
  EOPNOTSUPP,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { NETLINK_ROUTE } from '../../abi/netlink.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../abi/socket.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import { TcpSocket } from './inet/tcp-socket.ts';
import { UdpSocket } from './inet/udp-socket.ts';
import { NetlinkSocket } from './netlink/netlink-socket.ts';
import type { Socket } from './socket.ts';
import { UnixSocket } from './unix/unix-socket.ts';

/** `flags`: O_NONBLOCK. */
export function newSocket(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  switch (domain) {
    case AF_UNIX:
      return newUnixSocket(task, type, protocol, flags);
    case AF_INET:
    case AF_INET6:
      return newInetSocket(task, domain, type, protocol, flags);
    case AF_NETLINK:
      return newNetlinkSocket(task, type, protocol, flags);
    default:
      return EAFNOSUPPORT;
  }
}

function newUnixSocket(
  task: Task,
  type: number,
  protocol: number,
  flags: number,
): Result<UnixSocket> {
  if (protocol !== 0 && protocol !== AF_UNIX) return EPROTONOSUPPORT;
  // Linux takes SOCK_RAW for SOCK_DGRAM.
  const kind = type === SOCK_RAW ? SOCK_DGRAM : type;
  if (kind !== SOCK_STREAM && kind !== SOCK_DGRAM && kind !== SOCK_SEQPACKET)
    return ESOCKTNOSUPPORT;
  return new UnixSocket(kind, flags, 0, task, task.kernel.clock);
}

function newInetSocket(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  const { credentials, kernel } = task;
  if (type === SOCK_STREAM && (protocol === 0 || protocol === IPPROTO_TCP)) {
    return new TcpSocket(domain, flags, credentials, kernel.clock);
  }
  if (type === SOCK_DGRAM && (protocol === 0 || protocol === IPPROTO_UDP)) {
    return new UdpSocket(domain, flags, credentials, kernel.clock);
  }
  // "Ping" sockets are for the groups of net.ipv4.ping_group_range, which is empty.
  if (type === SOCK_DGRAM && (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6))
    return EACCES;
  if (type === SOCK_RAW) return isCapable(credentials, CAP_NET_RAW) ? EPROTONOSUPPORT : EPERM;
  return type === SOCK_STREAM || type === SOCK_DGRAM ? EPROTONOSUPPORT : ESOCKTNOSUPPORT;
}

function newNetlinkSocket(
  task: Task,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
  if (protocol !== NETLINK_ROUTE) return EPROTONOSUPPORT;
  return new NetlinkSocket(type, flags, task.credentials, task.kernel.clock);
}

export function newSocketPair(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): readonly [Socket, Socket] | SysResult {
  if (domain !== AF_UNIX) {
    const socket = newSocket(task, domain, type, protocol, flags);
    if (typeof socket === 'number') return socket;
    socket.close();
    return EOPNOTSUPP;
  }
  const first = newUnixSocket(task, type, protocol, flags);
  const second = newUnixSocket(task, type, protocol, flags);
  if (typeof first === 'number') return first;
  if (typeof second === 'number') return second;
  UnixSocket.joinPair(first, second);
  return [first, second];
}
