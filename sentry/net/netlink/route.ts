// rtnetlink(7): answers about the one interface, lo, and its addresses. Nothing can be changed.
import { ENETUNREACH, ENODEV, EOPNOTSUPP, EPERM } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import { loopbackV4, loopbackV6 } from '../inet/address.ts';
import {
  loopbackFlags,
  loopbackIndex,
  loopbackMtu,
  loopbackType,
} from '../inet/interface-ioctl.ts';

/** One request, its header split off. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The whole message, header included. */
  readonly bytes: Uint8Array;
  readonly body: DataView;
}

/** Messages for the socket's queue, each one datagram. `portId` is the asking socket's. */
export function answerRoute(
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

/** Also the acknowledgement, with error 0. */
export function errorMessage(request: NetlinkRequest, portId: number, error: number): Uint8Array {
  // An acknowledgement repeats the header only.
  const echoed = error === 0 ? request.bytes.subarray(0, nl.nlmsghdr.size) : request.bytes;
  const body = new Uint8Array(4 + echoed.length);
  new DataView(body.buffer).setInt32(0, error, true);
  body.set(echoed, 4);
  return message(nl.NLMSG_ERROR, 0, request.sequence, portId, body);
}

function dump(
  request: NetlinkRequest,
  portId: number,
  bodies: readonly Uint8Array[],
  type: number,
): Uint8Array[] {
  const parts = bodies.map((body) => message(type, nl.NLM_F_MULTI, request.sequence, portId, body));
  const done = message(nl.NLMSG_DONE, nl.NLM_F_MULTI, request.sequence, portId, new Uint8Array(4));
  return parts.length === 0 ? [done] : [joined(parts), done];
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

function message(
  type: number,
  flags: number,
  sequence: number,
  portId: number,
  body: Uint8Array,
): Uint8Array {
  const lengthBytes = nl.nlmsghdr.size + body.length;
  const bytes = new Uint8Array(Math.ceil(lengthBytes / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(nl.nlmsghdr.length, lengthBytes, true);
  view.setUint16(nl.nlmsghdr.type, type, true);
  view.setUint16(nl.nlmsghdr.flags, flags, true);
  view.setUint32(nl.nlmsghdr.sequence, sequence, true);
  view.setUint32(nl.nlmsghdr.pid, portId, true);
  bytes.set(body, nl.nlmsghdr.size);
  return bytes;
}

/** struct rtattr: u16 length, u16 type, data; padded to four bytes. */
function attribute(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((4 + data.length) / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + data.length, true);
  view.setUint16(2, type, true);
  bytes.set(data, 4);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const text = (latin1: string): Uint8Array => Uint8Array.from(latin1, (char) => char.charCodeAt(0));
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
