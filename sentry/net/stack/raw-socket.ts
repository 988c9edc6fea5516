// SPDX-License-Identifier: Apache-2.0
// Raw sockets (raw(7)) and ping sockets (icmp(7)) over the stack. What goes to the sandbox's own
// addresses comes back without a frame: an echo request is answered here.
import {
  EAGAIN,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOPROTOOPT,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { FIONREAD, SIOCOUTQ } from '../../../abi/ioctl.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import * as so from '../../../abi/socket.ts';
import { chargedTo } from '../../base/charged-to.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { type Sink, type Source, takeAll } from '../../vfs/io.ts';
import {
  anyOf,
  anyV4,
  anyV6,
  type Endpoint,
  encodeInetAddress,
  type IpAddress,
  isAny,
  isLoopback,
  loopbackV4,
  loopbackV6,
  parseInetAddress,
} from '../inet/address.ts';
import { DatagramInbox } from '../inet/datagram-inbox.ts';
import { isPing } from '../inet/protocols.ts';
import { checksum, getU16, putU16 } from '../ip/checksum.ts';
import * as icmp from '../ip/icmp.ts';
import { headerBytesOf, type Packet, parseIpv4, writeHeader } from '../ip/packet.ts';
import {
  type ControlMessage,
  familyOf,
  type Received,
  type SendControl,
  Socket,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import { withSum6 } from './datagrams.ts';
import type { PacketReceiver, SendOptions } from './host.ts';
import type { NetworkStack } from './stack.ts';

const MOST_BYTES = 65_535;

/** Options that are kept, with the value that an untouched socket has. */
const known: ReadonlyMap<number, number> = new Map([
  [key(so.SOL_IP, so.IP_TTL), 64],
  [key(so.SOL_IP, so.IP_TOS), 0],
  [key(so.SOL_IP, so.IP_HDRINCL), 0],
  [key(so.SOL_IP, so.IP_MTU_DISCOVER), 1],
  [key(so.SOL_IP, so.IP_RECVTTL), 0],
  [key(so.SOL_IP, so.IP_RECVERR), 0],
  [key(so.SOL_IP, so.IP_RETOPTS), 0],
  [key(so.SOL_IP, so.IP_MULTICAST_TTL), 1],
  [key(so.SOL_IP, so.IP_MULTICAST_LOOP), 1],
  [key(so.SOL_IPV6, so.IPV6_UNICAST_HOPS), 64],
  [key(so.SOL_IPV6, so.IPV6_MULTICAST_HOPS), 1],
  [key(so.SOL_IPV6, so.IPV6_MULTICAST_LOOP), 1],
  [key(so.SOL_IPV6, so.IPV6_RECVHOPLIMIT), 0],
  [key(so.SOL_IPV6, so.IPV6_RECVERR), 0],
  [key(so.SOL_IPV6, so.IPV6_MTU_DISCOVER), 1],
  [key(so.SOL_IPV6, so.IPV6_TCLASS), 0],
  [key(so.SOL_IPV6, so.IPV6_V6ONLY), 1],
  [key(so.SOL_RAW, so.IPV6_CHECKSUM), -1],
]);

function key(level: number, name: number): number {
  return level * 65_536 + name;
}

export interface RawKind {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
}

export class RawSocket extends Socket implements PacketReceiver {
  readonly domain: number;
  readonly type: number;
  readonly #kernel: SocketKernel;
  readonly #stack: NetworkStack;
  readonly #account: MemoryAccount = currentAccount();
  readonly #sandboxAccount: MemoryAccount;
  readonly #inbox = new DatagramInbox();
  /** The control messages of each message of the inbox. */
  readonly #controls: (readonly ControlMessage[])[] = [];
  readonly #values = new Map<number, number>();
  /** Types of ICMP that do not come: a bit each (ICMP_FILTER has 32, ICMPV6_FILTER 256). */
  #filter: Uint8Array = new Uint8Array(0);
  #localIp: IpAddress;
  /** The identifier of a ping socket's echo requests. */
  #identifier = 0;
  #remote: Endpoint | undefined;
  #error = 0;

  constructor(
    kind: RawKind,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    stack: NetworkStack,
    sandboxAccount: MemoryAccount,
  ) {
    super(flags, kind.protocol, credentials, kernel.clock);
    this.options.useDefaults(kernel.settings);
    this.domain = kind.domain;
    this.type = kind.type;
    this.#kernel = kernel;
    this.#stack = stack;
    this.#sandboxAccount = sandboxAccount;
    this.#localIp = anyOf(kind.domain);
    stack.datagrams.addReceiver(this);
  }

  get #isPing(): boolean {
    return this.type === so.SOCK_DGRAM;
  }

  get #version(): 4 | 6 {
    return this.domain === so.AF_INET ? 4 : 6;
  }

  #value(level: number, name: number): number {
    const at = key(level, name);
    return this.#values.get(at) ?? known.get(at) ?? 0;
  }

  override close(): void {
    this.#stack.datagrams.removeReceiver(this);
    this.#inbox.clear();
    this.#controls.length = 0;
  }

  // Names

  override bind(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    const wanted = parseInetAddress(bytes, this.domain);
    if (isErrno(wanted)) return wanted;
    const { ip, port } = wanted;
    if (!isAny(ip) && !isLoopback(ip) && !this.#stack.isOwn(ip)) return EINVAL;
    this.#localIp = ip;
    if (this.#isPing) this.#identifier = port === 0 ? this.#stack.datagrams.newIdentifier() : port;
    return 0;
  }

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    if (familyOf(bytes) === 0) {
      this.#remote = undefined;
      return 0;
    }
    const to = parseInetAddress(bytes, this.domain);
    if (isErrno(to)) return to;
    const source = this.#sourceFor(to.ip);
    if (isErrno(source)) return source;
    this.#remote = to;
    this.#localIp = source;
    if (this.#isPing && this.#identifier === 0)
      this.#identifier = this.#stack.datagrams.newIdentifier();
    return 0;
  }

  override localAddress(): Uint8Array {
    const port = this.#isPing ? this.#identifier : this.protocol;
    return encodeInetAddress({ ip: this.#localIp, port }, this.domain);
  }

  override peerAddress(): Result<Uint8Array> {
    return this.#remote === undefined
      ? ENOTCONN
      : encodeInetAddress({ ip: this.#remote.ip, port: 0 }, this.domain);
  }

  #sourceFor(ip: IpAddress): Result<IpAddress> {
    if (!isAny(this.#localIp)) return this.#localIp;
    if (isLoopback(ip)) return ip.length === 4 ? loopbackV4 : loopbackV6;
    return this.#stack.sourceFor(ip);
  }

  // Out

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    _control: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & so.MSG_OOB) !== 0) return EOPNOTSUPP;
    const lengthBytes = source.remaining;
    if (lengthBytes > MOST_BYTES) return EMSGSIZE;
    const to = address === undefined ? this.#remote : parseInetAddress(address, this.domain);
    if (to === undefined) return EDESTADDRREQ;
    if (isErrno(to)) return to;
    if (!MessageInbox.hasRoom(lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(lengthBytes);
    if (lengthBytes > 0 && takeAll(source, bytes) < lengthBytes) return EFAULT;
    const sent = this.#transmit(wildcardIsHere(to.ip), bytes);
    return isErrno(sent) ? sent : lengthBytes;
  }

  #transmit(ip: IpAddress, bytes: Uint8Array): SysResult {
    if (this.#version === 4 && this.#value(so.SOL_IP, so.IP_HDRINCL) !== 0)
      return this.#transmitWithHeader(ip, bytes);
    const source = this.#sourceFor(ip);
    if (isErrno(source)) return source;
    if (ip.length !== source.length) return EINVAL;
    const payload = this.#isPing
      ? this.#echoRequest(bytes, source, ip)
      : this.#summed(bytes, source, ip);
    if (isErrno(payload)) return payload;
    const options = this.#sendOptions();
    return this.#route({ source, destination: ip, protocol: this.protocol, options }, payload);
  }

  #route(
    outgoing: { source: IpAddress; destination: IpAddress; protocol: number; options: SendOptions },
    payload: Uint8Array,
  ): SysResult {
    const { destination } = outgoing;
    if (!isLoopback(destination) && !this.#stack.isOwn(destination))
      return this.#stack.sendPacket(outgoing, payload);
    const { source, protocol, options } = outgoing;
    const at = headerBytesOf(source);
    const bytes = new Uint8Array(at + payload.length);
    const said = { ...options, dontFragment: true };
    writeHeader(bytes, 0, [source, destination], protocol, payload.length, said, 0);
    bytes.set(payload, at);
    this.#stack.datagrams.loopBack(
      {
        version: this.#version,
        source,
        destination,
        protocol,
        hopLimit: options.hopLimit,
        trafficClass: options.trafficClass,
        start: 0,
        payloadAt: at,
        end: bytes.length,
        fragment: undefined,
      },
      bytes,
    );
    return payload.length;
  }

  #sendOptions(): SendOptions {
    const is4 = this.#version === 4;
    const hops = is4
      ? this.#value(so.SOL_IP, so.IP_TTL)
      : this.#value(so.SOL_IPV6, so.IPV6_UNICAST_HOPS);
    const trafficClass = is4
      ? this.#value(so.SOL_IP, so.IP_TOS)
      : this.#value(so.SOL_IPV6, so.IPV6_TCLASS);
    const discover = is4
      ? this.#value(so.SOL_IP, so.IP_MTU_DISCOVER)
      : this.#value(so.SOL_IPV6, so.IPV6_MTU_DISCOVER);
    return {
      hopLimit: hops > 0 && hops < 256 ? hops : 64,
      trafficClass: trafficClass & 0xff,
      discover: discover === 2 || discover === 3 ? 'do' : discover === 0 ? 'dont' : 'want',
      linkIndex: 0,
    };
  }

  /** The program's header says where to and what; the source is ours where it says none. */
  #transmitWithHeader(ip: IpAddress, bytes: Uint8Array): SysResult {
    if (bytes.length < 20) return EINVAL;
    const copy = bytes.slice();
    const source = this.#sourceFor(ip);
    if (isErrno(source)) return source;
    putU16(copy, 2, copy.length);
    const saysNone = copy.subarray(12, 16).every((byte) => byte === 0);
    for (let at = 0; saysNone && at < 4; at += 1) copy[12 + at] = source.charCodeAt(at);
    putU16(copy, 10, 0);
    putU16(copy, 10, checksum(copy, 0, Math.min(((copy[0] as number) & 15) * 4, copy.length)));
    const packet = parseIpv4(copy, 0, copy.length);
    // As another station may not be played, the source has to be ours.
    if (packet === undefined || packet.fragment !== undefined) return EINVAL;
    if (packet.source !== source) return EINVAL;
    const { hopLimit, trafficClass, protocol } = packet;
    const options: SendOptions = { hopLimit, trafficClass, discover: 'want', linkIndex: 0 };
    const payload = copy.subarray(packet.payloadAt, packet.end);
    return this.#route({ source, destination: packet.destination, protocol, options }, payload);
  }

  /** Only echo requests go by a ping socket; the kernel has its number in them. */
  #echoRequest(bytes: Uint8Array, source: IpAddress, to: IpAddress): Result<Uint8Array> {
    if (bytes.length < icmp.ICMP_HEADER_BYTES) return EINVAL;
    const wanted = this.#version === 4 ? icmp.ICMP_ECHO_REQUEST : icmp.ICMPV6_ECHO_REQUEST;
    if (bytes[0] !== wanted || bytes[1] !== 0) return EINVAL;
    if (this.#identifier === 0) this.#identifier = this.#stack.datagrams.newIdentifier();
    putU16(bytes, 4, this.#identifier);
    if (this.#version === 6) return withSum6(bytes, source, to);
    putU16(bytes, 2, 0);
    putU16(bytes, 2, checksum(bytes, 0, bytes.length));
    return bytes;
  }

  /** The kernel sums ICMPv6 itself (RFC 3542 3.1). */
  #summed(bytes: Uint8Array, source: IpAddress, to: IpAddress): Result<Uint8Array> {
    const isIcmp6 = this.#version === 6 && this.protocol === so.IPPROTO_ICMPV6;
    if (!isIcmp6) return bytes;
    return bytes.length < 4 ? EINVAL : withSum6(bytes, source, to);
  }

  // In

  /** PacketReceiver. */
  packetArrived(packet: Packet, bytes: Uint8Array): void {
    if (packet.version !== this.#version || packet.protocol !== this.protocol) return;
    if (!isAny(this.#localIp) && packet.destination !== this.#localIp) return;
    if (this.#remote !== undefined && this.#remote.ip !== packet.source) return;
    if (this.#isPing ? !this.#isReply(packet, bytes) : this.#isFiltered(packet, bytes)) return;
    const isWhole = !this.#isPing && packet.version === 4;
    const from = isWhole ? packet.start : packet.payloadAt;
    const length = packet.end - from;
    if (this.#inbox.queuedBytes > this.options.receiveBufferBytes) return;
    chargedTo(this.#account, this.#sandboxAccount, () => {
      if (MessageInbox.hasRoom(length)) this.#put(packet, bytes.slice(from, packet.end));
    });
  }

  #isReply(packet: Packet, bytes: Uint8Array): boolean {
    const at = packet.payloadAt;
    const wanted = packet.version === 4 ? icmp.ICMP_ECHO_REPLY : icmp.ICMPV6_ECHO_REPLY;
    const isLong = packet.end - at >= icmp.ICMP_HEADER_BYTES;
    return isLong && bytes[at] === wanted && getU16(bytes, at + 4) === this.#identifier;
  }

  #isFiltered(packet: Packet, bytes: Uint8Array): boolean {
    if (!isPing(this.protocol) || packet.end <= packet.payloadAt) return false;
    const type = bytes[packet.payloadAt] as number;
    return ((this.#filter[type >> 3] ?? 0) & (1 << (type & 7))) !== 0;
  }

  #put(packet: Packet, bytes: Uint8Array): void {
    this.#controls.push(this.#controlOf(packet));
    this.#inbox.put(bytes, packet.source, this.domain);
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  #controlOf({ hopLimit }: Packet): readonly ControlMessage[] {
    const data = new Uint8Array(Int32Array.of(hopLimit).buffer);
    if (this.#version === 4 && this.#value(so.SOL_IP, so.IP_RECVTTL) !== 0)
      return [{ level: so.SOL_IP, type: so.IP_TTL, data }];
    if (this.#version === 6 && this.#value(so.SOL_IPV6, so.IPV6_RECVHOPLIMIT) !== 0)
      return [{ level: so.SOL_IPV6, type: so.IPV6_HOPLIMIT, data }];
    return [];
  }

  /** PacketReceiver. */
  packetFailed(error: icmp.IcmpError, bytes: Uint8Array): void {
    const isOurs =
      error.protocol === this.protocol &&
      this.#remote?.ip === error.destination &&
      (!this.#isPing || getU16(bytes, error.transportAt + 4) === this.#identifier);
    if (!isOurs || !error.isHard) return;
    this.#error = -error.errno;
    this.queue.notify(POLLERR);
  }

  override takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & so.MSG_OOB) !== 0) return EOPNOTSUPP;
    if (this.#error !== 0) return -this.takeError();
    if (this.#inbox.count === 0) return EAGAIN;
    received.messages = this.#controls[0] ?? [];
    const count = this.#inbox.take(sink, flags, received);
    if (!isErrno(count) && (flags & so.MSG_PEEK) === 0) this.#controls.shift();
    return count;
  }

  override poll(): number {
    let events = POLLOUT | POLLWRNORM;
    if (this.#inbox.count > 0) events |= POLLIN | POLLRDNORM;
    if (this.#error !== 0) events |= POLLERR;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) return caller.memory.writeU32(argument, this.#inbox.nextBytes);
    if (command === SIOCOUTQ) return caller.memory.writeU32(argument, 0);
    return this.#kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
  }

  // Options

  #isFilterOption(level: number, name: number): boolean {
    if (this.type !== so.SOCK_RAW) return false;
    return this.#version === 4
      ? level === so.SOL_RAW && name === so.ICMP_FILTER
      : level === so.SOL_ICMPV6 && name === so.ICMPV6_FILTER;
  }

  override getOption(level: number, name: number): Result<Uint8Array> {
    const filterBytes = this.#version === 4 ? 4 : 32;
    if (this.#isFilterOption(level, name)) {
      const filter = new Uint8Array(filterBytes);
      filter.set(this.#filter.subarray(0, filterBytes));
      return filter;
    }
    if (!known.has(key(level, name))) return ENOPROTOOPT;
    return new Uint8Array(Int32Array.of(this.#value(level, name)).buffer);
  }

  override setOption(level: number, name: number, value: Uint8Array): SysResult {
    if (this.#isFilterOption(level, name)) {
      this.#filter = value.slice(0, this.#version === 4 ? 4 : 32);
      return 0;
    }
    if (!known.has(key(level, name))) return ENOPROTOOPT;
    if (value.length === 0) return EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const number = value.length < 4 ? view.getUint8(0) : view.getInt32(0, true);
    this.#values.set(key(level, name), number);
    return 0;
  }
}

function wildcardIsHere(ip: IpAddress): IpAddress {
  return ip === anyV4 ? loopbackV4 : ip === anyV6 ? loopbackV6 : ip;
}
