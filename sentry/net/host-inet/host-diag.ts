// SPDX-License-Identifier: Apache-2.0
// sock_diag(7) over the host's network, as ss(8) asks: TCP, UDP and raw sockets of the namespace. Of the
// families that are the Sentry's there is no such list: ENOENT sends ss to /proc/net. Nothing can be changed.
import { EINVAL, ENOENT, EOPNOTSUPP, EPERM, isErrno } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import type { NetlinkRequest, RouteAnswerer } from '../../kernel/network.ts';
import { errorMessage, message } from '../netlink/route-message.ts';
import { diagFilterAccepts } from './diag-filter.ts';
import { answersTo } from './host-answers.ts';
import type { HostMessage, HostNetlink } from './host-netlink.ts';
import { attributes } from './link.ts';

export function hostDiagAnswerer(host: HostNetlink): RouteAnswerer {
  return (request, portId) => answer(host, request, portId);
}

/** Those that the asker's filter accepts, where it has one. */
function wanted(told: readonly HostMessage[], body: DataView): readonly HostMessage[] {
  const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  const program = attributes(bytes, nl.INET_DIAG_REQ_BYTES).get(nl.INET_DIAG_REQ_BYTECODE);
  return program === undefined ? told : told.filter((one) => diagFilterAccepts(program, one.body));
}

function answer(host: HostNetlink, request: NetlinkRequest, portId: number): Uint8Array[] {
  const { type, flags, body } = request;
  if (type === nl.SOCK_DESTROY) return [errorMessage(request, portId, EPERM)];
  if (type !== nl.SOCK_DIAG_BY_FAMILY) return [errorMessage(request, portId, EOPNOTSUPP)];
  const family = body.byteLength > 0 ? body.getUint8(0) : 0;
  if (family !== AF_INET && family !== AF_INET6) return [errorMessage(request, portId, ENOENT)];
  if (body.byteLength < nl.INET_DIAG_REQ_BYTES) return [errorMessage(request, portId, EINVAL)];
  const asked = new Uint8Array(body.buffer, body.byteOffset, nl.INET_DIAG_REQ_BYTES).slice();
  const isDump = (flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP;
  const told = host.ask(type, isDump ? nl.NLM_F_DUMP : 0, asked);
  if (isErrno(told)) return [errorMessage(request, portId, told)];
  if (isDump) return answersTo(request, portId, wanted(told, body));
  return told.map((one) => message(one.type, 0, request.sequence, portId, one.body));
}
