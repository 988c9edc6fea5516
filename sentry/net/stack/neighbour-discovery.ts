// SPDX-License-Identifier: Apache-2.0
// Neighbour discovery of IPv6 (RFC 4861): solicitations and advertisements, and the Ethernet
// addresses of groups.
import { IPPROTO_ICMPV6 } from '../../../abi/socket.ts';
import { type IpAddress, isMulticast } from '../inet/address.ts';
import { addressAt, checksum, pseudoHeader, putAddress, putU16 } from '../ip/checksum.ts';
import { IPV6_BYTES, type Packet, writeHeader } from '../ip/packet.ts';
import { ETH_P_IPV6, type Link, NETWORK_AT, writeEthernet } from '../link/frame.ts';

export const ND_SOLICITATION = 135;
export const ND_ADVERTISEMENT = 136;
/** Type, code, checksum, flags, target, and one option with a hardware address. */
const MESSAGE_BYTES = 32;
const SOURCE_OPTION = 1;
const TARGET_OPTION = 2;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;
const HOP_LIMIT = 255;
const allNodes: IpAddress = `\xff\x02${'\0'.repeat(13)}\x01`;

export interface DiscoveryMessage {
  readonly isSolicitation: boolean;
  readonly isSolicited: boolean;
  readonly target: IpAddress;
  /** Lies in the packet; undefined where none is told. */
  readonly address: Uint8Array | undefined;
}

/** Undefined for what RFC 4861 7.1 has thrown away. The checksum is right. */
export function parseDiscovery(bytes: Uint8Array, packet: Packet): DiscoveryMessage | undefined {
  const at = packet.payloadAt;
  const type = bytes[at] as number;
  if (packet.hopLimit !== HOP_LIMIT || packet.end - at < 24 || bytes[at + 1] !== 0)
    return undefined;
  if (type !== ND_SOLICITATION && type !== ND_ADVERTISEMENT) return undefined;
  const target = addressAt(bytes, at + 8, 16);
  if (isMulticast(target)) return undefined;
  const wanted = type === ND_SOLICITATION ? SOURCE_OPTION : TARGET_OPTION;
  let address: Uint8Array | undefined;
  for (let option = at + 24; option < packet.end; ) {
    const lengthBytes = option + 1 < packet.end ? (bytes[option + 1] as number) * 8 : 0;
    if (lengthBytes === 0 || option + lengthBytes > packet.end) return undefined;
    if (bytes[option] === wanted) address = bytes.subarray(option + 2, option + 8);
    option += lengthBytes;
  }
  const isSolicited = ((bytes[at + 4] as number) & FLAG_SOLICITED) !== 0;
  return { isSolicitation: type === ND_SOLICITATION, isSolicited, target, address };
}

/** The group that listens for questions about `ip` (RFC 4291 2.7.1). */
export function solicitedNode(ip: IpAddress): IpAddress {
  return `\xff\x02${'\0'.repeat(9)}\x01\xff${ip.slice(13)}`;
}

/** The Ethernet address of a group (RFC 1112 6.4, RFC 2464 7). */
export function groupAddress(ip: IpAddress): Uint8Array {
  const code = (at: number): number => ip.charCodeAt(at);
  return ip.length === 4
    ? Uint8Array.of(0x01, 0x00, 0x5e, code(1) & 0x7f, code(2), code(3))
    : Uint8Array.of(0x33, 0x33, code(12), code(13), code(14), code(15));
}

/** A frame that asks who has `ip`: the group, or the one at `at`. */
export function solicitationFrame(
  link: Link,
  source: IpAddress,
  ip: IpAddress,
  at: Uint8Array | undefined,
): Uint8Array {
  const destination = at === undefined ? solicitedNode(ip) : ip;
  const to = at ?? groupAddress(destination);
  const message = newMessage(ND_SOLICITATION, 0, ip, SOURCE_OPTION, link.address);
  return discoveryFrame(link, [source, destination], message, to);
}

/** A frame that says that `target` is here. `to` undefined: to everybody. */
export function advertisementFrame(
  link: Link,
  target: IpAddress,
  to: readonly [IpAddress, Uint8Array] | undefined,
): Uint8Array {
  const flags = FLAG_OVERRIDE | (to === undefined ? 0 : FLAG_SOLICITED);
  const message = newMessage(ND_ADVERTISEMENT, flags, target, TARGET_OPTION, link.address);
  const [ip, address] = to ?? [allNodes, groupAddress(allNodes)];
  return discoveryFrame(link, [target, ip], message, address);
}

function newMessage(
  type: number,
  flags: number,
  target: IpAddress,
  option: number,
  address: Uint8Array,
): Uint8Array {
  const message = new Uint8Array(MESSAGE_BYTES);
  message[0] = type;
  message[4] = flags;
  putAddress(message, 8, target);
  message[24] = option;
  message[25] = 1;
  message.set(address, 26);
  return message;
}

function discoveryFrame(
  link: Link,
  ends: readonly [IpAddress, IpAddress],
  message: Uint8Array,
  to: Uint8Array,
): Uint8Array {
  const frame = new Uint8Array(NETWORK_AT + IPV6_BYTES + MESSAGE_BYTES);
  const sum = pseudoHeader(ends[0], ends[1], IPPROTO_ICMPV6, MESSAGE_BYTES);
  putU16(message, 2, checksum(message, 0, MESSAGE_BYTES, sum));
  const options = { hopLimit: HOP_LIMIT, trafficClass: 0, dontFragment: false };
  writeHeader(frame, NETWORK_AT, ends, IPPROTO_ICMPV6, MESSAGE_BYTES, options, 0);
  frame.set(message, NETWORK_AT + IPV6_BYTES);
  writeEthernet(frame, to, link.address, ETH_P_IPV6);
  return frame;
}
