// SPDX-License-Identifier: Apache-2.0
// sock_diag(7) over the sandbox's own network, as ss(8) asks: TCP and UDP sockets, also those in TIME_WAIT.
// Of other families and protocols there is no such list: ENOENT sends ss to /proc/net.
import { EINVAL, ENOENT, EOPNOTSUPP, EPERM } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/socket.ts';
import type { NetlinkRequest } from '../../kernel/network.ts';
import { diagFilterAccepts } from '../host-inet/diag-filter.ts';
import { answersTo } from '../host-inet/host-answers.ts';
import { attributes } from '../host-inet/link.ts';
import { errorMessage } from '../netlink/route-message.ts';
import { anyOf, type Endpoint, isV4, mapped } from './address.ts';
import { InetSocket } from './inet-socket.ts';
import { inetStack } from './inet-stack.ts';
import { TcpSocket } from './tcp-socket.ts';
import type { TcpUser } from './tcp-table.ts';

/** struct inet_diag_msg. */
const messageBytes = 72;

export function answerSocketDiag(request: NetlinkRequest, portId: number): Uint8Array[] {
  const { type, flags, body } = request;
  if (type === nl.SOCK_DESTROY) return [errorMessage(request, portId, EPERM)];
  const isDump = (flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP;
  if (type !== nl.SOCK_DIAG_BY_FAMILY || !isDump)
    return [errorMessage(request, portId, EOPNOTSUPP)];
  const family = body.byteLength > 0 ? body.getUint8(0) : 0;
  if (family !== AF_INET && family !== AF_INET6) return [errorMessage(request, portId, ENOENT)];
  if (body.byteLength < nl.INET_DIAG_REQ_BYTES) return [errorMessage(request, portId, EINVAL)];
  const protocol = body.getUint8(1);
  const users: Iterable<InetSocket | TcpUser> | undefined =
    protocol === IPPROTO_TCP
      ? inetStack.tcp.all()
      : protocol === IPPROTO_UDP
        ? inetStack.udp.all()
        : undefined;
  if (users === undefined) return [errorMessage(request, portId, ENOENT)];
  const states = body.getUint32(4, true);
  const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  const program = attributes(bytes, nl.INET_DIAG_REQ_BYTES).get(nl.INET_DIAG_REQ_BYTECODE);
  const told = [];
  for (const user of users) {
    if (user.domain !== family || ((1 << user.tableState) & states) === 0) continue;
    const one = socketBody(user);
    if (program === undefined || diagFilterAccepts(program, one))
      told.push({ type: nl.SOCK_DIAG_BY_FAMILY, body: one });
  }
  return answersTo(request, portId, told);
}

function socketBody(user: InetSocket | TcpUser): Uint8Array {
  const view = new DataView(new ArrayBuffer(messageBytes));
  view.setUint8(0, user.domain);
  view.setUint8(1, user.tableState);
  const far = user.remote ?? { ip: anyOf(user.domain), port: 0 };
  setEndpoint(view, 4, 8, { ip: user.localIp, port: user.localPort }, user.domain);
  setEndpoint(view, 6, 24, far, user.domain);
  const isSocket = user instanceof InetSocket;
  const inode = isSocket ? user.node.ino : 0;
  view.setUint32(44, inode, true);
  if (user instanceof TcpSocket) {
    view.setUint32(56, user.queueBytes.unread, true);
    view.setUint32(60, user.queueBytes.unsent, true);
  }
  view.setUint32(64, isSocket ? user.ownerUid : 0, true);
  view.setUint32(68, inode, true);
  return new Uint8Array(view.buffer);
}

/** A port and an address of struct inet_diag_sockid. */
function setEndpoint(
  view: DataView,
  portAt: number,
  at: number,
  { ip, port }: Endpoint,
  domain: number,
): void {
  view.setUint16(portAt, port);
  const shown = domain === AF_INET6 && isV4(ip) ? mapped(ip) : ip;
  for (let index = 0; index < shown.length; index += 1)
    view.setUint8(at + index, shown.charCodeAt(index));
}
