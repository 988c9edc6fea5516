// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7) of a network that was taken over: the host's own answers from that time, and routes
// to single destinations as the stack has them. Nothing can be changed.
import { ENODEV, EOPNOTSUPP, EPERM, isErrno } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import type { NetlinkRequest, RouteAnswerer } from '../../kernel/network.ts';
import { attributes } from '../host-inet/link.ts';
import {
  attribute,
  dump,
  errorMessage,
  joined,
  message,
  text,
  u32,
} from '../netlink/route-message.ts';
import type { NetworkStack } from './stack.ts';
import type { TakenNetwork } from './taken-network.ts';

/** The type of the answer to each question. */
const answerOf: ReadonlyMap<number, number> = new Map([
  [nl.RTM_GETLINK, nl.RTM_NEWLINK],
  [nl.RTM_GETADDR, nl.RTM_NEWADDR],
  [nl.RTM_GETROUTE, nl.RTM_NEWROUTE],
  [nl.RTM_GETNEIGH, nl.RTM_NEWNEIGH],
]);
/** Messages of one datagram of a dump. */
const DATAGRAM_BYTES = 16_384;

export function stackRouteAnswerer(network: TakenNetwork, stack: NetworkStack): RouteAnswerer {
  return (request, portId, privileged) => {
    const isDump = (request.flags & nl.NLM_F_DUMP) === nl.NLM_F_DUMP;
    if ((request.type & 3) !== 2 && !privileged) return [errorMessage(request, portId, EPERM)];
    const answer = answerOf.get(request.type);
    if (answer === undefined)
      return isDump ? dump(request, portId, [], 0) : [errorMessage(request, portId, EOPNOTSUPP)];
    if (isDump) return dumpOf(network, request, portId, answer);
    if (request.type === nl.RTM_GETLINK) return [oneLink(network, request, portId)];
    if (request.type === nl.RTM_GETROUTE) return [oneRoute(stack, request, portId)];
    return [errorMessage(request, portId, EOPNOTSUPP)];
  };
}

function dumpOf(
  network: TakenNetwork,
  request: NetlinkRequest,
  portId: number,
  type: number,
): Uint8Array[] {
  const family = request.body.byteLength > 0 ? request.body.getUint8(0) : AF_UNSPEC;
  const wanted = network.messages.flatMap((told) => {
    const isWanted =
      told.type === type &&
      (type === nl.RTM_NEWLINK || family === AF_UNSPEC || told.body[0] === family);
    return isWanted ? [told.body] : [];
  });
  const datagrams: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for (const body of wanted) {
    const part = message(type, nl.NLM_F_MULTI, request.sequence, portId, body);
    if (bytes + part.length > DATAGRAM_BYTES && parts.length > 0) {
      datagrams.push(joined(parts));
      parts = [];
      bytes = 0;
    }
    parts.push(part);
    bytes += part.length;
  }
  if (parts.length > 0) datagrams.push(joined(parts));
  return [...datagrams, ...dump(request, portId, [], 0)];
}

function oneLink(network: TakenNetwork, request: NetlinkRequest, portId: number): Uint8Array {
  const { body } = request;
  const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  const index = bytes.length >= nl.IFINFOMSG_BYTES ? body.getInt32(4, true) : 0;
  const name = attributes(bytes, nl.IFINFOMSG_BYTES).get(nl.IFLA_IFNAME);
  const wanted = network.interfaces.find((each) =>
    index === 0 ? name !== undefined && isText(name, each.name) : each.index === index,
  );
  const told = network.messages.find(
    (each) =>
      each.type === nl.RTM_NEWLINK &&
      new DataView(each.body.buffer, each.body.byteOffset).getInt32(4, true) === wanted?.index,
  );
  if (wanted === undefined || told === undefined) return errorMessage(request, portId, ENODEV);
  return message(nl.RTM_NEWLINK, 0, request.sequence, portId, told.body);
}

function isText(bytes: Uint8Array, name: string): boolean {
  return Buffer.from(bytes).toString('latin1').split('\0', 1)[0] === name;
}

/** `ip route get`. */
function oneRoute(stack: NetworkStack, request: NetlinkRequest, portId: number): Uint8Array {
  const { body } = request;
  const bytes = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  const value = attributes(bytes, nl.RTMSG_BYTES).get(nl.RTA_DST);
  const family = bytes[0] as number;
  const lengthBytes = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  if (value === undefined || value.length !== lengthBytes)
    return errorMessage(request, portId, EOPNOTSUPP);
  const ip = String.fromCharCode(...value);
  const source = stack.sourceFor(ip);
  if (isErrno(source)) return errorMessage(request, portId, source);
  const isLocal = stack.isOwn(ip);
  const route = isLocal ? undefined : stack.routes.lookup(ip);
  const header = Uint8Array.of(
    family,
    lengthBytes * 8,
    0,
    0,
    isLocal ? 255 : nl.RT_TABLE_MAIN,
    0,
    0,
    isLocal ? nl.RTN_LOCAL : nl.RTN_UNICAST,
    0,
    0,
    0,
    0,
  );
  const parts = [
    header,
    attribute(nl.RTA_TABLE, u32(header[4] as number)),
    attribute(nl.RTA_DST, value),
  ];
  if (route?.gateway !== undefined) parts.push(attribute(nl.RTA_GATEWAY, text(route.gateway)));
  parts.push(attribute(nl.RTA_OIF, u32(route?.linkIndex ?? 1)));
  parts.push(attribute(nl.RTA_PREFSRC, text(source)));
  return message(nl.RTM_NEWROUTE, 0, request.sequence, portId, joined(parts));
}
