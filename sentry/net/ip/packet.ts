// SPDX-License-Identifier: Apache-2.0
// Headers of IPv4 (RFC 791) and IPv6 (RFC 8200): parsing what came, writing what goes.
import type { IpAddress } from '../inet/address.ts';
import { addressAt, checksum, getU16, getU32, putAddress, putU16, putU32 } from './checksum.ts';

export const IPV4_BYTES = 20;
export const IPV6_BYTES = 40;
export const IPV6_FRAGMENT_BYTES = 8;
/** Next headers of IPv6 (RFC 8200 4). */
const HOP_BY_HOP = 0;
const ROUTING = 43;
export const IPV6_FRAGMENT = 44;
const NO_NEXT = 59;
const DESTINATION_OPTIONS = 60;
/** More extension headers are no honest packet's. */
const MOST_EXTENSIONS = 8;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** A packet that has come. Offsets are into the buffer that it lies in. */
export interface Packet {
  readonly version: 4 | 6;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** IPPROTO_* of the payload. */
  readonly protocol: number;
  readonly hopLimit: number;
  /** TOS, or traffic class. */
  readonly trafficClass: number;
  /** Where its header begins. */
  readonly start: number;
  readonly payloadAt: number;
  readonly end: number;
  /** Undefined for a whole packet. */
  readonly fragment: Fragment | undefined;
}

export interface Fragment {
  readonly id: number;
  readonly offset: number;
  readonly hasMore: boolean;
}

/** Undefined for what is no packet of IPv4 that may be looked at. */
export function parseIpv4(bytes: Uint8Array, at: number, limit: number): Packet | undefined {
  if (limit - at < IPV4_BYTES || (bytes[at] as number) >> 4 !== 4) return undefined;
  const headerBytes = ((bytes[at] as number) & 15) * 4;
  const totalBytes = getU16(bytes, at + 2);
  if (headerBytes < IPV4_BYTES || totalBytes < headerBytes || at + totalBytes > limit)
    return undefined;
  if (checksum(bytes, at, at + headerBytes) !== 0) return undefined;
  // A route that the sender chose (RFC 7126: such packets are dropped).
  if (headerBytes > IPV4_BYTES && hasSourceRoute(bytes, at + IPV4_BYTES, at + headerBytes))
    return undefined;
  const flags = getU16(bytes, at + 6);
  const isPart = (flags & ~DONT_FRAGMENT & 0xffff) !== 0;
  return {
    version: 4,
    source: addressAt(bytes, at + 12, 4),
    destination: addressAt(bytes, at + 16, 4),
    protocol: bytes[at + 9] as number,
    hopLimit: bytes[at + 8] as number,
    trafficClass: bytes[at + 1] as number,
    start: at,
    payloadAt: at + headerBytes,
    end: at + totalBytes,
    fragment: isPart
      ? {
          id: getU16(bytes, at + 4),
          offset: (flags & 0x1fff) * 8,
          hasMore: (flags & MORE_FRAGMENTS) !== 0,
        }
      : undefined,
  };
}

/** LSRR (131) or SSRR (137), or options that cannot be read. */
function hasSourceRoute(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to) {
    const kind = bytes[at] as number;
    if (kind === 0) return false;
    if (kind === 131 || kind === 137) return true;
    if (kind === 1) at += 1;
    else {
      const length = at + 1 < to ? (bytes[at + 1] as number) : 0;
      if (length < 2 || at + length > to) return true;
      at += length;
    }
  }
  return false;
}

