// SPDX-License-Identifier: Apache-2.0
// UDP within the sandbox (udp(7)): a datagram is put into the receiver's queue, or lost where that is
// full, as UDP may lose it.

import {
  EACCES,
  EAFNOSUPPORT,
  EAGAIN,
  ECONNREFUSED,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  ENOENT,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  EPIPE,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import { FIONREAD, SIOCGSTAMP, SIOCGSTAMPNS, SIOCOUTQ } from '../../../abi/ioctl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import * as so from '../../../abi/socket.ts';
import { setI64 } from '../../../abi/time.ts';
import type { WallTime } from '../../base/clock.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { type Sink, type Source, takeAll } from '../../vfs/io.ts';
import {
  familyOf,
  type Received,
  type SendControl,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { runFilter } from '../socket-filter.ts';
import {
  anyOf,
  type Endpoint,
  encodeInetAddress,
  type IpAddress,
  isAny,
  isBroadcast,
  isLoopback,
  isMulticast,
  isV4,
  loopbackV4,
  loopbackV6,
  parseInetAddress,
} from './address.ts';
import { packetMessages, type SendWishes, sendWishes } from './control-messages.ts';
import { ErrorQueue, errorMessage } from './error-queue.ts';
import { InetSocket } from './inet-socket.ts';
import { inetStack } from './inet-stack.ts';
import { Memberships, OutgoingInterface } from './memberships.ts';
import { type Packet, PacketInbox, type PacketNotes } from './packet-inbox.ts';
import { accepts, bestUser, type PortTable, type PortUser } from './ports.ts';
import type { DatagramOwner, WayOut } from './way-out.ts';

const maxPayloadBytes = 65_507;
const udpHeaderBytes = 8;
/** UDP_MAX_SEGMENTS. */
const mostSegments = 128;
/** The part of a datagram that ICMP gives back. */
const returnedBytes = 520;

/** A datagram that is sent in parts (udp(7), UDP_CORK). */
interface CorkedDatagram {
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  readonly wishes: SendWishes;
  /** The account that pays for the bytes while they wait. */
  readonly payer: MemoryAccount;
}

const noBytes = new Uint8Array(0);

export class UdpSocket extends InetSocket implements DatagramOwner {
  override readonly type: number = so.SOCK_DGRAM;
  readonly #inbox = new PacketInbox();
  readonly #errors = new ErrorQueue();
  readonly #groups = new Memberships(inetStack.groups);
  readonly #outgoing = new OutgoingInterface();
  /** The datagram that MSG_MORE or UDP_CORK holds back. */
  #corked: CorkedDatagram | undefined;
  #readShut = false;
  #writeShut = false;
  #error = 0;
  /** An option was set that may ask for control messages. */
  #tellsMore = false;
  #lastArrival: WallTime | undefined;

  constructor(
    domain: number,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    super(domain, flags, so.IPPROTO_UDP, credentials, kernel, wayOut);
  }

  protected override get ports(): PortTable<PortUser> {
    return inetStack.udp as PortTable<PortUser>;
  }

  protected override get isBindable(): boolean {
    return this.remote === undefined;
  }

  override get hasErrorQueue(): boolean {
    return true;
  }

  // Names

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    if (bytes.length < 2) return EINVAL;
    if (familyOf(bytes) === so.AF_UNSPEC) return this.#disconnect();
    if (familyOf(bytes) === so.AF_INET && this.onlyV6) return EAFNOSUPPORT;
    const asked = this.#named(bytes);
    const to = isErrno(asked) ? asked : this.#destinationOf(asked);
    if (isErrno(to)) return to;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    this.localIp = this.#sourceTo(to);
    this.remote = to;
    return 0;
  }

  /** The address in `bytes`; an IPv6 socket takes those of IPv4 too. */
  #named(bytes: Uint8Array): Result<Endpoint> {
    const isV4Name = familyOf(bytes) === so.AF_INET;
    return parseInetAddress(bytes, isV4Name ? so.AF_INET : this.domain);
  }

  #disconnect(): SysResult {
    this.remote = undefined;
    if (!this.isAddressBound) this.localIp = anyOf(this.domain);
    if (!this.isPortBound) this.unbind();
    return 0;
  }

  /** Groups and everybody are here; all else as for streams. */
  #destinationOf(asked: Endpoint): Result<Endpoint> {
    const { ip } = asked;
    if (isBroadcast(ip)) return this.options.broadcast ? asked : EACCES;
    if (!isMulticast(ip)) return this.reachable(asked);
    return isV4(ip) && this.onlyV6 ? ENETUNREACH : asked;
  }

  #sourceTo(to: Endpoint): IpAddress {
    const { localIp } = this;
    const isEverybody = isMulticast(to.ip) || isBroadcast(to.ip);
    const isOwn = !isAny(localIp) && !isMulticast(localIp) && !isBroadcast(localIp);
    if (!isEverybody || isOwn) return this.sourceFor(to);
    if (this.#leads(to)) return this.sourceFor(to);
    const { address } = this.#outgoing;
    return isV4(to.ip) ? (isAny(address) ? loopbackV4 : address) : loopbackV6;
  }

  /** True where what goes to `to` leaves the sandbox. */
  #leads(to: Endpoint): boolean {
    if (isLoopback(to.ip) || (!isMulticast(to.ip) && !isBroadcast(to.ip)))
      return !this.isInside(to.ip) || this.wayOut.takes?.(to) === true;
    return !this.#outgoing.isNamed && !isErrno(this.wayOut.route(to));
  }

  override shutdown(how: number): SysResult {
    if (how !== so.SHUT_WR) this.#readShut = true;
    if (how !== so.SHUT_RD) this.#writeShut = true;
    this.queue.notify(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP | POLLRDHUP);
    return this.remote === undefined ? ENOTCONN : 0;
  }

  override close(): void {
    this.#takeCorked();
    this.wayOut.forget(this);
    this.#groups.close();
    this.#errors.clear();
    this.unbind();
    this.#inbox.clear();
  }

  // Sending

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    control: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & so.MSG_OOB) !== 0) return EOPNOTSUPP;
    const lengthBytes = source.remaining;
    if (lengthBytes > 0xffff) return EMSGSIZE;
    // The first part of a datagram in parts says where it goes: later addresses are not looked at.
    const to = this.#corked?.to ?? this.#receiverAddress(address);
    if (isErrno(to)) return to;
    const isSix = this.domain === so.AF_INET6 && !isV4(to.ip);
    const wishes = this.#corked?.wishes ?? sendWishes(control, isSix);
    if (isErrno(wishes)) return wishes;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    if (this.#error !== 0) return -this.takeError();
    if (this.#writeShut) return EPIPE;
    const bytes = this.#gather(source, lengthBytes);
    if (isErrno(bytes)) {
      if (bytes === EMSGSIZE) this.#localError(to);
      return bytes;
    }
    if ((flags & so.MSG_MORE) !== 0 || this.#isCorked) {
      this.#cork(to, bytes, wishes);
      return lengthBytes;
    }
    const sent = this.#transmitAll(to, bytes, wishes);
    return isErrno(sent) ? sent : lengthBytes;
  }

  /** Joins what was held back and the bytes of this send. */
  #gather(source: Source, lengthBytes: number): Result<Uint8Array> {
    const already = this.#corked?.bytes ?? noBytes;
    if (!PacketInbox.hasRoom(already.length + lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(already.length + lengthBytes);
    bytes.set(already);
    this.#takeCorked();
    if (bytes.length > maxPayloadBytes) return EMSGSIZE;
    const wanted = bytes.subarray(already.length);
    return lengthBytes > 0 && takeAll(source, wanted) < lengthBytes ? EFAULT : bytes;
  }

  #receiverAddress(address: Uint8Array | undefined): Result<Endpoint> {
    if (address === undefined) return this.remote ?? EDESTADDRREQ;
    if (address.length < 2) return EINVAL;
    let named = address;
    const family = familyOf(address);
    if (family === so.AF_UNSPEC) {
      if (this.domain === so.AF_INET6) return this.remote ?? EDESTADDRREQ;
      named = Uint8Array.from(address);
      named[0] = so.AF_INET;
    }
    if (this.domain === so.AF_INET6 && family !== so.AF_INET && family !== so.AF_INET6)
      return EINVAL;
    const asked = this.#named(named);
    if (isErrno(asked)) return asked;
    return asked.port === 0 ? EINVAL : this.#destinationOf(asked);
  }

  #cork(to: Endpoint, bytes: Uint8Array, wishes: SendWishes): void {
    const payer = currentAccount();
    payer.force(bytes.length + OBJECT_COST.message);
    this.#corked = { to, bytes, wishes, payer };
  }

  #takeCorked(): CorkedDatagram | undefined {
    const corked = this.#corked;
    this.#corked = undefined;
    corked?.payer.uncharge(corked.bytes.length + OBJECT_COST.message);
    return corked;
  }

  get #isCorked(): boolean {
    return this.inetOptions.value(so.SOL_UDP, so.UDP_CORK) !== 0;
  }

  /** UDP_SEGMENT: several datagrams of one length, the last one shorter. */
  #transmitAll(to: Endpoint, bytes: Uint8Array, wishes: SendWishes): SysResult {
    const step = wishes.segmentBytes ?? this.inetOptions.value(so.SOL_UDP, so.UDP_SEGMENT);
    if (step === 0 || bytes.length <= step) return this.#transmit(to, bytes, wishes);
    if (Math.ceil(bytes.length / step) > mostSegments) return EINVAL;
    for (let at = 0; at < bytes.length; at += step) {
      const sent = this.#transmit(to, bytes.slice(at, at + step), wishes);
      if (isErrno(sent)) return sent;
    }
    return 0;
  }

  #transmit(to: Endpoint, bytes: Uint8Array, wishes: SendWishes): SysResult {
    const from = { ip: wishes.source ?? this.#sourceTo(to), port: this.localPort };
    if (this.#leads(to)) return this.wayOut.sendDatagram(this, from, to, bytes);
    const arrival = this.kernel.clock.realtime();
    const hops = wishes.hops ?? this.#hopsTo(to.ip);
    const tos = wishes.tos ?? this.#tosTo(to.ip);
    const notes = { to, hops, tos, arrival };
    if (isMulticast(to.ip) || isBroadcast(to.ip)) this.#spread(bytes, from, notes);
    else {
      const receiver = udpReceiver(to, from);
      if (receiver === undefined) this.#refused(to, bytes);
      else receiver.deliver(bytes, from, notes);
    }
    return 0;
  }

  #hopsTo(ip: IpAddress): number {
    const value = (level: number, name: number): number => this.inetOptions.value(level, name);
    if (isV4(ip)) return value(so.SOL_IP, isMulticast(ip) ? so.IP_MULTICAST_TTL : so.IP_TTL);
    return value(so.SOL_IPV6, isMulticast(ip) ? so.IPV6_MULTICAST_HOPS : so.IPV6_UNICAST_HOPS);
  }

  #tosTo(ip: IpAddress): number {
    const [level, name] = isV4(ip) ? [so.SOL_IP, so.IP_TOS] : [so.SOL_IPV6, so.IPV6_TCLASS];
    return this.inetOptions.value(level, name);
  }

  /** A datagram for a group, or for everybody. */
  #spread(bytes: Uint8Array, from: Endpoint, notes: PacketNotes): void {
    const { to } = notes;
    if (isMulticast(to.ip)) {
      const [level, name] = isV4(to.ip)
        ? [so.SOL_IP, so.IP_MULTICAST_LOOP]
        : [so.SOL_IPV6, so.IPV6_MULTICAST_LOOP];
      // What is sent over lo comes back anyway.
      if (!this.#outgoing.isNamed && this.inetOptions.value(level, name) === 0) return;
      if (!inetStack.groups.isJoined(to.ip)) return;
    }
    for (const receiver of udpReceivers(to, from)) receiver.deliver(bytes, from, notes);
  }

  /** The "port unreachable" that comes back. */
  #refused(to: Endpoint, bytes: Uint8Array): void {
    if (!this.#queuesErrors(to.ip)) {
      this.outsideFailed(ECONNREFUSED);
      return;
    }
    this.#errors.put({
      errno: -ECONNREFUSED,
      isLocal: false,
      info: 0,
      to,
      bytes: bytes.slice(0, returnedBytes),
    });
    this.#fail(-ECONNREFUSED);
  }

  #localError(to: Endpoint): void {
    if (!this.#queuesErrors(to.ip)) return;
    const info = isV4(to.ip) ? 65_535 : 65_536;
    this.#errors.put({ errno: -EMSGSIZE, isLocal: true, info, to, bytes: noBytes });
    this.queue.notify(POLLERR);
  }

  #queuesErrors(ip: IpAddress): boolean {
    return isV4(ip)
      ? this.inetOptions.value(so.SOL_IP, so.IP_RECVERR) !== 0
      : this.inetOptions.value(so.SOL_IPV6, so.IPV6_RECVERR) !== 0;
  }

  // Receiving

  /** DatagramOwner. `told`: what control messages tell of it; from outside no more is known. */
  deliver(bytes: Uint8Array, from: Endpoint, told?: PacketNotes): void {
    const { remote } = this;
    if (remote !== undefined && (remote.port !== from.port || remote.ip !== from.ip)) return;
    const notes = told ?? this.#usualNotes(from);
    const least = isV4(notes.to.ip)
      ? this.inetOptions.value(so.SOL_IP, so.IP_MINTTL)
      : this.inetOptions.value(so.SOL_IPV6, so.IPV6_MINHOPCOUNT);
    if (notes.hops < least) return;
    const passed = this.#filtered({ ...notes, from, bytes });
    if (passed === undefined || !this.#inbox.put(passed, this.options.receiveBufferBytes)) return;
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  #usualNotes(from: Endpoint): PacketNotes {
    const to = { ip: this.#sourceTo(from), port: this.localPort };
    return { to, hops: 64, tos: 0, arrival: this.kernel.clock.realtime() };
  }

  /** The packet as SO_ATTACH_FILTER lets it through, which sees its UDP header too. */
  #filtered(packet: Packet): Packet | undefined {
    const { filter } = this.options;
    if (filter === undefined) return packet;
    const { from, to, bytes } = packet;
    const view = new DataView(new ArrayBuffer(udpHeaderBytes + bytes.length));
    view.setUint16(0, from.port);
    view.setUint16(2, to.port);
    view.setUint16(4, view.byteLength);
    const whole = new Uint8Array(view.buffer);
    whole.set(bytes, udpHeaderBytes);
    const kept = runFilter(filter, whole);
    if (kept === 0) return undefined;
    const length = Math.max(kept - udpHeaderBytes, 0);
    return length >= bytes.length ? packet : { ...packet, bytes: bytes.subarray(0, length) };
  }

  /** DatagramOwner. */
  outsideFailed(error: number): void {
    // As Linux: who is not connected is not told of what came of single datagrams, but for a refusal.
    if (this.remote === undefined && error !== EACCES) return;
    this.#fail(-error);
  }

  #fail(error: number): void {
    this.#error = error;
    this.queue.notify(POLLERR);
  }

  override takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & so.MSG_ERRQUEUE) !== 0) return this.#receiveError(sink, received);
    if (this.#error !== 0) return -this.takeError();
    if (this.#inbox.count === 0) return this.#nothingToReceive(flags);
    const packet = this.#inbox.next;
    const count = putBytes(sink, packet.bytes, received);
    if (isErrno(count)) return count;
    received.address = encodeInetAddress(packet.from, this.domain);
    if (this.options.stamp === 0) this.#lastArrival = packet.arrival;
    if (this.#tellsMore || this.options.asksForMessages())
      received.messages = packetMessages(this, packet, this.#inbox.drops);
    if ((flags & so.MSG_PEEK) === 0) this.#inbox.shift();
    return (flags & so.MSG_TRUNC) !== 0 ? packet.bytes.length : count;
  }

  /** Only a call that would wait learns that no more may come. */
  #nothingToReceive(flags: number): SysResult {
    const waits = (this.flags & O_NONBLOCK) === 0 && (flags & so.MSG_DONTWAIT) === 0;
    return this.#readShut && waits ? 0 : EAGAIN;
  }

  #receiveError(sink: Sink, received: Received): SysResult {
    const error = this.#errors.shift();
    if (error === undefined) return EAGAIN;
    if (this.#errors.isEmpty) this.#error = 0;
    received.flags |= so.MSG_ERRQUEUE;
    received.address = encodeInetAddress(error.to, this.domain);
    received.messages = [errorMessage(error, this.domain)];
    return putBytes(sink, error.bytes, received);
  }

  override poll(): number {
    let events = POLLOUT | POLLWRNORM;
    if (this.#error !== 0 || !this.#errors.isEmpty) events |= POLLERR;
    if (this.#readShut && this.#writeShut) events |= POLLHUP;
    if (this.#readShut) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.#inbox.count > 0) events |= POLLIN | POLLRDNORM;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    switch (command) {
      case FIONREAD:
        return caller.memory.writeU32(argument, this.#inbox.nextBytes);
      case SIOCOUTQ:
        return caller.memory.writeU32(argument, 0);
      case SIOCGSTAMP:
      case SIOCGSTAMPNS: {
        const last = this.#lastArrival;
        if (last === undefined) return ENOENT;
        const view = new DataView(new ArrayBuffer(16));
        setI64(view, 0, last.sec);
        setI64(view, 8, command === SIOCGSTAMP ? Math.floor(last.nsec / 1000) : last.nsec);
        return caller.memory.write(argument, new Uint8Array(view.buffer));
      }
      default:
        return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
    }
  }

  // Options

  override getOption(level: number, name: number): Result<Uint8Array> {
    return this.#outgoing.get(level, name) ?? super.getOption(level, name);
  }

  override setOption(
    level: number,
    name: number,
    value: Uint8Array,
    caller: SocketCaller,
  ): SysResult {
    const known = level === so.SOL_IPV6 ? this.domain === so.AF_INET6 : true;
    const special = known
      ? (this.#outgoing.set(level, name, value) ?? this.#groups.set(level, name, value))
      : undefined;
    if (special !== undefined) return special;
    const set = super.setOption(level, name, value, caller);
    if (isErrno(set)) return set;
    this.#tellsMore = true;
    if (level === so.SOL_IP && name === so.IP_RECVERR && !this.#queuesErrors(loopbackV4))
      this.#errors.clear();
    // Sends what was held back where UDP_CORK ends.
    if (level === so.SOL_UDP && name === so.UDP_CORK && !this.#isCorked) {
      const corked = this.#takeCorked();
      if (corked !== undefined) this.#transmitAll(corked.to, corked.bytes, corked.wishes);
    }
    return set;
  }

  /** Takes datagrams from `from` to `ip`. A connected socket takes only its peer's. */
  suits(ip: IpAddress, from: Endpoint): boolean {
    if (!accepts(this, ip)) return false;
    return (
      this.remote === undefined || (this.remote.port === from.port && this.remote.ip === from.ip)
    );
  }

  /** The same for a datagram to a group or to everybody. */
  suitsGroup(ip: IpAddress, from: Endpoint): boolean {
    if (!this.suits(ip, from)) return false;
    if (!isMulticast(ip)) return true;
    const all = isV4(ip)
      ? this.inetOptions.value(so.SOL_IP, so.IP_MULTICAST_ALL)
      : this.inetOptions.value(so.SOL_IPV6, so.IPV6_MULTICAST_ALL);
    return this.#groups.accepts(ip, from.ip, all !== 0);
  }
}

/** Copies what fits; the rest of a datagram is lost, which MSG_TRUNC tells. */
function putBytes(sink: Sink, bytes: Uint8Array, received: Received): SysResult {
  const fits = Math.min(sink.remaining, bytes.length);
  if (fits < bytes.length) received.flags |= so.MSG_TRUNC;
  return fits === 0 ? 0 : sink.put(bytes.subarray(0, fits));
}

/**
 * Returns the receiver of a datagram. Best first: connected to the sender, bound to the address,
 * bound to any.
 */
export function udpReceiver(to: Endpoint, from: Endpoint): UdpSocket | undefined {
  return bestUser(inetStack.udp.at(to.port), to, from, (user) => {
    if (!(user instanceof UdpSocket) || !user.suits(to.ip, from)) return -1;
    return (user.remote === undefined ? 0 : 2) + (isAny(user.localIp) ? 0 : 1);
  }) as UdpSocket | undefined;
}

/** All that take a datagram to a group or to everybody. */
export function* udpReceivers(to: Endpoint, from: Endpoint): Generator<UdpSocket> {
  for (const user of inetStack.udp.at(to.port))
    if (user instanceof UdpSocket && user.suitsGroup(to.ip, from)) yield user;
}
