// SPDX-License-Identifier: Apache-2.0
// The MTUs of paths that routers have told (RFC 1191, RFC 8201). Only so many are remembered, and
// only so long.
import type { IpAddress } from '../inet/address.ts';

/** net.ipv4.route.mtu_expires. */
const LIFETIME_NS = 600e9;
const MOST_PATHS = 256;
/** net.ipv4.route.min_pmtu; IPv6 has no link below 1280. */
const LEAST_MTU = 552;
const LEAST_MTU_6 = 1280;

export class PathMtus {
  readonly #paths = new Map<IpAddress, { readonly mtu: number; readonly untilNs: number }>();
  readonly #nowNs: () => number;

  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
  }

  /** Infinity where nothing is known. */
  get(ip: IpAddress): number {
    const found = this.#paths.get(ip);
    if (found === undefined) return Number.POSITIVE_INFINITY;
    if (found.untilNs > this.#nowNs()) return found.mtu;
    this.#paths.delete(ip);
    return Number.POSITIVE_INFINITY;
  }

  set(ip: IpAddress, mtu: number): void {
    const least = ip.length === 4 ? LEAST_MTU : LEAST_MTU_6;
    if (mtu >= this.get(ip)) return;
    this.#paths.delete(ip);
    for (const oldest of this.#paths.keys()) {
      if (this.#paths.size < MOST_PATHS) break;
      this.#paths.delete(oldest);
    }
    this.#paths.set(ip, { mtu: Math.max(mtu, least), untilNs: this.#nowNs() + LIFETIME_NS });
  }
}
