// SPDX-License-Identifier: Apache-2.0
// All connections of TCP that leave the sandbox: which segment is whose, half-open ones, SYN
// cookies, those that no program has any more. The connections themselves: ../tcp.
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EHOSTUNREACH,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { chargedTo } from '../../base/charged-to.ts';
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { Timer } from '../../base/timer-queue.ts';
import type { LeftoverConnections } from '../../kernel/network.ts';
import type { ByteRing } from '../../vfs/byte-ring.ts';
import type { Endpoint, IpAddress } from '../inet/address.ts';
import { getU16, getU32 } from '../ip/checksum.ts';
import type { IcmpError } from '../ip/icmp.ts';
import type { Packet } from '../ip/packet.ts';
import { Connection } from '../tcp/connection.ts';
import type { ConnectionOptions, Tuning, User, Wire } from '../tcp/contract.ts';
import { pairText, SequenceNumbers } from '../tcp/cookies.ts';
import { isNewer, receiveSegment, takeSyn } from '../tcp/input.ts';
import { ACK, bareHeader, type Header, RST, Segment, SYN } from '../tcp/segment.ts';
import { placeOf } from '../tcp/sequence.ts';
import { expire } from '../tcp/timers.ts';
import type { Listener, Sockets, StackHost } from './host.ts';

/** Half-open connections of the sandbox; a listener has at most its backlog. More get cookies. */
const MOST_HALF_OPEN = 1024;
/** Connections in TIME-WAIT, and such as no program has: the oldest go. */
const MOST_LEFT = 4096;
/** A connection in the Sentry, beside what waits in it. */
const CONNECTION_BYTES = 3072;

/** Carries segments: the stack. */
export interface SegmentCarrier {
  /** Payload of a segment without options on the way to `remote`; or why there is none. */
  segmentBytes(local: IpAddress, remote: IpAddress): SysResult;
  sendSegment(
    path: PathConnection,
    header: Header,
    ring: ByteRing | undefined,
    skip: number,
    length: number,
    segmentBytes: number,
  ): boolean;
  /** A segment of no connection. */
  sendBare(local: IpAddress, remote: IpAddress, header: Header): void;
  /** The neighbour on the way is there. */
  confirm(remote: IpAddress): void;
}

/** A connection, and the addresses that its packets have. */
export class PathConnection extends Connection {
  readonly localIp: IpAddress;
  readonly remoteIp: IpAddress;
  readonly pair: string;
  timer: Timer | undefined;
  /** While it is half open: who will have it. */
  listener: Listener | undefined;

  constructor(options: ConnectionOptions, local: Endpoint, remote: Endpoint, pair: string) {
    super(options);
    this.localIp = local.ip;
    this.remoteIp = remote.ip;
    this.pair = pair;
  }
}

export class TcpLayer implements Wire, LeftoverConnections {
  readonly #host: StackHost;
  readonly #carrier: SegmentCarrier;
  readonly #sockets: Sockets;
  readonly #numbers: SequenceNumbers;
  readonly #connections = new Map<string, PathConnection>();
  readonly #halfOpen = new Set<PathConnection>();
  readonly #halfOpenOf = new Map<object, number>();
  /** In TIME-WAIT or without a program, the oldest first. */
  readonly #left = new Set<PathConnection>();
  readonly #toFlush: PathConnection[] = [];
  readonly #segment = new Segment();
  /** Segments that came, went, went again; resets sent; for /proc/net/snmp. */
  readonly counts = {
    received: 0,
    sent: 0,
    repeated: 0,
    resets: 0,
    bad: 0,
    opened: 0,
    accepted: 0,
  };

  constructor(host: StackHost, carrier: SegmentCarrier, sockets: Sockets) {
    this.#host = host;
    this.#carrier = carrier;
    this.#sockets = sockets;
    this.#numbers = new SequenceNumbers((bytes) => host.randomFill(bytes));
  }

