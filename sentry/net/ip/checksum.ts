// SPDX-License-Identifier: Apache-2.0
// The checksum of the Internet protocols (RFC 1071).
import type { IpAddress } from '../inet/address.ts';

/** Adds the 16-bit words of bytes[from..to) to `start`; an odd last byte counts as the high one. */
export function addWords(bytes: Uint8Array, from: number, to: number, start: number): number {
  let sum = start;
  const even = from + ((to - from) & ~1);
  for (let at = from; at < even; at += 2)
    sum += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return even < to ? sum + ((bytes[even] as number) << 8) : sum;
}

/** The sum in 16 bits, carries added. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

export function checksum(bytes: Uint8Array, from: number, to: number, start = 0): number {
  return ~fold(addWords(bytes, from, to, start)) & 0xffff;
}

/** The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1). */
export function pseudoHeader(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  lengthBytes: number,
): number {
  let sum = protocol + (lengthBytes & 0xffff) + (lengthBytes >>> 16);
  for (let at = 0; at < source.length; at += 2) {
    sum += (source.charCodeAt(at) << 8) | source.charCodeAt(at + 1);
    sum += (destination.charCodeAt(at) << 8) | destination.charCodeAt(at + 1);
  }
  return sum;
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >> 8) & 0xff;
  bytes[at + 1] = value & 0xff;
}

export function getU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function putAddress(bytes: Uint8Array, at: number, ip: IpAddress): void {
  for (let index = 0; index < ip.length; index += 1) bytes[at + index] = ip.charCodeAt(index);
}

export function addressAt(bytes: Uint8Array, at: number, lengthBytes: number): IpAddress {
  if (lengthBytes === 4) {
    return String.fromCharCode(
      bytes[at] as number,
      bytes[at + 1] as number,
      bytes[at + 2] as number,
      bytes[at + 3] as number,
    );
  }
  return String.fromCharCode(...bytes.subarray(at, at + lengthBytes));
}
