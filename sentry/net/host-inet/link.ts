// SPDX-License-Identifier: Apache-2.0
// What an RTM_NEWLINK message tells of an interface (rtnetlink(7), linux/if_link.h).
import * as nl from '../../../abi/netlink.ts';
import { getU64 } from '../../../abi/time.ts';
import type { NetworkInterface } from '../../kernel/network.ts';

/** IF_OPER_* of RFC 2863, as /sys/class/net/X/operstate says them. */
const operationStates = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
];

/** The attributes of a message that has a fixed part of `from` bytes; the last one of a type. */
export function attributes(body: Uint8Array, from: number): Map<number, Uint8Array> {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const found = new Map<number, Uint8Array>();
  let at = from;
  while (at + 4 <= body.length) {
    const lengthBytes = view.getUint16(at, true);
    if (lengthBytes < 4 || at + lengthBytes > body.length) break;
    found.set(view.getUint16(at + 2, true) & 0x3fff, body.subarray(at + 4, at + lengthBytes));
    at += Math.ceil(lengthBytes / 4) * 4;
  }
  return found;
}

/** undefined for a message that is none. */
export function parseLink(body: Uint8Array): NetworkInterface | undefined {
  if (body.length < nl.IFINFOMSG_BYTES) return undefined;
  const header = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const told = attributes(body, nl.IFINFOMSG_BYTES);
  const name = text(told.get(nl.IFLA_IFNAME));
  if (name === '' || name === '.' || name === '..' || name.includes('/')) return undefined;
  const index = header.getInt32(4, true);
  return {
    name,
    index,
    type: header.getUint16(2, true),
    flags: header.getUint32(8, true),
    linkIndex: number(told.get(nl.IFLA_LINK)) ?? index,
    mtu: number(told.get(nl.IFLA_MTU)) ?? 0,
    queueLength: number(told.get(nl.IFLA_TXQLEN)) ?? 0,
    address: hardwareAddress(told.get(nl.IFLA_ADDRESS)),
    broadcast: hardwareAddress(told.get(nl.IFLA_BROADCAST)),
    addressBytes: told.get(nl.IFLA_ADDRESS)?.length ?? 0,
    carrier: told.get(nl.IFLA_CARRIER)?.[0] ?? 0,
    state: operationStates[told.get(nl.IFLA_OPERSTATE)?.[0] ?? 0] ?? 'unknown',
    counters: counters(told.get(nl.IFLA_STATS64)),
  };
}

/** struct rtnl_link_stats64: u64 each, in this order; the first ones of many. */
const counterNames = [
  'rx_packets',
  'tx_packets',
  'rx_bytes',
  'tx_bytes',
  'rx_errors',
  'tx_errors',
  'rx_dropped',
  'tx_dropped',
  'multicast',
  'collisions',
];

function counters(value: Uint8Array | undefined): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  if (value === undefined) return found;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  counterNames.forEach((name, place) => {
    if (place * 8 + 8 <= value.length) found.set(name, getU64(view, place * 8));
  });
  return found;
}

function number(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || value.length < 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
}

function text(value: Uint8Array | undefined): string {
  return (
    Buffer.from(value ?? [])
      .toString('latin1')
      .split('\0', 1)[0] ?? ''
  );
}

function hardwareAddress(value: Uint8Array | undefined): string {
  return Array.from(value ?? [], (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