/** Undefined for what is no packet of IPv6 that may be looked at. */
export function parseIpv6(bytes: Uint8Array, at: number, limit: number): Packet | undefined {
  if (limit - at < IPV6_BYTES || (bytes[at] as number) >> 4 !== 6) return undefined;
  const end = at + IPV6_BYTES + getU16(bytes, at + 4);
  if (end > limit) return undefined;
  let protocol = bytes[at + 6] as number;
  let payloadAt = at + IPV6_BYTES;
  let fragment: Fragment | undefined;
  for (let count = 0; ; count += 1) {
    const isOptions = protocol === HOP_BY_HOP || protocol === DESTINATION_OPTIONS;
    if (!isOptions && protocol !== ROUTING && protocol !== IPV6_FRAGMENT) break;
    if (count === MOST_EXTENSIONS || payloadAt + 8 > end) return undefined;
    const next = bytes[payloadAt] as number;
    // A routing header that is not at its end asks for a way that the sender chose.
    if (protocol === ROUTING && bytes[payloadAt + 3] !== 0) return undefined;
    if (protocol === IPV6_FRAGMENT) {
      const field = getU16(bytes, payloadAt + 2);
      fragment = {
        id: getU32(bytes, payloadAt + 4),
        offset: field & 0xfff8,
        hasMore: (field & 1) !== 0,
      };
      payloadAt += IPV6_FRAGMENT_BYTES;
      protocol = next;
      break;
    }
    payloadAt += ((bytes[payloadAt + 1] as number) + 1) * 8;
    protocol = next;
  }
  if (payloadAt > end || protocol === NO_NEXT) return undefined;
  const isWhole = fragment !== undefined && fragment.offset === 0 && !fragment.hasMore;
  return {
    version: 6,
    source: addressAt(bytes, at + 8, 16),
    destination: addressAt(bytes, at + 24, 16),
    protocol,
    hopLimit: bytes[at + 7] as number,
    trafficClass: (((bytes[at] as number) & 15) << 4) | ((bytes[at + 1] as number) >> 4),
    start: at,
    payloadAt,
    end,
    // An atomic fragment is a whole packet (RFC 6946).
    fragment: isWhole ? undefined : fragment,
  };
}

/** The fields of a header that goes, besides addresses. */
export interface PacketOptions {
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly dontFragment: boolean;
}

export const headerBytesOf = (ip: IpAddress): number => (ip.length === 4 ? IPV4_BYTES : IPV6_BYTES);

/** Writes the header of a whole packet at `at`; `payloadBytes` follow it. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  [source, destination]: readonly [IpAddress, IpAddress],
  protocol: number,
  payloadBytes: number,
  options: PacketOptions,
  id: number,
): void {
  if (source.length === 4) {
    bytes[at] = 0x45;
    bytes[at + 1] = options.trafficClass;
    putU16(bytes, at + 2, IPV4_BYTES + payloadBytes);
    putU16(bytes, at + 4, id);
    putU16(bytes, at + 6, options.dontFragment ? DONT_FRAGMENT : 0);
    bytes[at + 8] = options.hopLimit;
    bytes[at + 9] = protocol;
    putU16(bytes, at + 10, 0);
    putAddress(bytes, at + 12, source);
    putAddress(bytes, at + 16, destination);
    putU16(bytes, at + 10, checksum(bytes, at, at + IPV4_BYTES));
    return;
  }
  putU32(bytes, at, 0x6000_0000 | (options.trafficClass << 20));
  putU16(bytes, at + 4, payloadBytes);
  bytes[at + 6] = protocol;
  bytes[at + 7] = options.hopLimit;
  putAddress(bytes, at + 8, source);
  putAddress(bytes, at + 24, destination);
}

/** Makes the header of IPv4 at `at` that of a fragment of `payloadBytes` from `offset` of the whole. */
export function makeFragment4(
  bytes: Uint8Array,
  at: number,
  payloadBytes: number,
  { offset, hasMore, id }: Fragment,
): void {
  putU16(bytes, at + 2, IPV4_BYTES + payloadBytes);
  putU16(bytes, at + 4, id & 0xffff);
  putU16(bytes, at + 6, (offset >> 3) | (hasMore ? MORE_FRAGMENTS : 0));
  putU16(bytes, at + 10, 0);
  putU16(bytes, at + 10, checksum(bytes, at, at + IPV4_BYTES));
}

/** Writes the fragment header of IPv6 at `at`. */
export function writeFragment6(
  bytes: Uint8Array,
  at: number,
  protocol: number,
  { offset, hasMore, id }: Fragment,
): void {
  bytes[at] = protocol;
  bytes[at + 1] = 0;
  putU16(bytes, at + 2, offset | (hasMore ? 1 : 0));
  putU32(bytes, at + 4, id);
}
