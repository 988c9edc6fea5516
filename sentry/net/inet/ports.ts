// SPDX-License-Identifier: Apache-2.0
// Who is bound to which port: one table for TCP, one for UDP.
import type { Settings } from '../../base/settings.ts';
import { anyV4, anyV6, type Endpoint, type IpAddress, isAny, isV4 } from './address.ts';

/** The properties of a bound socket that the table uses. */
export interface PortUser {
  /** Bound address; a wildcard for any. */
  readonly localIp: IpAddress;
  /** An IPv6 socket bound to :: that takes no IPv4 (IPV6_V6ONLY). */
  readonly onlyV6: boolean;
  readonly ownerUid: number;
  readonly mayShareAddress: boolean;
  readonly mayShareByReusePort: boolean;
}

export class PortTable<User extends PortUser> {
  readonly #users = new Map<number, Set<User>>();
  #next = 0;

  /** Sockets bound to `port`. */
  at(port: number): Iterable<User> {
    return this.#users.get(port) ?? [];
  }

  all(): Iterable<User> {
    return [...this.#users.values()].flatMap((users) => [...users]);
  }

  /** False where another socket has the port for itself. */
  isFree(port: number, wanted: PortUser): boolean {
    for (const user of this.at(port)) if (user !== wanted && conflicts(user, wanted)) return false;
    return true;
  }

  add(port: number, user: User): void {
    let users = this.#users.get(port);
    if (users === undefined) {
      users = new Set();
      this.#users.set(port, users);
    }
    users.add(user);
  }

  remove(port: number, user: User): void {
    const users = this.#users.get(port);
    users?.delete(user);
    if (users?.size === 0) this.#users.delete(port);
  }

  /**
   * A port of `range` that nobody uses, else one whose users all suit `isShareable`; 0 when there is
   * none.
   */
  ephemeral(
    range: PortRange,
    isShareable: (port: number, users: Iterable<User>) => boolean,
  ): number {
    const { first, last } = range;
    if (this.#next < first || this.#next > last) this.#next = first;
    const count = last - first + 1;
    for (let tries = 0; tries < count; tries += 1) {
      const port = this.#advance(range);
      if (!this.#users.has(port)) return port;
    }
    for (let tries = 0; tries < count; tries += 1) {
      const port = this.#advance(range);
      if (isShareable(port, this.at(port))) return port;
    }
    return 0;
  }

  #advance({ first, last }: PortRange): number {
    const port = this.#next;
    this.#next = port >= last ? first : port + 1;
    return port;
  }
}

/** The ports that sockets get which ask for none. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** net.ipv4.ip_local_port_range, narrowed by IP_LOCAL_PORT_RANGE (its bounds in two halves). */
export function portRange(settings: Settings, wanted: number): PortRange {
  const range = settings.text('net.ipv4.ip_local_port_range').split('\t').map(Number);
  const [first = 0, last = 0] = range;
  const low = wanted & 0xffff;
  const high = wanted >>> 16;
  return {
    first: low >= first && low <= last ? low : first,
    last: high >= first && high <= last ? high : last,
  };
}

function conflicts(a: PortUser, b: PortUser): boolean {
  if (!overlap(a, b)) return false;
  if (a.mayShareAddress && b.mayShareAddress) return false;
  return !(a.mayShareByReusePort && b.mayShareByReusePort && a.ownerUid === b.ownerUid);
}

/** True where some packet's destination would suit both. */
function overlap(a: PortUser, b: PortUser): boolean {
  if (a.localIp === b.localIp) return true;
  if (isAny(a.localIp) && isAny(b.localIp)) return !(a.onlyV6 || b.onlyV6);
  return accepts(a, b.localIp) || accepts(b, a.localIp);
}

/** True where a socket bound as `user` takes what is sent to `ip`. */
export function accepts(user: PortUser, ip: IpAddress): boolean {
  if (user.localIp === ip) return true;
  if (user.localIp === anyV4) return isV4(ip);
  if (user.localIp === anyV6) return !isV4(ip) || !user.onlyV6;
  return false;
}

/**
 * Returns the user of a port to whom a packet goes: the one with the best score (negative: not at
 * all). Of several that share the port by SO_REUSEPORT, one is chosen by the packet's addresses, so
 * that packets of one sender stay together (reuseport_select_sock).
 */
export function bestUser<User extends PortUser>(
  users: Iterable<User>,
  to: Endpoint,
  from: Endpoint,
  scoreOf: (user: User) => number,
): User | undefined {
  let best: User[] = [];
  let bestScore = 0;
  for (const user of users) {
    const score = scoreOf(user);
    if (score > bestScore) best = [];
    if (score >= bestScore) best.push(user);
    bestScore = Math.max(bestScore, score);
  }
  const group = best.filter((user) => user.mayShareByReusePort);
  // Of several that have the address by SO_REUSEADDR the last one gets what comes.
  if (group.length < 2) return best.at(-1);
  return group[hashOf(`${to.ip}:${to.port}:${from.ip}:${from.port}`) % group.length];
}

/** FNV-1a, folded so that every bit of the ports counts. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
