// SPDX-License-Identifier: Apache-2.0
// struct sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)), and which addresses the sandbox has: the
// loopback interface's. An IPv4-mapped IPv6 address is the IPv4 address it maps.
import { EAFNOSUPPORT, EINVAL, type Result } from '../../../abi/errno.ts';
import {
  AF_INET,
  AF_INET6,
  SIN6_LEN_RFC2133,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
} from '../../../abi/socket.ts';
import { familyOf } from '../socket.ts';

/** An IP address: 4 or 16 bytes as a byte string, so that it can be compared and be a key. */
export type IpAddress = string;

export interface Endpoint {
  readonly ip: IpAddress;
  readonly port: number;
}

export const anyV4: IpAddress = '\0\0\0\0';
export const anyV6: IpAddress = '\0'.repeat(16);
export const loopbackV4: IpAddress = '\x7f\0\0\x01';
export const loopbackV6: IpAddress = `${'\0'.repeat(15)}\x01`;
const mappedPrefix = `${'\0'.repeat(10)}\xff\xff`;

export const isV4 = (ip: IpAddress): boolean => ip.length === 4;
export const isAny = (ip: IpAddress): boolean => ip === anyV4 || ip === anyV6;
/** 127.0.0.0/8 and ::1. */
export const isLoopback = (ip: IpAddress): boolean =>
  ip === loopbackV6 || (isV4(ip) && ip.charCodeAt(0) === 0x7f);
/** 224.0.0.0/4 and ff00::/8. */
export const isMulticast = (ip: IpAddress): boolean =>
  isV4(ip) ? ip.charCodeAt(0) >= 224 && ip.charCodeAt(0) < 240 : ip.charCodeAt(0) === 0xff;
/** 255.255.255.255, and that of loopback. */
export const isBroadcast = (ip: IpAddress): boolean =>
  ip === '\xff\xff\xff\xff' || ip === '\x7f\xff\xff\xff';
/** The wildcard address of a socket's family. */
export const anyOf = (domain: number): IpAddress => (domain === AF_INET ? anyV4 : anyV6);

/** The address in `bytes` for a socket of `domain`. */
export function parseInetAddress(bytes: Uint8Array, domain: number): Result<Endpoint> {
  const family = familyOf(bytes);
  if (domain === AF_INET) {
    if (bytes.length < SOCKADDR_IN_BYTES) return EINVAL;
    if (family !== AF_INET) return EAFNOSUPPORT;
    return { ip: latin1(bytes.subarray(4, 8)), port: portOf(bytes) };
  }
  if (bytes.length < SIN6_LEN_RFC2133) return EINVAL;
  if (family !== AF_INET6) return EAFNOSUPPORT;
  return { ip: unmapped(latin1(bytes.subarray(8, 24))), port: portOf(bytes) };
}

/** Encodes the address in the form that a socket of `domain` shows. */
export function encodeInetAddress(endpoint: Endpoint, domain: number): Uint8Array {
  const { ip, port } = endpoint;
  if (domain === AF_INET) {
    const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
    bytes[0] = AF_INET;
    setPort(bytes, port);
    setBytes(bytes, 4, isV4(ip) ? ip : anyV4);
    return bytes;
  }
  const bytes = new Uint8Array(SOCKADDR_IN6_BYTES);
  bytes[0] = AF_INET6;
  setPort(bytes, port);
  setBytes(bytes, 8, isV4(ip) ? (ip === anyV4 ? anyV6 : mappedPrefix + ip) : ip);
  return bytes;
}

/** The IPv6 address that stands for an IPv4 one. */
export const mapped = (ip: IpAddress): IpAddress => mappedPrefix + ip;

function unmapped(ip: IpAddress): IpAddress {
  return ip.startsWith(mappedPrefix) ? ip.slice(mappedPrefix.length) : ip;
}

function portOf(bytes: Uint8Array): number {
  return ((bytes[2] as number) << 8) | (bytes[3] as number);
}

function setPort(bytes: Uint8Array, port: number): void {
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
}

function setBytes(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1) bytes[at + index] = text.charCodeAt(index);
}

/** The bytes as a byte string. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
