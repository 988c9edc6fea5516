// SPDX-License-Identifier: Apache-2.0
// A network as the launcher took it over (native/launcher/link.c): messages of rtnetlink, as the
// host's kernel answered them, and what the stack makes of them.
import { EACCES, EHOSTUNREACH, EINVAL, type Errno } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import type { NetworkInterface } from '../../kernel/network.ts';
import { attributes, parseLink } from '../host-inet/link.ts';
import type { IpAddress } from '../inet/address.ts';
import type { Route } from '../ip/route-table.ts';
import type { InterfaceAddress } from './stack.ts';

/** A message without its header. */
export interface ToldMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

export interface TakenNetwork {
  readonly messages: readonly ToldMessage[];
  /** All, lo too. */
  readonly interfaces: readonly NetworkInterface[];
  /** But those of lo. */
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly TakenNeighbour[];
}

export interface TakenNeighbour {
  readonly ip: IpAddress;
  readonly address: Uint8Array;
  readonly isPermanent: boolean;
}

/** The host's loopback devices. */
const ARPHRD_LOOPBACK = 772;
const ETHERNET_ADDRESS_BYTES = 6;

export function parseTaken(bytes: Uint8Array): TakenNetwork {
  const messages = split(bytes);
  const of = (type: number): Uint8Array[] =>
    messages.flatMap((message) => (message.type === type ? [message.body] : []));
  const interfaces = of(nl.RTM_NEWLINK).flatMap((body) => parseLink(body) ?? []);
  const loopbacks = new Set(
    interfaces.flatMap(({ type, index }) => (type === ARPHRD_LOOPBACK ? [index] : [])),
  );
  return {
    messages,
    interfaces,
    addresses: of(nl.RTM_NEWADDR)
      .flatMap((body) => parseAddress(body) ?? [])
      .filter(({ linkIndex }) => !loopbacks.has(linkIndex)),
    routes: of(nl.RTM_NEWROUTE)
      .flatMap((body) => parseRoute(body) ?? [])
      .filter(({ linkIndex }) => !loopbacks.has(linkIndex)),
    neighbours: of(nl.RTM_NEWNEIGH).flatMap((body) => parseNeighbour(body) ?? []),
  };
}

function split(bytes: Uint8Array): ToldMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: ToldMessage[] = [];
  let at = 0;
  while (at + nl.nlmsghdr.size <= bytes.length) {
    const length = view.getUint32(at + nl.nlmsghdr.length, true);
    if (length < nl.nlmsghdr.size || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + nl.nlmsghdr.type, true),
      body: bytes.slice(at + nl.nlmsghdr.size, at + length),
    });
    at += Math.ceil(length / 4) * 4;
  }
  return messages;
}

function addressBytesOf(family: number): number {
  return family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
}

function ipOf(value: Uint8Array | undefined, lengthBytes: number): IpAddress | undefined {
  if (value === undefined || lengthBytes === 0 || value.length !== lengthBytes) return undefined;
  return String.fromCharCode(...value);
}

function u32Of(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || value.length < 4) return undefined;
  return new DataView(value.buffer, value.byteOffset).getUint32(0, true);
}

function parseAddress(body: Uint8Array): InterfaceAddress | undefined {
  if (body.length < nl.IFADDRMSG_BYTES) return undefined;
  const told = attributes(body, nl.IFADDRMSG_BYTES);
  const lengthBytes = addressBytesOf(body[0] as number);
  const ip = ipOf(told.get(nl.IFA_LOCAL) ?? told.get(nl.IFA_ADDRESS), lengthBytes);
  if (ip === undefined) return undefined;
  const linkIndex = new DataView(body.buffer, body.byteOffset).getUint32(4, true);
  return { ip, prefixBits: body[1] as number, linkIndex };
}

const routeErrors: ReadonlyMap<number, Errno | undefined> = new Map([
  [nl.RTN_UNICAST, undefined],
  [nl.RTN_BLACKHOLE, EINVAL],
  [nl.RTN_UNREACHABLE, EHOSTUNREACH],
  [nl.RTN_PROHIBIT, EACCES],
]);

/** Those of the main table. Of a route with several ways none is taken but the first. */
function parseRoute(body: Uint8Array): Route | undefined {
  if (body.length < nl.RTMSG_BYTES) return undefined;
  const told = attributes(body, nl.RTMSG_BYTES);
  const table = u32Of(told.get(nl.RTA_TABLE)) ?? (body[4] as number);
  const type = body[7] as number;
  if (table !== nl.RT_TABLE_MAIN || !routeErrors.has(type)) return undefined;
  const lengthBytes = addressBytesOf(body[0] as number);
  if (lengthBytes === 0) return undefined;
  return {
    destination: ipOf(told.get(nl.RTA_DST), lengthBytes) ?? '\0'.repeat(lengthBytes),
    prefixBits: body[1] as number,
    gateway: ipOf(told.get(nl.RTA_GATEWAY), lengthBytes),
    linkIndex: u32Of(told.get(nl.RTA_OIF)) ?? 0,
    source: ipOf(told.get(nl.RTA_PREFSRC), lengthBytes),
    metric: u32Of(told.get(nl.RTA_PRIORITY)) ?? 0,
    error: routeErrors.get(type),
  };
}

function parseNeighbour(body: Uint8Array): TakenNeighbour | undefined {
  if (body.length < nl.NDMSG_BYTES) return undefined;
  const told = attributes(body, nl.NDMSG_BYTES);
  const ip = ipOf(told.get(nl.NDA_DST), addressBytesOf(body[0] as number));
  const address = told.get(nl.NDA_LLADDR);
  const state = new DataView(body.buffer, body.byteOffset).getUint16(8, true);
  if (ip === undefined || address?.length !== ETHERNET_ADDRESS_BYTES) return undefined;
  if ((state & nl.NUD_NOARP) !== 0) return undefined;
  return { ip, address, isPermanent: (state & nl.NUD_PERMANENT) !== 0 };
}
