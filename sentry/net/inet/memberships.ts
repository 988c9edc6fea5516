// SPDX-License-Identifier: Apache-2.0
// Multicast groups of sockets (ip(7), ipv6(7), RFC 3678). Differs from Linux: lo takes part where nothing
// else is named, as there is no other interface that could.
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EINVAL,
  ENOBUFS,
  ENODEV,
  ENOPROTOOPT,
  EPROTO,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { type IpAddress, isAny, isLoopback, isMulticast, isV4, latin1 } from './address.ts';
import { loopbackIndex } from './interface-ioctl.ts';

/** net.ipv4.igmp_max_memberships. */
const mostGroups = 20;
/** net.ipv4.igmp_max_msf. */
const mostSources = 10;
/** struct group_req and group_source_req. */
const groupRequestBytes = 136;
const sourceRequestBytes = 264;

/** The sources of a group: all but these, or these alone. */
interface Membership {
  readonly isInclusive: boolean;
  readonly sources: Set<IpAddress>;
}

type Action = 'join' | 'leave' | 'joinSource' | 'leaveSource' | 'block' | 'unblock';

interface Request {
  readonly action: Action;
  readonly group: IpAddress;
  readonly source: IpAddress;
}

/** How many sockets are in which group: only then packets to it arrive. */
export class GroupTable {
  readonly #members = new Map<IpAddress, number>();

  /** 224.0.0.1 and ff02::1 are joined by the interface itself. */
  isJoined(group: IpAddress): boolean {
    if (group === '\xe0\0\0\x01' || group === `\xff\x02${'\0'.repeat(13)}\x01`) return true;
    return this.#members.has(group);
  }

  add(group: IpAddress): void {
    this.#members.set(group, (this.#members.get(group) ?? 0) + 1);
  }

  remove(group: IpAddress): void {
    const count = (this.#members.get(group) ?? 0) - 1;
    if (count > 0) this.#members.set(group, count);
    else this.#members.delete(group);
  }
}

export class Memberships {
  readonly #table: GroupTable;
  readonly #groups = new Map<IpAddress, Membership>();

  constructor(table: GroupTable) {
    this.#table = table;
  }

  /** True where a packet from `source` to `group` is for the socket; `all`: IP_MULTICAST_ALL. */
  accepts(group: IpAddress, source: IpAddress, all: boolean): boolean {
    const membership = this.#groups.get(group);
    if (membership === undefined) return all;
    return membership.sources.has(source) === membership.isInclusive;
  }

  close(): void {
    for (const group of this.#groups.keys()) this.#table.remove(group);
    this.#groups.clear();
  }

  /** An option about groups; undefined for other options. */
  set(level: number, name: number, bytes: Uint8Array): SysResult | undefined {
    const request = parseRequest(level, name, bytes);
    if (request === undefined || isErrno(request)) return request;
    if (!isMulticast(request.group) || isV4(request.group) !== (level === so.SOL_IP)) return EINVAL;
    return this.#change(request);
  }

  #change({ action, group, source }: Request): SysResult {
    const membership = this.#groups.get(group);
    switch (action) {
      case 'join':
        if (membership !== undefined) return EADDRINUSE;
        return this.#join(group, false);
      case 'leave':
        if (membership === undefined) return EADDRNOTAVAIL;
        this.#leave(group);
        return 0;
      case 'joinSource':
        return this.#joinSource(group, source, membership);
      case 'leaveSource':
        if (membership === undefined) return EINVAL;
        if (!membership.isInclusive) return EINVAL;
        if (!membership.sources.delete(source)) return EADDRNOTAVAIL;
        if (membership.sources.size === 0) this.#leave(group);
        return 0;
      default:
        if (membership === undefined || membership.isInclusive) return EINVAL;
        return exclude(membership.sources, source, action === 'block');
    }
  }

  #join(group: IpAddress, isInclusive: boolean): SysResult {
    if (this.#groups.size >= mostGroups) return ENOBUFS;
    this.#groups.set(group, { isInclusive, sources: new Set() });
    this.#table.add(group);
    return 0;
  }

