// AF_INET and AF_INET6 sockets of the sandbox's own network.
import { CAP_NET_RAW } from '../../../abi/capability.ts';
import {
  EACCES,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
  type Result,
} from '../../../abi/errno.ts';
import {
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from '../../../abi/socket.ts';
import type { Task } from '../../kernel/task.ts';
import { isCapable } from '../../vfs/credentials.ts';
import type { Socket } from '../socket.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UdpSocket } from './udp-socket.ts';

/** `flags`: O_NONBLOCK. */
export function newLoopbackSocket(
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
