// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7) over the host's network: what the guest asks is asked anew of the host
// (route-socket.ts), and the answers go on with the guest's numbers. Nothing can be changed.
import { EINVAL, ENODEV, EOPNOTSUPP, EPERM, isErrno } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_PACKET, AF_UNSPEC } from '../../../abi/socket.ts';
import type { NetlinkRequest, RouteAnswerer } from '../../kernel/network.ts';
import { dump, errorMessage, message } from '../netlink/route-message.ts';
import { answersTo } from './host-answers.ts';
import { attributes } from './link.ts';
import { RouteSocket } from './route-socket.ts';

const askedFamilies: readonly number[] = [AF_UNSPEC, AF_INET, AF_INET6];

export function hostRouteAnswerer(routes: RouteSocket): RouteAnswerer {
  return (request, portId) => answer(routes, request, portId);
}

function answer(routes: RouteSocket, request: NetlinkRequest, portId: number): Uint8Array[] {
  // Every fourth type from RTM_NEWLINK + 2 on is a "get"; the others change something, which is the
  // host's alone.
  if ((request.type & 3) !== 2) return [errorMessage(request, portId, EPERM)];
  if ((request.flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP) return dumpAll(routes, request, portId);
  if (request.type === nl.RTM_GETLINK) return oneLink(routes, request, portId);
  if (request.type === nl.RTM_GETROUTE) return oneRoute(routes, request, portId);
  return [errorMessage(request, portId, EOPNOTSUPP)];
}

function dumpAll(routes: RouteSocket, request: NetlinkRequest, portId: number): Uint8Array[] {
  const asked = request.body.byteLength > 0 ? request.body.getUint8(0) : AF_UNSPEC;
  // "ip link" asks for the links of AF_PACKET and means all.
  const family = asked === AF_PACKET && request.type === nl.RTM_GETLINK ? AF_UNSPEC : asked;
  if (!RouteSocket.canDump(request.type) || !askedFamilies.includes(family))
    return dump(request, portId, [], 0);
  const told = routes.dump(request.type, family);
  if (isErrno(told)) return [errorMessage(request, portId, told)];
  return answersTo(request, portId, told);
}

/** By index, or by name. */
function oneLink(routes: RouteSocket, request: NetlinkRequest, portId: number): Uint8Array[] {
  const { body } = request;
  const index = body.byteLength >= nl.IFINFOMSG_BYTES ? body.getInt32(4, true) : 0;
  const name = index > 0 ? undefined : linkName(bytesOf(body));
  const links = routes.dump(nl.RTM_GETLINK, AF_UNSPEC);
  if (isErrno(links)) return [errorMessage(request, portId, links)];
  const found = links.find((link) =>
    name === undefined
      ? link.body.length >= nl.IFINFOMSG_BYTES && viewOf(link.body).getInt32(4, true) === index
      : linkName(link.body) === name,
  );
  if (found === undefined) return [errorMessage(request, portId, ENODEV)];
  return [message(found.type, 0, request.sequence, portId, found.body)];
}

function oneRoute(routes: RouteSocket, request: NetlinkRequest, portId: number): Uint8Array[] {
  const { body } = request;
  const family = body.byteLength >= nl.RTMSG_BYTES ? body.getUint8(0) : AF_UNSPEC;
  const addressBytes = family === AF_INET ? 4 : 16;
  const target = attributes(bytesOf(body), nl.RTMSG_BYTES).get(nl.RTA_DST);
  if ((family !== AF_INET && family !== AF_INET6) || target?.length !== addressBytes)
    return [errorMessage(request, portId, EINVAL)];
  const flags = body.getUint32(8, true) & (nl.RTM_F_LOOKUP_TABLE | nl.RTM_F_FIB_MATCH);
  const told = routes.routeTo(family, target, flags);
  if (isErrno(told)) return [errorMessage(request, portId, told)];
  return told.map((one) => message(one.type, 0, request.sequence, portId, one.body));
}

/** IFLA_IFNAME without its NUL. */
function linkName(body: Uint8Array): string | undefined {
  const value = attributes(body, nl.IFINFOMSG_BYTES).get(nl.IFLA_IFNAME);
  return value === undefined ? undefined : Buffer.from(value).toString('latin1').split('\0', 1)[0];
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