  #joinSource(group: IpAddress, source: IpAddress, old: Membership | undefined): SysResult {
    if (old !== undefined && !old.isInclusive && old.sources.size > 0) return EINVAL;
    if (old?.isInclusive === true) {
      if (old.sources.has(source)) return EADDRNOTAVAIL;
      if (old.sources.size >= mostSources) return ENOBUFS;
      old.sources.add(source);
      return 0;
    }
    if (old !== undefined) this.#leave(group);
    const joined = this.#join(group, true);
    if (!isErrno(joined)) this.#groups.get(group)?.sources.add(source);
    return joined;
  }

  #leave(group: IpAddress): void {
    this.#groups.delete(group);
    this.#table.remove(group);
  }
}

/** The answer of streams to options about groups, of which they have none; undefined for others. */
export function streamMembership(
  level: number,
  name: number,
  bytes: Uint8Array,
): SysResult | undefined {
  const request = parseRequest(level, name, bytes);
  if (request !== undefined) return isErrno(request) ? request : EPROTO;
  if (level === so.SOL_IP && name === so.IP_MULTICAST_IF) return EINVAL;
  return level === so.SOL_IPV6 && name === so.IPV6_MULTICAST_IF ? ENOPROTOOPT : undefined;
}

function parseRequest(level: number, name: number, bytes: Uint8Array): Result<Request> | undefined {
  if (level === so.SOL_IP) return parseV4(name, bytes);
  return level === so.SOL_IPV6 ? parseV6(name, bytes) : undefined;
}

function exclude(sources: Set<IpAddress>, source: IpAddress, isBlocked: boolean): SysResult {
  if (!isBlocked) return sources.delete(source) ? 0 : EADDRNOTAVAIL;
  if (sources.has(source)) return EADDRNOTAVAIL;
  if (sources.size >= mostSources) return ENOBUFS;
  sources.add(source);
  return 0;
}

const general: ReadonlyMap<number, Action> = new Map([
  [so.MCAST_JOIN_GROUP, 'join'],
  [so.MCAST_LEAVE_GROUP, 'leave'],
  [so.MCAST_JOIN_SOURCE_GROUP, 'joinSource'],
  [so.MCAST_LEAVE_SOURCE_GROUP, 'leaveSource'],
  [so.MCAST_BLOCK_SOURCE, 'block'],
  [so.MCAST_UNBLOCK_SOURCE, 'unblock'],
]);

const ofIpv4: ReadonlyMap<number, Action> = new Map([
  [so.IP_ADD_MEMBERSHIP, 'join'],
  [so.IP_DROP_MEMBERSHIP, 'leave'],
  [so.IP_ADD_SOURCE_MEMBERSHIP, 'joinSource'],
  [so.IP_DROP_SOURCE_MEMBERSHIP, 'leaveSource'],
  [so.IP_BLOCK_SOURCE, 'block'],
  [so.IP_UNBLOCK_SOURCE, 'unblock'],
]);

function parseV4(name: number, bytes: Uint8Array): Result<Request> | undefined {
  const action = ofIpv4.get(name);
  if (action === undefined) return parseGeneral(name, bytes, so.AF_INET);
  const address = (at: number): IpAddress => latin1(bytes.subarray(at, at + 4));
  if (action === 'join' || action === 'leave') {
    if (bytes.length < 8) return EINVAL;
    const index = bytes.length >= 12 ? u32(bytes, 8) : 0;
    const known = onLoopback(address(4), index);
    return isErrno(known) ? known : { action, group: address(0), source: '' };
  }
  if (bytes.length !== 12) return EINVAL;
  const known = onLoopback(address(4), 0);
  return isErrno(known) ? known : { action, group: address(0), source: address(8) };
}

/** ip_mc_find_dev: the interface of that number, else that of the address. */
function onLoopback(ip: IpAddress, index: number): SysResult {
  if (index !== 0) return index === loopbackIndex ? 0 : ENODEV;
  return isAny(ip) || isLoopback(ip) ? 0 : ENODEV;
}

function parseV6(name: number, bytes: Uint8Array): Result<Request> | undefined {
  if (name !== so.IPV6_ADD_MEMBERSHIP && name !== so.IPV6_DROP_MEMBERSHIP)
    return parseGeneral(name, bytes, so.AF_INET6);
  if (bytes.length < 20) return EINVAL;
  const index = u32(bytes, 16);
  if (index !== 0 && index !== loopbackIndex) return ENODEV;
  const action = name === so.IPV6_ADD_MEMBERSHIP ? 'join' : 'leave';
  return { action, group: latin1(bytes.subarray(0, 16)), source: '' };
}

