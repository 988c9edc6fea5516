// SPDX-License-Identifier: Apache-2.0
// AF_INET and AF_INET6 sockets of the sandbox's own network.
import { EPROTONOSUPPORT, isErrno, type Result } from '../../../abi/errno.ts';
import { SOCK_RAW, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Task } from '../../kernel/task.ts';
import type { Socket } from '../socket.ts';
import { PingSocket } from './ping-socket.ts';
import { inetProtocol, isPing } from './protocols.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UdpSocket } from './udp-socket.ts';
import type { WayOut } from './way-out.ts';

/** `flags`: O_NONBLOCK. */
export function newLoopbackSocket(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
  wayOut: WayOut,
): Result<Socket> {
  const { credentials, kernel } = task;
  const chosen = inetProtocol(task, domain, type, protocol);
  if (isErrno(chosen)) return chosen;
  // There is no ICMP in this network but echo, whoever may use it.
  if (type === SOCK_RAW) return EPROTONOSUPPORT;
  if (isPing(chosen)) return new PingSocket(domain, flags, credentials, kernel, wayOut);
  return type === SOCK_STREAM
    ? new TcpSocket(domain, flags, credentials, kernel, wayOut)
    : new UdpSocket(domain, flags, credentials, kernel, wayOut);
}
