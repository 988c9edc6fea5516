// SPDX-License-Identifier: Apache-2.0
// Which way packets go: the longest prefix first, then the smallest metric.
import type { Errno } from '../../../abi/errno.ts';
import type { IpAddress } from '../inet/address.ts';

export interface Route {
  /** The network; all bits past the prefix are 0. */
  readonly destination: IpAddress;
  readonly prefixBits: number;
  /** Undefined: the destination is on the link. */
  readonly gateway: IpAddress | undefined;
  readonly linkIndex: number;
  /** The source address that it prefers. */
  readonly source: IpAddress | undefined;
  readonly metric: number;
  /** Packets are refused with this errno; undefined: they go. */
  readonly error: Errno | undefined;
}

export class RouteTable {
  readonly routes: readonly Route[];

  constructor(routes: readonly Route[]) {
    this.routes = [...routes].sort((a, b) => b.prefixBits - a.prefixBits || a.metric - b.metric);
  }

  /** The route to `ip`; with `linkIndex` not 0 only those of that link. */
  lookup(ip: IpAddress, linkIndex = 0): Route | undefined {
    return this.routes.find(
      (route) =>
        (linkIndex === 0 || route.linkIndex === linkIndex) &&
        isWithin(ip, route.destination, route.prefixBits),
    );
  }
}

/** Whether the first `prefixBits` bits of both are the same. */
export function isWithin(ip: IpAddress, network: IpAddress, prefixBits: number): boolean {
  if (ip.length !== network.length) return false;
  const whole = prefixBits >> 3;
  for (let at = 0; at < whole; at += 1)
    if (ip.charCodeAt(at) !== network.charCodeAt(at)) return false;
  const rest = prefixBits & 7;
  if (rest === 0) return true;
  return (ip.charCodeAt(whole) ^ network.charCodeAt(whole)) >> (8 - rest) === 0;
}

/** The address of an IPv4 network with all bits past the prefix set. */
export function broadcastOf(ip: IpAddress, prefixBits: number): IpAddress {
  let text = '';
  for (let at = 0; at < ip.length; at += 1) {
    const bits = Math.min(8, Math.max(0, prefixBits - at * 8));
    text += String.fromCharCode(ip.charCodeAt(at) | (0xff >> bits));
  }
  return text;
}
