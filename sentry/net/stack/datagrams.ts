// SPDX-License-Identifier: Apache-2.0
// What is not TCP: UDP datagrams to sockets, ICMP and ICMPv6 (echo, errors, neighbour discovery),
// and copies for raw sockets.
import { EHOSTUNREACH, EMSGSIZE, isErrno, type SysResult } from '../../../abi/errno.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../../abi/socket.ts';
import type { Endpoint, IpAddress } from '../inet/address.ts';
import { isMulticast } from '../inet/address.ts';
import { addWords, checksum, fold, getU16, pseudoHeader, putU16, putU32 } from '../ip/checksum.ts';
import * as icmp from '../ip/icmp.ts';
import type { Packet } from '../ip/packet.ts';
import type { Link } from '../link/frame.ts';
import {
  defaultSendOptions,
  type PacketReceiver,
  type SendOptions,
  type Sockets,
  type StackHost,
} from './host.ts';
import { advertisementFrame, parseDiscovery, solicitedNode } from './neighbour-discovery.ts';
import type { NetworkStack } from './stack.ts';

const UDP_BYTES = 8;
/** Errors that we send: so many in a burst, and so many a second (net.ipv4.icmp_msgs_per_sec is for all). */
const ERROR_BURST = 50;
const ERRORS_A_SECOND = 100;
const allHosts: IpAddress = '\xe0\0\0\x01';
const allNodes: IpAddress = `\xff\x02${'\0'.repeat(13)}\x01`;

export class Datagrams {
  readonly #host: StackHost;
  readonly #stack: NetworkStack;
  readonly #sockets: Sockets;
  readonly #receivers = new Set<PacketReceiver>();
  /** The identifier that a ping socket got last. */
  #identifier = 0;
  #errorTokens = ERROR_BURST;
  #errorsSinceNs = 0;

  constructor(host: StackHost, stack: NetworkStack, sockets: Sockets) {
    this.#host = host;
    this.#stack = stack;
    this.#sockets = sockets;
  }

  addReceiver(receiver: PacketReceiver): void {
    this.#receivers.add(receiver);
  }

  removeReceiver(receiver: PacketReceiver): void {
    this.#receivers.delete(receiver);
  }

  /** An identifier for the echo requests of a ping socket. */
  newIdentifier(): number {
    this.#identifier = (this.#identifier % 0xffff) + 1;
    return this.#identifier;
  }