function parseGeneral(
  name: number,
  bytes: Uint8Array,
  domain: number,
): Result<Request> | undefined {
  const action = general.get(name);
  if (action === undefined) return undefined;
  const needsSource = action !== 'join' && action !== 'leave';
  if (bytes.length < (needsSource ? sourceRequestBytes : groupRequestBytes)) return EINVAL;
  const group = groupAddress(bytes, 8, domain);
  const source = needsSource ? groupAddress(bytes, 136, domain) : '';
  if (group === undefined) return EINVAL;
  if (source === undefined) return EADDRNOTAVAIL;
  const index = u32(bytes, 0);
  return index === 0 || index === loopbackIndex ? { action, group, source } : ENODEV;
}

/** The address of a struct sockaddr_storage; undefined where it is of another family. */
function groupAddress(bytes: Uint8Array, at: number, domain: number): IpAddress | undefined {
  if (bytes[at] !== domain || bytes[at + 1] !== 0) return undefined;
  return domain === so.AF_INET
    ? latin1(bytes.subarray(at + 4, at + 8))
    : latin1(bytes.subarray(at + 8, at + 24));
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
}

/** Where a socket sends multicast packets (IP_MULTICAST_IF, IPV6_MULTICAST_IF, IP_UNICAST_IF). */
export class OutgoingInterface {
  /** The address that was named, for getsockopt. */
  address: IpAddress = '\0\0\0\0';
  /** lo was named: packets arrive even without IP_MULTICAST_LOOP. */
  isNamed = false;
  #index6 = 0;
  #unicast = 0;

  get(level: number, name: number): Uint8Array | undefined {
    if (level === so.SOL_IP && name === so.IP_MULTICAST_IF)
      return Uint8Array.from(this.address, (char) => char.charCodeAt(0));
    if (level === so.SOL_IPV6 && name === so.IPV6_MULTICAST_IF)
      return new Uint8Array(Int32Array.of(this.#index6).buffer);
    const isUnicast =
      (level === so.SOL_IP && name === so.IP_UNICAST_IF) ||
      (level === so.SOL_IPV6 && name === so.IPV6_UNICAST_IF);
    if (!isUnicast) return undefined;
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, this.#unicast);
    return new Uint8Array(view.buffer);
  }

  /** undefined: another option. */
  set(level: number, name: number, bytes: Uint8Array): SysResult | undefined {
    if (level === so.SOL_IP && name === so.IP_MULTICAST_IF) return this.#setV4(bytes);
    if (level === so.SOL_IPV6 && name === so.IPV6_MULTICAST_IF) {
      if (bytes.length < 4) return EINVAL;
      const index = u32(bytes, 0);
      if (index !== 0 && index !== loopbackIndex) return ENODEV;
      this.#index6 = index;
      this.isNamed = index !== 0;
      return 0;
    }
    const isUnicast =
      (level === so.SOL_IP && name === so.IP_UNICAST_IF) ||
      (level === so.SOL_IPV6 && name === so.IPV6_UNICAST_IF);
    return isUnicast ? this.#setUnicast(bytes) : undefined;
  }

  #setV4(bytes: Uint8Array): SysResult {
    if (bytes.length < 4) return EINVAL;
    const address = latin1(bytes.length >= 8 ? bytes.subarray(4, 8) : bytes.subarray(0, 4));
    const index = bytes.length >= 12 ? u32(bytes, 8) : 0;
    if (index !== 0 && index !== loopbackIndex) return EADDRNOTAVAIL;
    if (index === 0 && !isAny(address) && !isLoopback(address)) return EADDRNOTAVAIL;
    this.address = address;
    this.isNamed = index !== 0 || !isAny(address);
    return 0;
  }

  #setUnicast(bytes: Uint8Array): SysResult {
    if (bytes.length !== 4) return EINVAL;
    const index = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    if (index !== 0 && index !== loopbackIndex) return EADDRNOTAVAIL;
    this.#unicast = index;
    return 0;
  }
}
