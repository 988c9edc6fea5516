// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7) of the sandbox's own network: answers about the one interface, lo, and its
// addresses. Nothing can be changed.
import { ENETUNREACH, ENODEV, EOPNOTSUPP, EPERM } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import type { NetlinkRequest } from '../../kernel/network.ts';
import { loopbackV4, loopbackV6 } from '../inet/address.ts';
import {
  loopbackFlags,
  loopbackIndex,
  loopbackMtu,
  loopbackType,
} from '../inet/interface-ioctl.ts';
import { attribute, dump, errorMessage, joined, message, text, u32 } from './route-message.ts';

export function answerLoopbackRoute(
  request: NetlinkRequest,
  portId: number,
  privileged: boolean,
): Uint8Array[] {
  const isDump = (request.flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP;
  // Every fourth type from RTM_NEWLINK + 2 on is a "get"; the others change something.
  if ((request.type & 3) !== 2 && !privileged) return [errorMessage(request, portId, EPERM)];
  const family = request.body.byteLength > 0 ? request.body.getUint8(0) : AF_UNSPEC;
  switch (request.type) {
    case nl.RTM_GETLINK:
      if (isDump) return dump(request, portId, [linkBody()], nl.RTM_NEWLINK);
      return oneLink(request, portId);
    case nl.RTM_GETADDR:
      if (!isDump) return [errorMessage(request, portId, EOPNOTSUPP)];
      return dump(request, portId, addressBodies(family), nl.RTM_NEWADDR);
    case nl.RTM_GETROUTE:
      return isDump ? dump(request, portId, [], 0) : [errorMessage(request, portId, ENETUNREACH)];
    default:
      return isDump ? dump(request, portId, [], 0) : [errorMessage(request, portId, EOPNOTSUPP)];
  }
}

function oneLink(request: NetlinkRequest, portId: number): Uint8Array[] {
  const index = request.body.byteLength >= nl.IFINFOMSG_BYTES ? request.body.getInt32(4, true) : 0;
  if (index !== loopbackIndex && !namesLoopback(request.body))
    return [errorMessage(request, portId, ENODEV)];
  return [message(nl.RTM_NEWLINK, 0, request.sequence, portId, linkBody())];
}

/** True where the attributes have IFLA_IFNAME "lo". */
function namesLoopback(body: DataView): boolean {
  let at: number = nl.IFINFOMSG_BYTES;
  while (at + 4 <= body.byteLength) {
    const length = body.getUint16(at, true);
    if (length < 4 || at + length > body.byteLength) return false;
    const isName = body.getUint16(at + 2, true) === nl.IFLA_IFNAME && length >= 7;
    if (
      isName &&
      body.getUint8(at + 4) === 0x6c &&
      body.getUint8(at + 5) === 0x6f &&
      body.getUint8(at + 6) === 0
    )
      return true;
    at += Math.ceil(length / 4) * 4;
  }
  return false;
}

function linkBody(): Uint8Array {
  const info = new DataView(new ArrayBuffer(nl.IFINFOMSG_BYTES));
  info.setUint16(2, loopbackType, true);
  info.setInt32(4, loopbackIndex, true);
  // IFF_LOWER_UP comes with the flags that the ioctl shows.
  info.setUint32(8, loopbackFlags | 0x10000, true);
  return joined([
    new Uint8Array(info.buffer),
    attribute(nl.IFLA_IFNAME, text('lo\0')),
    attribute(nl.IFLA_TXQLEN, u32(1000)),
    attribute(nl.IFLA_OPERSTATE, Uint8Array.of(0)),
    attribute(nl.IFLA_MTU, u32(loopbackMtu)),
    attribute(nl.IFLA_ADDRESS, new Uint8Array(6)),
    attribute(nl.IFLA_BROADCAST, new Uint8Array(6)),
    attribute(nl.IFLA_QDISC, text('noqueue\0')),
  ]);
}

function addressBodies(family: number): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  if (family === AF_UNSPEC || family === AF_INET) bodies.push(addressBody(AF_INET, 8, loopbackV4));
  if (family === AF_UNSPEC || family === AF_INET6)
    bodies.push(addressBody(AF_INET6, 128, loopbackV6));
  return bodies;
}

function addressBody(family: number, prefix: number, ip: string): Uint8Array {
  const info = Uint8Array.of(
    family,
    prefix,
    nl.IFA_F_PERMANENT,
    nl.RT_SCOPE_HOST,
    loopbackIndex,
    0,
    0,
    0,
  );
  const parts = [info, attribute(nl.IFA_ADDRESS, text(ip))];
  if (family === AF_INET)
    parts.push(attribute(nl.IFA_LOCAL, text(ip)), attribute(nl.IFA_LABEL, text('lo\0')));
  parts.push(attribute(nl.IFA_FLAGS, u32(nl.IFA_F_PERMANENT)));
  return joined(parts);
}