  isMember(group: IpAddress, link: Link): boolean {
    if (group === allHosts || group === allNodes) return true;
    return this.#stack.addresses.some(
      ({ ip, linkIndex }) =>
        linkIndex === link.index && ip.length === 16 && solicitedNode(ip) === group,
    );
  }

  /** Copies for raw and ping sockets. */
  tellRaw(packet: Packet, bytes: Uint8Array): void {
    for (const receiver of this.#receivers) receiver.packetArrived(packet, bytes);
  }

  receive(link: Link, packet: Packet, bytes: Uint8Array, isKnown: boolean): void {
    switch (packet.protocol) {
      case IPPROTO_UDP:
        this.tellRaw(packet, bytes);
        this.#receiveUdp(packet, bytes, isKnown);
        return;
      case IPPROTO_ICMP:
        if (packet.version === 4 && checksum(bytes, packet.payloadAt, packet.end) === 0)
          this.#receiveIcmp(packet, bytes);
        return;
      case IPPROTO_ICMPV6:
        if (packet.version === 6 && isSumRight6(packet, bytes))
          this.#receiveIcmp6(link, packet, bytes);
        return;
      default:
        this.tellRaw(packet, bytes);
    }
  }

  // UDP

  #receiveUdp(packet: Packet, bytes: Uint8Array, isKnown: boolean): void {
    const at = packet.payloadAt;
    if (packet.end - at < UDP_BYTES) return;
    const length = getU16(bytes, at + 4);
    if (length < UDP_BYTES || at + length > packet.end) return;
    const hasSum = getU16(bytes, at + 6) !== 0;
    if (!hasSum && packet.version === 6) return;
    const { source, destination } = packet;
    if (hasSum && !isKnown) {
      const sum = pseudoHeader(source, destination, IPPROTO_UDP, length);
      if (fold(addWords(bytes, at, at + length, sum)) !== 0xffff) return;
    }
    const payload = bytes.subarray(at + UDP_BYTES, at + length);
    const from = { ip: source, port: getU16(bytes, at) };
    const to = { ip: destination, port: getU16(bytes, at + 2) };
    if (!this.#stack.isOwn(destination)) {
      for (const each of this.#sockets.receivers(to, from)) each.arrived(payload, from, to, packet);
      return;
    }
    const receiver = this.#sockets.receiver(to, from);
    if (receiver !== undefined) receiver.arrived(payload, from, to, packet);
    else this.#sendError(packet, bytes, 'port');
  }

  /** Sends a datagram. `payload` as it is; its length, or an errno. */
  sendUdp(from: Endpoint, to: Endpoint, payload: Uint8Array, options: SendOptions): SysResult {
    const length = UDP_BYTES + payload.length;
    if (length > 65_535 - (from.ip.length === 4 ? 20 : 0)) return EMSGSIZE;
    const datagram = new Uint8Array(length);
    putU16(datagram, 0, from.port);
    putU16(datagram, 2, to.port);
    putU16(datagram, 4, length);
    datagram.set(payload, UDP_BYTES);
    const sum = pseudoHeader(from.ip, to.ip, IPPROTO_UDP, length);
    const value = checksum(datagram, 0, length, sum);
    putU16(datagram, 6, value === 0 ? 0xffff : value);
    const outgoing = { source: from.ip, destination: to.ip, protocol: IPPROTO_UDP, options };
    const sent = this.#stack.sendPacket(outgoing, datagram);
    return isErrno(sent) ? sent : payload.length;
  }

  // ICMP

  #receiveIcmp(packet: Packet, bytes: Uint8Array): void {
    this.tellRaw(packet, bytes);
    const at = packet.payloadAt;
    if (packet.end - at < icmp.ICMP_HEADER_BYTES) return;
    if (bytes[at] === icmp.ICMP_ECHO_REQUEST && this.#stack.isOwn(packet.destination)) {
      const reply = bytes.slice(at, packet.end);
      reply[0] = icmp.ICMP_ECHO_REPLY;
      putU16(reply, 2, 0);
      putU16(reply, 2, checksum(reply, 0, reply.length));
      this.#reply(packet, IPPROTO_ICMP, reply);
      return;
    }
    this.#receiveError(packet, bytes);
  }

  #receiveIcmp6(link: Link, packet: Packet, bytes: Uint8Array): void {
    const at = packet.payloadAt;
    this.tellRaw(packet, bytes);
    if (packet.end - at < icmp.ICMP_HEADER_BYTES) return;
    if (bytes[at] === icmp.ICMPV6_ECHO_REQUEST && this.#stack.isOwn(packet.destination)) {
      const reply = bytes.slice(at, packet.end);
      reply[0] = icmp.ICMPV6_ECHO_REPLY;
      this.#reply(packet, IPPROTO_ICMPV6, withSum6(reply, packet.destination, packet.source));
      return;
    }
    if (this.#receiveDiscovery(link, packet, bytes)) return;
    this.#receiveError(packet, bytes);
  }

  #reply(packet: Packet, protocol: number, payload: Uint8Array): void {
    const options = { ...defaultSendOptions, trafficClass: packet.trafficClass };
    const { source, destination } = packet;
    this.#stack.sendPacket(
      { source: destination, destination: source, protocol, options },
      payload,
    );
  }

  #receiveDiscovery(link: Link, packet: Packet, bytes: Uint8Array): boolean {
    const message = parseDiscovery(bytes, packet);
    if (message === undefined) return false;
    const { neighbours } = this.#stack;
    const { target, address } = message;
    if (!message.isSolicitation) {
      if (!this.#stack.isOwn(target) && address !== undefined)
        neighbours.learn(target, address, message.isSolicited, false);
      return true;
    }
    const isOurs = this.#stack.addresses.some(
      (own) => own.ip === target && own.linkIndex === link.index,
    );
    if (!isOurs) return true;
    const { source } = packet;
    // From no address: a question whether the address is taken (RFC 4862 5.4).
    const isProbe = source === '\0'.repeat(16);
    if (!isProbe && address !== undefined) neighbours.learn(source, address, false, true);
    const known = isProbe ? undefined : (address ?? neighbours.known(source));
    const to = known === undefined ? undefined : ([source, known] as const);
    const frame = advertisementFrame(link, target, to);
    link.transmit(frame, frame.length);
    return true;
  }

  #receiveError(packet: Packet, bytes: Uint8Array): void {
    const error = icmp.parseIcmpError(bytes, packet);
    if (error === undefined || !this.#stack.isOwn(error.source)) return;
    // A path's MTU is believed of what a socket of ours may have sent.
    if (error.mtu > 0) this.#stack.pathMtuChanged(error.destination, error.mtu);
    this.#tellError(error, bytes);
  }

  #tellError(error: icmp.IcmpError, bytes: Uint8Array): void {
    if (error.protocol === IPPROTO_TCP) {
      this.#stack.tcp.failed(error, bytes);
      return;
    }
    if (error.protocol === IPPROTO_UDP) {
      const local = { ip: error.source, port: getU16(bytes, error.transportAt) };
      const remote = { ip: error.destination, port: getU16(bytes, error.transportAt + 2) };
      this.#sockets.receiver(local, remote)?.failed(error, remote);
    }
    for (const receiver of this.#receivers) receiver.packetFailed(error, bytes);
  }

  /** A packet of ours could not be sent: nobody on the link answers. */
  unreachable(packet: Packet, bytes: Uint8Array): void {
    const { protocol, source, destination, payloadAt } = packet;
    if (packet.end - payloadAt < 8) return;
    this.#tellError(
      {
        protocol,
        source,
        destination,
        transportAt: payloadAt,
        errno: EHOSTUNREACH,
        isHard: false,
        mtu: 0,
        type: icmp.ICMP_UNREACHABLE,
        code: 1,
      },
      bytes,
    );
  }

  #sendError(packet: Packet, bytes: Uint8Array, _what: 'port'): void {
    if (isMulticast(packet.destination) || !this.#mayTell()) return;
    const quoted = bytes.subarray(
      packet.start,
      Math.min(packet.end, packet.start + icmp.MOST_QUOTED_BYTES),
    );
    // A packet that came in pieces has no header of its own any more.
    if (packet.start === packet.payloadAt) return;
    const message = new Uint8Array(icmp.ICMP_HEADER_BYTES + quoted.length);
    message.set(quoted, icmp.ICMP_HEADER_BYTES);
    putU32(message, 4, 0);
    if (packet.version === 4) {
      message[0] = icmp.ICMP_UNREACHABLE;
      message[1] = icmp.ICMP_PORT_UNREACHABLE;
      putU16(message, 2, checksum(message, 0, message.length));
      this.#reply(packet, IPPROTO_ICMP, message);
      return;
    }
    message[0] = icmp.ICMPV6_UNREACHABLE;
    message[1] = icmp.ICMPV6_PORT_UNREACHABLE;
    this.#reply(packet, IPPROTO_ICMPV6, withSum6(message, packet.destination, packet.source));
  }

  #mayTell(): boolean {
    const now = this.#host.nowNs();
    const earned = ((now - this.#errorsSinceNs) / 1e9) * ERRORS_A_SECOND;
    this.#errorTokens = Math.min(ERROR_BURST, this.#errorTokens + earned);
    this.#errorsSinceNs = now;
    if (this.#errorTokens < 1) return false;
    this.#errorTokens -= 1;
    return true;
  }

  /** A packet of a raw or ping socket to an address of the sandbox's own: nothing is sent for it. */
  loopBack(packet: Packet, bytes: Uint8Array): void {
    this.tellRaw(packet, bytes);
    const at = packet.payloadAt;
    const isRequest =
      (packet.protocol === IPPROTO_ICMP && bytes[at] === icmp.ICMP_ECHO_REQUEST) ||
      (packet.protocol === IPPROTO_ICMPV6 && bytes[at] === icmp.ICMPV6_ECHO_REQUEST);
    if (!isRequest || packet.end - at < icmp.ICMP_HEADER_BYTES) return;
    const reply = bytes.slice();
    const { source, destination } = packet;
    reply[at] = packet.version === 4 ? icmp.ICMP_ECHO_REPLY : icmp.ICMPV6_ECHO_REPLY;
    const message = reply.subarray(at);
    putU16(message, 2, 0);
    if (packet.version === 4) putU16(message, 2, checksum(message, 0, message.length));
    else withSum6(message, destination, source);
    this.tellRaw({ ...packet, source: destination, destination: source }, reply);
  }
}

/** A message of ICMPv6 with its checksum (RFC 4443 2.3). */
export function withSum6(
  message: Uint8Array,
  source: IpAddress,
  destination: IpAddress,
): Uint8Array {
  putU16(message, 2, 0);
  const sum = pseudoHeader(source, destination, IPPROTO_ICMPV6, message.length);
  putU16(message, 2, checksum(message, 0, message.length, sum));
  return message;
}

function isSumRight6({ source, destination, payloadAt, end }: Packet, bytes: Uint8Array): boolean {
  const sum = pseudoHeader(source, destination, IPPROTO_ICMPV6, end - payloadAt);
  return fold(addWords(bytes, payloadAt, end, sum)) === 0xffff;
}
