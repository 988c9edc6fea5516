// SPDX-License-Identifier: Apache-2.0
// ICMP (RFC 792) and ICMPv6 (RFC 4443): what errors mean to a socket, and which packet they are about.
import {
  EACCES,
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  ENONET,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
  type Errno,
} from '../../../abi/errno.ts';
import type { IpAddress } from '../inet/address.ts';
import { addressAt, getU16, getU32 } from './checksum.ts';
import type { Packet } from './packet.ts';

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER = 12;
export const ICMP_PORT_UNREACHABLE = 3;
const ICMP_PROTOCOL_UNREACHABLE = 2;
const ICMP_FRAGMENTATION_NEEDED = 4;

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const ICMPV6_PORT_UNREACHABLE = 4;

export const ICMP_HEADER_BYTES = 8;
/** RFC 1812 4.3.2.3: an error carries so much of the packet; with its headers 576 bytes. */
export const MOST_QUOTED_BYTES = 528;

/** An error that came about a packet of ours. */
export interface IcmpError {
  /** IPPROTO_* of the packet that it is about. */
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Where its transport's header lies; at least eight bytes of it are there. */
  readonly transportAt: number;
  readonly errno: Errno;
  /** It ends connections that are being made; others outlive it. */
  readonly isHard: boolean;
  /** The next hop's MTU; 0: not told. */
  readonly mtu: number;
  readonly type: number;
  readonly code: number;
}

/** icmp_err_convert of Linux, by the code of "destination unreachable". */
const unreachable4: readonly (readonly [errno: Errno, isHard: boolean])[] = [
  [ENETUNREACH, false],
  [EHOSTUNREACH, false],
  [ENOPROTOOPT, true],
  [ECONNREFUSED, true],
  [EMSGSIZE, false],
  [EOPNOTSUPP, false],
  [ENETUNREACH, true],
  [EHOSTDOWN, true],
  [ENONET, true],
  [ENETUNREACH, true],
  [EHOSTUNREACH, true],
  [ENETUNREACH, false],
  [EHOSTUNREACH, false],
  [EHOSTUNREACH, true],
  [EHOSTUNREACH, true],
  [EHOSTUNREACH, true],
];

/** tab_unreach of Linux. */
const unreachable6: readonly (readonly [errno: Errno, isHard: boolean])[] = [
  [ENETUNREACH, false],
  [EACCES, true],
  [EHOSTUNREACH, false],
  [EHOSTUNREACH, false],
  [ECONNREFUSED, true],
  [EACCES, true],
  [EACCES, true],
];

/** The error that a message of ICMP is, or undefined. The message is whole, and its checksum right. */
export function parseIcmpError(bytes: Uint8Array, packet: Packet): IcmpError | undefined {
  const at = packet.payloadAt;
  if (packet.end - at < ICMP_HEADER_BYTES) return undefined;
  const type = bytes[at] as number;
  const code = bytes[at + 1] as number;
  const meaning =
    packet.version === 4
      ? meaning4(type, code, getU16(bytes, at + 6))
      : meaning6(type, code, getU32(bytes, at + 4));
  if (meaning === undefined) return undefined;
  const about = quoted(bytes, at + ICMP_HEADER_BYTES, packet.end, packet.version);
  return about === undefined ? undefined : { ...about, ...meaning, type, code };
}

type Meaning = Pick<IcmpError, 'errno' | 'isHard' | 'mtu'>;

function meaning4(type: number, code: number, mtu: number): Meaning | undefined {
  if (type === ICMP_TIME_EXCEEDED) return { errno: EHOSTUNREACH, isHard: false, mtu: 0 };
  if (type === ICMP_PARAMETER) return { errno: EPROTO, isHard: true, mtu: 0 };
  if (type !== ICMP_UNREACHABLE) return undefined;
  const found = unreachable4[code];
  if (found === undefined) return undefined;
  return {
    errno: found[0],
    isHard: found[1] || code === ICMP_PROTOCOL_UNREACHABLE,
    // A router that does not tell is older than RFC 1191.
    mtu: code === ICMP_FRAGMENTATION_NEEDED ? Math.max(mtu, 576) : 0,
  };
}

function meaning6(type: number, code: number, mtu: number): Meaning | undefined {
  if (type === ICMPV6_TIME_EXCEEDED) return { errno: EHOSTUNREACH, isHard: false, mtu: 0 };
  if (type === ICMPV6_PARAMETER) return { errno: EPROTO, isHard: true, mtu: 0 };
  if (type === ICMPV6_TOO_BIG) return { errno: EMSGSIZE, isHard: false, mtu: Math.max(mtu, 1280) };
  if (type !== ICMPV6_UNREACHABLE) return undefined;
  const found = unreachable6[code];
  return found === undefined ? undefined : { errno: found[0], isHard: found[1], mtu: 0 };
}

type About = Pick<IcmpError, 'protocol' | 'source' | 'destination' | 'transportAt'>;

/** The start of a packet of ours that an error carries. */
function quoted(bytes: Uint8Array, at: number, end: number, version: 4 | 6): About | undefined {
  const isSame = end > at && (bytes[at] as number) >> 4 === version;
  if (!isSame) return undefined;
  const headerBytes = version === 4 ? ((bytes[at] as number) & 15) * 4 : 40;
  if (headerBytes < 20 || end - at < headerBytes + 8) return undefined;
  const length = version === 4 ? 4 : 16;
  const addresses = at + (version === 4 ? 12 : 8);
  return {
    protocol: bytes[at + (version === 4 ? 9 : 6)] as number,
    source: addressAt(bytes, addresses, length),
    destination: addressAt(bytes, addresses + length, length),
    transportAt: at + headerBytes,
  };
}
