// SPDX-License-Identifier: Apache-2.0
// The network stack of the sandbox: interfaces with their addresses, routes and neighbours; which
// packets are for us, and which way those of sockets go. Transports: tcp-layer.ts, datagrams.ts.
import {
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { IPPROTO_TCP } from '../../../abi/socket.ts';
import type { ByteRing } from '../../vfs/byte-ring.ts';
import { BufferSink } from '../../vfs/io.ts';
import { type IpAddress, isLoopback, isMulticast } from '../inet/address.ts';
import { ARP_FRAME_BYTES, ARPOP_REPLY, ARPOP_REQUEST, parseArp, writeArp } from '../ip/arp.ts';
import { addWords, fold, pseudoHeader, putU16 } from '../ip/checksum.ts';
import { NeighbourTable } from '../ip/neighbours.ts';
import {
  headerBytesOf,
  IPV6_FRAGMENT,
  IPV6_FRAGMENT_BYTES,
  makeFragment4,
  type Packet,
  parseIpv4,
  parseIpv6,
  writeFragment6,
  writeHeader,
} from '../ip/packet.ts';
import { Reassembly } from '../ip/reassembly.ts';
import { broadcastOf, isWithin, type Route, RouteTable } from '../ip/route-table.ts';
import {
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  etherType,
  FRAME_BYTES,
  type FrameReceiver,
  isChecksumKnown,
  type Link,
  NETWORK_AT,
  type Offload,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  writeEthernet,
  writeOffload,
} from '../link/frame.ts';
import { type Header, TCP_BYTES, writeSegment } from '../tcp/segment.ts';
import { Datagrams } from './datagrams.ts';
import type { Outgoing, Sockets, StackHost } from './host.ts';
import { groupAddress, solicitationFrame } from './neighbour-discovery.ts';
import { PathMtus } from './path-mtus.ts';
import { type PathConnection, type SegmentCarrier, TcpLayer } from './tcp-layer.ts';

export interface InterfaceAddress {
  readonly ip: IpAddress;
  readonly prefixBits: number;
  readonly linkIndex: number;
}

export interface StackConfig {
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
}

/** The way of a packet: the next hop and the link that it is on. */
interface Path {
  readonly link: Link;
  readonly nextHop: IpAddress;
}

const everyStation: Uint8Array = new Uint8Array(6).fill(0xff);
const allOnes: IpAddress = '\xff\xff\xff\xff';

export class NetworkStack implements FrameReceiver, SegmentCarrier {
  readonly tcp: TcpLayer;
  readonly datagrams: Datagrams;
  readonly neighbours: NeighbourTable;
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: RouteTable;
  readonly links: ReadonlyMap<number, Link>;
  readonly #host: StackHost;
  readonly #own = new Map<IpAddress, InterfaceAddress>();
  readonly #broadcasts = new Map<IpAddress, InterfaceAddress>();
  readonly #reassembly: Reassembly;
  readonly #pathMtus: PathMtus;
  /** A frame is built here, and is gone or copied when its building ends. */
  readonly #frame = new Uint8Array(FRAME_BYTES);
  #packetId = 1;
  /** Packets that came, went, were not for us or no packets; for /proc/net/snmp. */
  readonly counts = { received: 0, sent: 0, dropped: 0, forwarded: 0 };

  constructor(host: StackHost, config: StackConfig, sockets: Sockets) {
    this.#host = host;
    this.links = new Map(config.links.map((link) => [link.index, link]));
    this.addresses = config.addresses;
    for (const address of config.addresses) {
      this.#own.set(address.ip, address);
      if (address.ip.length === 4 && address.prefixBits < 31)
        this.#broadcasts.set(broadcastOf(address.ip, address.prefixBits), address);
    }
    this.routes = new RouteTable(config.routes);
    this.#reassembly = new Reassembly(host.account);
    this.#pathMtus = new PathMtus(() => host.nowNs());
    this.neighbours = new NeighbourTable({
      timers: host.timers,
      nowNs: () => host.nowNs(),
      solicit: (ip, at) => this.#solicit(ip, at),
    });
    this.tcp = new TcpLayer(host, this, sockets);
    this.datagrams = new Datagrams(host, this, sockets);
  }

  isOwn(ip: IpAddress): boolean {
    return this.#own.has(ip);
  }

  isBroadcast(ip: IpAddress): boolean {
    return ip === allOnes || this.#broadcasts.has(ip);
  }

  // In

  receiveFrame(link: Link, bytes: Uint8Array, length: number): void {
    const type = etherType(bytes);
    if (type === ETH_P_ARP) {
      this.#receiveArp(link, bytes, length);
      return;
    }
    const packet =
      type === ETH_P_IP
        ? parseIpv4(bytes, NETWORK_AT, length)
        : type === ETH_P_IPV6
          ? parseIpv6(bytes, NETWORK_AT, length)
          : undefined;
    if (packet === undefined) {
      this.counts.dropped += 1;
      return;
    }
    this.counts.received += 1;
    if (!this.#isForUs(packet, link)) {
      this.counts.dropped += 1;
      return;
    }
    this.#deliver(link, packet, bytes, isChecksumKnown(bytes));
  }

  endBatch(): void {
    this.tcp.endBatch();
  }

  /** No address that cannot be one's own is believed, and nothing is passed on. */
  #isForUs({ source, destination }: Packet, link: Link): boolean {
    if (isLoopback(source) || isMulticast(source) || this.isBroadcast(source)) return false;
    if (this.#own.has(source)) return false;
    // As Linux (a weak host): the address of any interface will do.
    if (this.#own.has(destination)) return true;
    if (this.isBroadcast(destination)) return true;
    return isMulticast(destination) && this.datagrams.isMember(destination, link);
  }

  #deliver(link: Link, packet: Packet, bytes: Uint8Array, isKnown: boolean): void {
    if (packet.fragment !== undefined) {
      const whole = this.#reassembly.add(packet, bytes, this.#host.nowNs());
      if (whole === undefined) return;
      const joined = { ...packet, payloadAt: 0, start: 0, end: whole.length, fragment: undefined };
      this.#deliver(link, joined, whole, false);
      return;
    }
    if (packet.protocol !== IPPROTO_TCP) {
      this.datagrams.receive(link, packet, bytes, isKnown);
      return;
    }
    this.datagrams.tellRaw(packet, bytes);
    if (!isKnown && !isSumRight(packet, bytes)) {
      this.tcp.counts.bad += 1;
      return;
    }
    if (this.#own.has(packet.destination)) this.tcp.receive(packet, bytes);
  }

  #receiveArp(link: Link, bytes: Uint8Array, length: number): void {
    const message = parseArp(bytes, length);
    if (message === undefined) return;
    const { operation, senderIp, senderAddress, targetIp } = message;
    if (this.#own.has(senderIp) || isMulticast(senderIp) || this.isBroadcast(senderIp)) return;
    const own = this.#own.get(targetIp);
    const isOurs = own?.linkIndex === link.index;
    // A question from 0.0.0.0 only looks whether the address is taken (RFC 5227).
    const isOnLink = this.#isOnLink(senderIp, link);
    if (isOnLink)
      this.neighbours.learn(senderIp, senderAddress, operation === ARPOP_REPLY && isOurs, isOurs);
    if (operation !== ARPOP_REQUEST || !isOurs) return;
    const to = senderAddress.slice();
    this.#sendArp(link, ARPOP_REPLY, targetIp, [to, senderIp], to);
  }

  #isOnLink(ip: IpAddress, link: Link): boolean {
    return this.addresses.some(
      (address) => address.linkIndex === link.index && isWithin(ip, address.ip, address.prefixBits),
    );
  }

  #sendArp(
    link: Link,
    operation: number,
    senderIp: IpAddress,
    target: readonly [Uint8Array | undefined, IpAddress],
    to: Uint8Array,
  ): void {
    const frame = new Uint8Array(ARP_FRAME_BYTES);
    writeArp(frame, operation, [link.address, senderIp], target);
    writeEthernet(frame, to, link.address, ETH_P_ARP);
    link.transmit(frame, frame.length);
  }

  #solicit(ip: IpAddress, at: Uint8Array | undefined): void {
    const route = this.routes.lookup(ip);
    const link = this.links.get(route?.linkIndex ?? 0);
    const source = this.sourceFor(ip);
    if (link === undefined || isErrno(source)) return;
    if (ip.length === 4) this.#sendArp(link, ARPOP_REQUEST, source, [at, ip], at ?? everyStation);
    else {
      const frame = solicitationFrame(link, source, ip, at);
      link.transmit(frame, frame.length);
    }
  }

  // Out

  /** The address that packets to `ip` are sent from; or why there are none. */
  sourceFor(ip: IpAddress, linkIndex = 0): Result<IpAddress> {
    if (this.#own.has(ip)) return ip;
    const route = this.#routeTo(ip, linkIndex);
    if (isErrno(route)) return route;
    if (route.source !== undefined && this.#own.has(route.source)) return route.source;
    const hop = route.gateway ?? ip;
    const onLink = this.addresses.filter((own) => own.linkIndex === route.linkIndex);
    const candidates = onLink.filter((own) => own.ip.length === ip.length && isUsable(own.ip, ip));
    const near = candidates.find((own) => isWithin(hop, own.ip, own.prefixBits));
    return near?.ip ?? candidates[0]?.ip ?? this.#anyAddress(ip);
  }

  #anyAddress(ip: IpAddress): Result<IpAddress> {
    const any = this.addresses.find((own) => own.ip.length === ip.length && isUsable(own.ip, ip));
    return any?.ip ?? ENETUNREACH;
  }

  #routeTo(ip: IpAddress, linkIndex: number): Result<Route> {
    const isGroup = isMulticast(ip) || ip === allOnes;
    const route = this.routes.lookup(ip, linkIndex);
    if (route === undefined && isGroup && linkIndex !== 0 && this.links.has(linkIndex))
      return onLinkRoute(ip, linkIndex);
    if (route === undefined) return ENETUNREACH;
    return route.error ?? route;
  }

  #pathTo(ip: IpAddress, linkIndex: number): Result<Path> {
    const route = this.#routeTo(ip, linkIndex);
    if (isErrno(route)) return route;
    const link = this.links.get(route.linkIndex);
    if (link === undefined) return ENETUNREACH;
    const isGroup = isMulticast(ip) || this.isBroadcast(ip);
    return { link, nextHop: isGroup ? ip : (route.gateway ?? ip) };
  }

  /** The longest packet to `ip` that is not cut on its way. */
  pathMtu(ip: IpAddress, linkIndex = 0): SysResult {
    const path = this.#pathTo(ip, linkIndex);
    if (isErrno(path)) return path;
    return Math.min(path.link.mtu, this.#pathMtus.get(ip));
  }

  /** A router told of a smaller link on the way to `ip`. */
  pathMtuChanged(ip: IpAddress, mtu: number): void {
    this.#pathMtus.set(ip, mtu);
  }

  confirm(remote: IpAddress): void {
    const route = this.routes.lookup(remote);
    this.neighbours.confirm(route?.gateway ?? remote);
  }

  /** SegmentCarrier. */
  segmentBytes(_local: IpAddress, remote: IpAddress): SysResult {
    const mtu = this.pathMtu(remote);
    return isErrno(mtu) ? mtu : mtu - headerBytesOf(remote) - TCP_BYTES;
  }

  /** SegmentCarrier. */
  sendSegment(
    path: PathConnection,
    header: Header,
    ring: ByteRing | undefined,
    skip: number,
    length: number,
    segmentBytes: number,
  ): boolean {
    const at = NETWORK_AT + headerBytesOf(path.localIp);
    const headerBytes = writeSegment(this.#frame, at, header);
    if (ring !== undefined && length > 0) {
      const start = at + headerBytes;
      const sink = new BufferSink(this.#frame.subarray(start, start + length));
      ring.peek(sink, length, skip);
    }
    return this.#sendTransport(path.localIp, path.remoteIp, headerBytes, length, segmentBytes);
  }

  /** SegmentCarrier. */
  sendBare(local: IpAddress, remote: IpAddress, header: Header): void {
    const at = NETWORK_AT + headerBytesOf(local);
    const headerBytes = writeSegment(this.#frame, at, header);
    this.#sendTransport(local, remote, headerBytes, 0, 0);
  }

  /** Sends the segment that lies in the frame. */
  #sendTransport(
    local: IpAddress,
    remote: IpAddress,
    headerBytes: number,
    length: number,
    segmentBytes: number,
  ): boolean {
    const path = this.#pathTo(remote, 0);
    if (isErrno(path)) return false;
    const frame = this.#frame;
    const networkBytes = headerBytesOf(local);
    const at = NETWORK_AT + networkBytes;
    const total = headerBytes + length;
    putU16(frame, at + 16, fold(pseudoHeader(local, remote, IPPROTO_TCP, total)));
    const isCut = length > segmentBytes && segmentBytes > 0;
    const kind = local.length === 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    const offload: Offload = {
      checksumStart: networkBytes,
      checksumOffset: 16,
      segmentation: isCut ? kind : VIRTIO_NET_HDR_GSO_NONE,
      segmentBytes,
      headerBytes: networkBytes + headerBytes,
    };
    const options = { hopLimit: 64, trafficClass: 0, dontFragment: true };
    this.#packetId = (this.#packetId + 1) & 0xffff;
    writeHeader(frame, NETWORK_AT, [local, remote], IPPROTO_TCP, total, options, this.#packetId);
    return this.#sendFrame(path, at + total, offload);
  }

  /** Sends the packet in the frame, whose length with all headers is `length`. */
  #sendFrame({ link, nextHop }: Path, length: number, offload: Offload | undefined): boolean {
    const frame = this.#frame;
    const type = nextHop.length === 4 ? ETH_P_IP : ETH_P_IPV6;
    writeOffload(frame, offload);
    const group = this.#groupAddress(nextHop);
    const address = group ?? this.neighbours.known(nextHop);
    this.counts.sent += 1;
    if (address !== undefined) {
      writeEthernet(frame, address, link.address, type);
      return link.transmit(frame, length);
    }
    const waiting = frame.slice(0, length);
    this.neighbours.resolve(nextHop, {
      lengthBytes: length,
      send: (found) => {
        writeEthernet(waiting, found, link.address, type);
        link.transmit(waiting, length);
      },
      failed: () => this.#unreachable(waiting, length),
    });
    return true;
  }

  #groupAddress(ip: IpAddress): Uint8Array | undefined {
    if (isMulticast(ip)) return groupAddress(ip);
    return this.isBroadcast(ip) ? everyStation : undefined;
  }

  /** Nobody answered for the next hop of a packet that waited. */
  #unreachable(frame: Uint8Array, length: number): void {
    const version = (frame[NETWORK_AT] as number) >> 4;
    const parse = version === 4 ? parseIpv4 : parseIpv6;
    const packet = parse(frame, NETWORK_AT, length);
    if (packet === undefined) return;
    if (packet.protocol === IPPROTO_TCP) this.tcp.unreachable(packet.destination);
    else this.datagrams.unreachable(packet, frame);
  }

  /**
   * Sends a packet with `payload`, whose checksum is right, cut into fragments where it is too
   * long. Its length, or an errno.
   */
  sendPacket({ source, destination, protocol, options }: Outgoing, payload: Uint8Array): SysResult {
    const path = this.#pathTo(destination, options.linkIndex);
    if (isErrno(path)) return path;
    const networkBytes = headerBytesOf(source);
    const mtu = Math.min(path.link.mtu, this.#pathMtus.get(destination));
    if (networkBytes + payload.length > 65_535 + (source.length === 4 ? 0 : 40)) return EMSGSIZE;
    this.#packetId = (this.#packetId + 1) & 0xffff;
    if (networkBytes + payload.length > mtu) {
      if (options.discover === 'do') return EMSGSIZE;
      return this.#sendFragments(path, { source, destination, protocol, options }, payload, mtu);
    }
    const { hopLimit, trafficClass, discover } = options;
    const said = { hopLimit, trafficClass, dontFragment: discover !== 'dont' };
    const ends = [source, destination] as const;
    writeHeader(this.#frame, NETWORK_AT, ends, protocol, payload.length, said, this.#packetId);
    this.#frame.set(payload, NETWORK_AT + networkBytes);
    const isSent = this.#sendFrame(path, NETWORK_AT + networkBytes + payload.length, undefined);
    return isSent ? payload.length : ENOBUFS;
  }

  #sendFragments(
    path: Path,
    { source, destination, protocol, options }: Outgoing,
    payload: Uint8Array,
    mtu: number,
  ): SysResult {
    const frame = this.#frame;
    const networkBytes = headerBytesOf(source);
    const extra = source.length === 4 ? 0 : IPV6_FRAGMENT_BYTES;
    const room = (mtu - networkBytes - extra) & ~7;
    const random = new Uint32Array(1);
    this.#host.randomFill(new Uint8Array(random.buffer));
    const id = random[0] as number;
    const said = { ...options, dontFragment: false };
    const next = extra === 0 ? protocol : IPV6_FRAGMENT;
    for (let offset = 0; offset < payload.length; offset += room) {
      const part = payload.subarray(offset, offset + room);
      const fragment = { id, offset, hasMore: offset + room < payload.length };
      const length = part.length + extra;
      writeHeader(frame, NETWORK_AT, [source, destination], next, length, said, id & 0xffff);
      const at = NETWORK_AT + networkBytes;
      if (extra === 0) makeFragment4(frame, NETWORK_AT, part.length, fragment);
      else writeFragment6(frame, at, protocol, fragment);
      frame.set(part, at + extra);
      if (!this.#sendFrame(path, at + extra + part.length, undefined)) return ENOBUFS;
    }
    return payload.length;
  }
}

/** A link-local address is for link-local and group destinations only. */
function isUsable(own: IpAddress, ip: IpAddress): boolean {
  if (own.length === 4) return true;
  return isLinkLocal(own) === (isLinkLocal(ip) || isMulticast(ip));
}

export function isLinkLocal(ip: IpAddress): boolean {
  return ip.length === 16 && ip.charCodeAt(0) === 0xfe && (ip.charCodeAt(1) & 0xc0) === 0x80;
}

function onLinkRoute(ip: IpAddress, linkIndex: number): Route {
  const gateway = undefined;
  const prefixBits = ip.length * 8;
  return {
    destination: ip,
    prefixBits,
    gateway,
    linkIndex,
    source: undefined,
    metric: 0,
    error: undefined,
  };
}

/** Whether the checksum of a transport with a pseudo-header is right. */
export function isSumRight(packet: Packet, bytes: Uint8Array): boolean {
  const { source, destination, protocol, payloadAt, end } = packet;
  const sum = pseudoHeader(source, destination, protocol, end - payloadAt);
  return fold(addWords(bytes, payloadAt, end, sum)) === 0xffff;
}
