// SPDX-License-Identifier: Apache-2.0
// The Sentry's own rtnetlink socket on the host: asks for links, addresses, routes, neighbours and rules.
import type { Result } from '../../../abi/errno.ts';
import * as nl from '../../../abi/netlink.ts';
import { attribute, joined } from '../netlink/route-message.ts';
import type { HostMessage, HostNetlink } from './host-netlink.ts';

/**
 * Sizes of the fixed parts: struct ifinfomsg, ifaddrmsg, rtmsg, ndmsg, fib_rule_hdr. All begin with
 * the family.
 */
const headerBytes: ReadonlyMap<number, number> = new Map([
  [nl.RTM_GETLINK, nl.IFINFOMSG_BYTES],
  [nl.RTM_GETADDR, nl.IFADDRMSG_BYTES],
  [nl.RTM_GETROUTE, nl.RTMSG_BYTES],
  [nl.RTM_GETNEIGH, nl.RTMSG_BYTES],
  [nl.RTM_GETRULE, nl.RTMSG_BYTES],
]);

export class RouteSocket {
  readonly #host: HostNetlink;

  constructor(host: HostNetlink) {
    this.#host = host;
  }

  /** True for the requests that `dump` knows. */
  static canDump(type: number): boolean {
    return headerBytes.has(type);
  }

  dump(type: number, family: number): Result<HostMessage[]> {
    const body = new Uint8Array(headerBytes.get(type) ?? nl.RTMSG_BYTES);
    body[0] = family;
    return this.#host.ask(type, nl.NLM_F_DUMP, body);
  }

  /** The route to an address of 4 or 16 bytes: one message. `flags`: RTM_F_*. */
  routeTo(family: number, address: Uint8Array, flags: number): Result<HostMessage[]> {
    const header = new DataView(new ArrayBuffer(nl.RTMSG_BYTES));
    header.setUint8(0, family);
    header.setUint8(1, address.length * 8);
    header.setUint32(8, flags, true);
    const body = joined([new Uint8Array(header.buffer), attribute(nl.RTA_DST, address)]);
    return this.#host.ask(nl.RTM_GETROUTE, 0, body);
  }
}