  /** Begins a connection. */
  connect(
    local: Endpoint,
    remote: Endpoint,
    tuning: Tuning,
    user: User,
    account: MemoryAccount,
  ): Result<Connection> {
    const segmentBytes = this.#carrier.segmentBytes(local.ip, remote.ip);
    if (isErrno(segmentBytes)) return segmentBytes;
    const pair = pairText(local, remote);
    const found = this.#connections.get(pair);
    if (found !== undefined) {
      if (!mayBeReplaced(found, this.nowMs())) return EADDRNOTAVAIL;
      found.end(0);
    }
    if (!account.hasRoom(CONNECTION_BYTES)) return EADDRINUSE;
    const first = this.#numbers.first(pair, this.nowMs());
    const connection = this.#add(pair, local, remote, first, segmentBytes, tuning, account);
    connection.user = user;
    this.counts.opened += 1;
    connection.open();
    return connection;
  }

  #add(
    pair: string,
    local: Endpoint,
    remote: Endpoint,
    first: number,
    segmentBytes: number,
    tuning: Tuning,
    account: MemoryAccount,
  ): PathConnection {
    const options = {
      localPort: local.port,
      remotePort: remote.port,
      first,
      segmentBytes,
      timestampOffset: this.#numbers.timestampOffset(pair),
      wire: this,
      account,
      tuning,
    };
    const connection = new PathConnection(options, local, remote, pair);
    account.force(CONNECTION_BYTES);
    this.#connections.set(pair, connection);
    return connection;
  }

  /** A segment has come; its checksum is right. */
  receive(packet: Packet, bytes: Uint8Array): void {
    const segment = this.#segment;
    this.counts.received += 1;
    if (!segment.parse(bytes, packet.payloadAt, packet.end)) {
      this.counts.bad += 1;
      return;
    }
    const local = { ip: packet.destination, port: segment.destinationPort };
    const remote = { ip: packet.source, port: segment.sourcePort };
    const pair = pairText(local, remote);
    const found = this.#connections.get(pair);
    const isOver = found?.state === 'time-wait' && isNewer(found, segment);
    if (isOver) found?.end(0);
    if (found === undefined || isOver) {
      this.#receiveForListener(pair, local, remote, segment);
      return;
    }
    this.#within(found, () => {
      const wasHalfOpen = this.#halfOpen.has(found);
      if (wasHalfOpen && !this.#mayComplete(found, segment)) return;
      if (receiveSegment(found, segment) === 'reset') this.#reset(local, remote, segment);
      if (wasHalfOpen && found.state !== 'syn-received') this.#completed(found);
      this.#noteLeft(found);
    });
  }

  /** Calls `body` with what it takes charged to the connection. */
  #within(connection: PathConnection, body: () => void): void {
    chargedTo(connection.account, this.#host.account, body);
  }

  // Listeners

  #receiveForListener(pair: string, local: Endpoint, remote: Endpoint, segment: Segment): void {
    if (segment.has(RST)) return;
    const listener = this.#sockets.listener(local, remote);
    if (listener === undefined) {
      this.#reset(local, remote, segment);
      return;
    }
    if (segment.has(ACK)) {
      if (segment.has(SYN) || !this.#takeCookie(pair, local, remote, segment, listener))
        this.#reset(local, remote, segment);
      return;
    }
    if (segment.has(SYN)) this.#takeSyn(pair, local, remote, segment, listener);
  }

  #takeSyn(
    pair: string,
    local: Endpoint,
    remote: Endpoint,
    segment: Segment,
    listener: Listener,
  ): void {
    // As Linux: with the queue of accept(2) full no new connection is begun.
    if (listener.acceptRoom <= 0) return;
    const segmentBytes = this.#carrier.segmentBytes(local.ip, remote.ip);
    if (isErrno(segmentBytes)) return;
    const now = this.nowMs();
    const count = this.#halfOpenOf.get(listener.key) ?? 0;
    const isFull = this.#halfOpen.size >= MOST_HALF_OPEN || count > Math.max(listener.backlog, 8);
    if (isFull || !listener.account.hasRoom(CONNECTION_BYTES)) {
      this.#sendCookie(pair, local, remote, segment, segmentBytes);
      return;
    }
    const first = this.#numbers.first(pair, now);
    const { account } = listener;
    const tuning = listener.tuning();
    const connection = this.#add(pair, local, remote, first, segmentBytes, tuning, account);
    connection.isPassive = true;
    connection.hasTimestamps = true;
    connection.hasSack = true;
    connection.listener = listener;
    connection.state = 'syn-received';
    this.#halfOpen.add(connection);
    this.#halfOpenOf.set(listener.key, count + 1);
    takeSyn(connection, segment);
    connection.sendSyn();
  }

  /** The last segment of a handshake waits for room at the listener: the peer sends it again. */
  #mayComplete(connection: PathConnection, segment: Segment): boolean {
    if (!segment.has(ACK) || segment.has(RST) || segment.has(SYN)) return true;
    return (connection.listener?.acceptRoom ?? 1) > 0;
  }

  /** The handshake of a half-open connection is over, well or not. */
  #completed(connection: PathConnection): void {
    const { listener } = connection;
    this.#notHalfOpen(connection);
    connection.listener = undefined;
    if (listener === undefined || connection.state === 'closed') return;
    this.#handOver(connection, listener);
  }

  #handOver(connection: PathConnection, listener: Listener): void {
    this.counts.accepted += 1;
    const local = { ip: connection.localIp, port: connection.localPort };
    const remote = { ip: connection.remoteIp, port: connection.remotePort };
    connection.user = listener.accepted(connection, local, remote);
    if (connection.user === undefined) connection.abort();
  }

  #notHalfOpen(connection: PathConnection): void {
    if (!this.#halfOpen.delete(connection)) return;
    const { listener } = connection;
    if (listener === undefined) return;
    const count = (this.#halfOpenOf.get(listener.key) ?? 1) - 1;
    if (count === 0) this.#halfOpenOf.delete(listener.key);
    else this.#halfOpenOf.set(listener.key, count);
  }

  #sendCookie(
    pair: string,
    local: Endpoint,
    remote: Endpoint,
    segment: Segment,
    segmentBytes: number,
  ): void {
    const now = this.nowMs();
    const asked = Math.min(segment.mss === 0 ? 536 : segment.mss, segmentBytes);
    const header = bareHeader(local.port, remote.port, SYN | ACK);
    header.sequence = this.#numbers.cookie(pair, segment.sequence, asked, now);
    header.acknowledgement = (segment.sequence + 1) >>> 0;
    header.window = 0xffff;
    header.mss = segmentBytes;
    this.#carrier.sendBare(local.ip, remote.ip, header);
  }

  /** An acknowledgement for nobody: of a cookie? Such connections have no options but the size. */
  #takeCookie(
    pair: string,
    local: Endpoint,
    remote: Endpoint,
    segment: Segment,
    listener: Listener,
  ): boolean {
    const theirs = (segment.sequence - 1) >>> 0;
    const cookie = (segment.acknowledgement - 1) >>> 0;
    const size = this.#numbers.check(pair, theirs, cookie, this.nowMs());
    if (size === undefined) return false;
    if (listener.acceptRoom <= 0 || !listener.account.hasRoom(CONNECTION_BYTES)) return true;
    const { account } = listener;
    const connection = this.#add(pair, local, remote, cookie, size, listener.tuning(), account);
    connection.isPassive = true;
    connection.remoteFirst = theirs;
    connection.receiveScale = 0;
    connection.segmentBytes = size;
    connection.congestion = connection.newCongestion();
    connection.state = 'syn-received';
    connection.tries = 1;
    connection.in.edge = connection.in.next + 0xffff;
    this.#within(connection, () => {
      receiveSegment(connection, segment);
      if (connection.state !== 'closed') this.#handOver(connection, listener);
    });
    return true;
  }

  // Ends

  /** RFC 9293 3.10.7.1: the answer to what belongs to no connection. */
  #reset(local: Endpoint, remote: Endpoint, segment: Segment): void {
    if (segment.has(RST)) return;
    const header = bareHeader(local.port, remote.port, RST);
    if (segment.has(ACK)) header.sequence = segment.acknowledgement;
    else {
      header.flags = RST | ACK;
      header.acknowledgement = (segment.sequence + segment.length) >>> 0;
    }
    this.counts.resets += 1;
    this.#carrier.sendBare(local.ip, remote.ip, header);
  }

  /** Connections that no program sees end by time; there are only so many. */
  #noteLeft(connection: PathConnection): void {
    const isLeft =
      connection.state === 'time-wait' || (connection.isOrphan && connection.state !== 'closed');
    if (!isLeft || this.#left.has(connection)) return;
    this.#left.add(connection);
    if (this.#left.size <= MOST_LEFT) return;
    for (const oldest of this.#left) {
      oldest.abort();
      return;
    }
  }

  /** The program of `connection` has closed it. */
  closed(connection: Connection): void {
    this.#noteLeft(connection as PathConnection);
  }

  /** An error of ICMP about a segment of ours. */
  failed(error: IcmpError, bytes: Uint8Array): void {
    const local = { ip: error.source, port: getU16(bytes, error.transportAt) };
    const remote = { ip: error.destination, port: getU16(bytes, error.transportAt + 2) };
    const found = this.#connections.get(pairText(local, remote));
    if (found === undefined) return;
    // RFC 5927: only what names something that is on its way is believed.
    const { out } = found;
    const place = placeOf(getU32(bytes, error.transportAt + 4), found.first, out.una);
    const isNew = found.state === 'syn-sent' || found.state === 'syn-received';
    if (isNew ? place !== 0 : place < out.una || place >= Math.max(out.nxt, out.una + 1)) return;
    if (error.mtu > 0) {
      const segmentBytes = this.#carrier.segmentBytes(local.ip, remote.ip);
      if (segmentBytes > 0) found.pathChanged(segmentBytes);
    } else if (isNew && error.isHard) found.end(error.errno);
  }

  /** Nobody on the link answers for the way to `remote`. */
  unreachable(remote: IpAddress): void {
    for (const connection of [...this.#connections.values()])
      if (connection.remoteIp === remote && connection.state === 'syn-sent')
        connection.end(EHOSTUNREACH);
  }

  /** Sends what acknowledgements wait for the end of a batch of frames. */
  endBatch(): void {
    if (this.#toFlush.length === 0) return;
    for (const connection of this.#toFlush.splice(0)) connection.flush();
  }

  /** Whether a connection that was closed has not delivered all that was written. */
  areSending(): boolean {
    for (const { state } of this.#connections.values())
      if (state === 'fin-wait-1' || state === 'closing' || state === 'last-ack') return true;
    return false;
  }

  /** Resets all connections. */
  abandon(): void {
    for (const connection of [...this.#connections.values()]) connection.abort();
  }

  // Wire

  nowMs(): number {
    return this.#host.nowNs() / 1e6;
  }

  transmit(
    connection: Connection,
    header: Header,
    ring: ByteRing | undefined,
    skip: number,
    length: number,
    segmentBytes: number,
  ): boolean {
    this.counts.sent += 1;
    const path = connection as PathConnection;
    return this.#carrier.sendSegment(path, header, ring, skip, length, segmentBytes);
  }

  schedule(connection: Connection, deadlineMs: number): void {
    const path = connection as PathConnection;
    const deadlineNs = deadlineMs * 1e6;
    if (path.timer !== undefined) {
      if (path.timer.deadlineNs <= deadlineNs) return;
      path.timer.cancel();
    }
    path.timer = this.#host.timers.add(deadlineNs, () => {
      path.timer = undefined;
      this.#within(path, () => expire(path));
      this.endBatch();
    });
  }

  flushLater(connection: Connection): void {
    this.#toFlush.push(connection as PathConnection);
  }

  forget(connection: Connection): void {
    const path = connection as PathConnection;
    path.timer?.cancel();
    path.timer = undefined;
    if (this.#connections.get(path.pair) === path) this.#connections.delete(path.pair);
    this.#notHalfOpen(path);
    this.#left.delete(path);
    path.account.uncharge(CONNECTION_BYTES);
  }

  confirm(connection: Connection): void {
    this.#carrier.confirm((connection as PathConnection).remoteIp);
  }
}

/** tcp_tw_reuse: after a second, by timestamps, its numbers cannot be taken for the old ones. */
function mayBeReplaced(connection: PathConnection, nowMs: number): boolean {
  if (connection.state !== 'time-wait' || !connection.hasTimestamps) return false;
  return nowMs - connection.recentTimestampMs > 1000;
}
