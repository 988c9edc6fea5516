// SPDX-License-Identifier: Apache-2.0
// Making sockets by address family: socket(2), socketpair(2).
import {
  EAFNOSUPPORT,
  EOPNOTSUPP,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
  isErrno,
  type Result,
} from '../../abi/errno.ts';
import { NETLINK_ROUTE, NETLINK_SOCK_DIAG } from '../../abi/netlink.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_UNIX,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../abi/socket.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { NetlinkSocket } from './netlink/netlink-socket.ts';
import type { Socket } from './socket.ts';
import { UnixMessageSocket } from './unix/message-socket.ts';
import { UnixStreamSocket } from './unix/stream-socket.ts';
import { UnixSocket } from './unix/unix-socket.ts';

/** `flags`: O_NONBLOCK. */
export function newSocket(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<OpenFile> {
  switch (domain) {
    case AF_UNIX:
      return newUnixSocket(task, type, protocol, flags);
    case AF_INET:
    case AF_INET6:
      return task.kernel.network.newSocket(task, domain, type, protocol, flags);
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
  return kind === SOCK_STREAM
    ? new UnixStreamSocket(flags, 0, task, task.kernel)
    : new UnixMessageSocket(kind, flags, 0, task, task.kernel);
}

function newNetlinkSocket(
  task: Task,
  type: number,
  protocol: number,
  flags: number,
): Result<Socket> {
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
  const { answerRoute, answerDiag } = task.kernel.network;
  const answerer = protocol === NETLINK_SOCK_DIAG ? answerDiag : answerRoute;
  if ((protocol !== NETLINK_ROUTE && protocol !== NETLINK_SOCK_DIAG) || answerer === undefined)
    return EPROTONOSUPPORT;
  const kind = { type, protocol, answerer };
  return new NetlinkSocket(kind, flags, task.credentials, task.kernel);
}

export function newSocketPair(
  task: Task,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): Result<readonly [Socket, Socket]> {
  if (domain !== AF_UNIX) {
    const socket = newSocket(task, domain, type, protocol, flags);
    if (isErrno(socket)) return socket;
    socket.close();
    return EOPNOTSUPP;
  }
  const first = newUnixSocket(task, type, protocol, flags);
  const second = newUnixSocket(task, type, protocol, flags);
  if (isErrno(first)) return first;
  if (isErrno(second)) return second;
  UnixSocket.joinPair(first, second);
  return [first, second];
}
