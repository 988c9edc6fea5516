// SPDX-License-Identifier: Apache-2.0
// TCP within the sandbox (tcp(7)). Both ends live in this kernel, so a segment is a copy into the
// other end's buffer; what a program sees of a connection's life is kept: backlog, half-close, reset.
// Differs from Linux: there is no TIME_WAIT, and a buffer whose size was not set does not grow.
import {
  EADDRINUSE,
  EAGAIN,
  EALREADY,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOBUFS,
  ENOMEM,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  EPIPE,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import { FIONREAD, SIOCOUTQ } from '../../../abi/ioctl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import {
  IPPROTO_TCP,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SHUT_RD,
  SHUT_WR,
  SOCK_STREAM,
  SOL_TCP,
  TCP_CONGESTION,
  TCP_INFO,
} from '../../../abi/socket.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import {
  familyOf,
  type Received,
  type SendControl,
  type Socket,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { type Endpoint, isAny } from './address.ts';
import { InetSocket } from './inet-socket.ts';
import { accepts, bestUser, PortTable } from './ports.ts';
import type { OutsideStream, StreamOwner, WayOut } from './way-out.ts';

/**
 * A buffer whose size the program did not set: about what Linux's tuning gives a connection over
 * loopback.
 */
const tunedBufferBytes = 262_144;
const readable = POLLIN | POLLRDNORM;
const writable = POLLOUT | POLLWRNORM;
const everything = readable | writable | POLLERR | POLLHUP | POLLRDHUP;
/** States of struct tcp_info. */
const TCP_ESTABLISHED = 1;
const TCP_SYN_SENT = 2;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;

const tcpPorts = new PortTable<InetSocket>();
/** Bytes that are sent to nobody. */
const discarded = new Uint8Array(65_536);
const drain: Sink = {
  remaining: Number.MAX_SAFE_INTEGER,
  put: (src) => src.length,
};

export class TcpSocket extends InetSocket implements StreamOwner {
  readonly type: number = SOCK_STREAM;
  readonly #ring = new ByteRing();
  readonly #credentials: Credentials;
  #state: 'closed' | 'connecting' | 'connected' | 'listening' = 'closed';
  #peer: TcpSocket | undefined;
  /** The connection, where the other end is not in this sandbox. There is no peer then. */
  #outside: OutsideStream | undefined;
  /** The listener whose backlog has no room for this connection yet. */
  #waitsFor: TcpSocket | undefined;
  /** connect(2) has told the program that it is connected. */
  #connectTold = false;
  #readShut = false;
  /** The other end has said that no more comes: a program that reads is told of this before any error. */
  #isEnded = false;
  #writeShut = false;
  #error = 0;
  readonly #accepted: TcpSocket[] = [];
  /** Connections for which the backlog has no room. */
  readonly #waiting: TcpSocket[] = [];
  #backlog = 0;

  constructor(
    domain: number,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    super(domain, flags, IPPROTO_TCP, credentials, kernel, wayOut);
    this.#credentials = credentials;
    this.options.sendBufferBytes = 16_384;
    this.options.receiveBufferBytes = 131_072;
  }

  protected override get ports(): PortTable<InetSocket> {
    return tcpPorts;
  }

  override get isByteStream(): boolean {
    return true;
  }

  override get raisesSigpipe(): boolean {
    return true;
  }

  override get tableState(): number {
    return { connected: 1, connecting: 2, closed: 7, listening: 10 }[this.#state];
  }

  override get isListening(): boolean {
    return this.#state === 'listening';
  }

  /** SO_REUSEADDR lets sockets share a port unless one of them listens. */
  override get mayShareAddress(): boolean {
    return this.options.reuseAddress && !this.isListening;
  }

  // Connections

  override listen(backlog: number, _caller: SocketCaller): SysResult {
    if (this.#state !== 'closed' && this.#state !== 'listening') return EINVAL;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    // Two that share the port by SO_REUSEADDR may not both listen.
    if (!this.isListening && !tcpPorts.isFree(this.localPort, this)) return EADDRINUSE;
    this.#backlog = backlog;
    this.#state = 'listening';
    return 0;
  }

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    if (familyOf(bytes) === 0) return this.#disconnect();
    // No time to wait is as good as O_NONBLOCK (SO_SNDTIMEO).
    const nonblocking = (this.flags & O_NONBLOCK) !== 0 || this.options.sendTimeoutNs === 0;
    if (this.#state === 'listening') return EISCONN;
    if (this.#state === 'connecting') return nonblocking ? EALREADY : EAGAIN;
    if (this.#state === 'connected') return this.#tellConnected();
    if (this.#error !== 0) return -this.takeError();
    const to = this.destination(bytes);
    if (isErrno(to)) return to;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    this.#begin(to);
    if (nonblocking) return EINPROGRESS;
    if (this.#error !== 0) return -this.takeError();
    return this.#isConnecting ? EAGAIN : this.#tellConnected();
  }

  get #isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  override connectTimedOut(): SysResult {
    return EINPROGRESS;
  }

  #tellConnected(): SysResult {
    if (this.#connectTold) return EISCONN;
    this.#connectTold = true;
    return 0;
  }

  #begin(to: Endpoint): void {
    this.localIp = this.sourceFor(to);
    if (!this.isInside(to.ip)) {
      this.#beginOutside(to);
      return;
    }
    const listener = listenerFor(to, { ip: this.localIp, port: this.localPort });
    if (listener === undefined) {
      this.#fail(-ECONNREFUSED);
      return;
    }
    this.remote = to;
    if (listener.#accepted.length > listener.#backlog) {
      this.#state = 'connecting';
      this.#waitsFor = listener;
      listener.#waiting.push(this);
    } else this.#establish(listener);
  }

  #beginOutside(to: Endpoint): void {
    const from = { ip: this.localIp, port: this.localPort };
    this.remote = to;
    this.#state = 'connecting';
    const stream = this.wayOut.connect(this, from, to);
    if (isErrno(stream)) this.outsideFailed(stream);
    else this.#outside = stream;
  }

  /** StreamOwner. */
  outsideConnected(): void {
    this.#state = 'connected';
    this.queue.notify(writable);
  }

  /** StreamOwner. */
  outsideFailed(error: number): void {
    this.#outside?.close(true);
    this.#outside = undefined;
    if (this.#state === 'connected') this.#breakOff(-error);
    else {
      this.remote = undefined;
      this.#state = 'closed';
      this.#fail(-error);
    }
  }

  /** The socket that accept(2) answers for a connection from `from` to `at`. */
  #serve(at: Endpoint, from: Endpoint): TcpSocket {
    const served = new TcpSocket(this.domain, 0, this.#credentials, this.kernel, this.wayOut);
    this.options.copyTo(served.options);
    this.inetOptions.copyTo(served.inetOptions);
    served.localIp = at.ip;
    served.localPort = at.port;
    served.remote = from;
    tcpPorts.add(at.port, served);
    served.options.reuseAddress = true;
    served.#state = 'connected';
    served.#connectTold = true;
    return served;
  }

  /** How many connections may be put into the queue of accept(2). */
  get acceptRoom(): number {
    return this.isListening ? this.#backlog + 1 - this.#accepted.length : 0;
  }

  get backlog(): number {
    return this.#backlog;
  }

  /** For the way out: who listens for a connection from `from` to `at`. */
  static listenerAt(at: Endpoint, from: Endpoint): TcpSocket | undefined {
    return listenerFor(at, from);
  }

  /** A connection from outside, which the way out has made already. False where the queue is full. */
  acceptOutside(
    at: Endpoint,
    from: Endpoint,
    open: (owner: StreamOwner) => OutsideStream,
  ): boolean {
    if (this.acceptRoom <= 0) return false;
    const served = this.#serve(at, from);
    served.#outside = open(served);
    this.#accepted.push(served);
    this.queue.notify(readable);
    return true;
  }

  /** For the way out: true where somebody listens on `at` and has room for the connection. */
  static acceptFromOutside(
    at: Endpoint,
    from: Endpoint,
    open: (owner: StreamOwner) => OutsideStream,
  ): boolean {
    const listener = listenerFor(at, from);
    return listener === undefined ? false : listener.acceptOutside(at, from, open);
  }

  #establish(listener: TcpSocket): void {
    const near = { ip: this.localIp, port: this.localPort };
    const served = listener.#serve(this.remote as Endpoint, near);
    for (const [from, to] of [
      [this, served],
      [served, this],
    ] as const) {
      from.#peer = to;
      from.#state = 'connected';
    }
    this.#waitsFor = undefined;
    listener.#accepted.push(served);
    listener.queue.notify(readable);
    this.queue.notify(writable);
  }

  /** connect to AF_UNSPEC. */
  #disconnect(): SysResult {
    this.#detach(true);
    this.#state = 'closed';
    this.remote = undefined;
    this.#connectTold = false;
    this.#readShut = false;
    this.#isEnded = false;
    this.#writeShut = false;
    this.#ring.release();
    return 0;
  }

  override accept(flags: number, _caller: SocketCaller): Result<Socket> {
    if (this.#state !== 'listening') return EINVAL;
    const served = this.#accepted.shift();
    if (served === undefined) return EAGAIN;
    served.flags |= flags;
    const next = this.#waiting.shift();
    if (next !== undefined) next.#establish(this);
    return served;
  }

  override shutdown(how: number): SysResult {
    if (this.#state === 'listening') {
      if (how !== SHUT_WR) this.#stopListening();
      return 0;
    }
    if (this.#state !== 'connected') return ENOTCONN;
    if (how !== SHUT_WR) this.#readShut = true;
    if (how !== SHUT_RD && !this.#writeShut) {
      this.#writeShut = true;
      this.#outside?.endSending();
      const peer = this.#peer;
      if (peer !== undefined) peer.#receiveEnd();
    }
    this.queue.notify(everything);
    return 0;
  }

  /** The other end sends no more. */
  #receiveEnd(): void {
    this.#readShut = true;
    this.#isEnded = true;
    this.queue.notify(readable | POLLRDHUP | (this.#writeShut ? POLLHUP : 0));
  }

  /** Takes note that the other end is gone: nobody will read what this end sends from now on. */
  #receiveClose(): void {
    this.#peer = undefined;
    this.#receiveEnd();
    this.queue.notify(writable);
  }

  override close(): void {
    const resets =
      this.#ring.length > 0 ||
      (this.#outside?.unreadBytes ?? 0) > 0 ||
      (this.options.lingerOn && this.options.lingerSeconds === 0);
    this.#detach(resets);
    this.unbind();
    this.#ring.release();
  }

  #detach(resets: boolean): void {
    if (this.#state === 'listening') this.#stopListening();
    const listener = this.#waitsFor;
    if (listener !== undefined) {
      listener.#waiting.splice(listener.#waiting.indexOf(this), 1);
      this.#waitsFor = undefined;
    }
    this.#outside?.close(resets);
    this.#outside = undefined;
    const peer = this.#peer;
    this.#peer = undefined;
    if (peer === undefined) return;
    if (resets) peer.#reset();
    else peer.#receiveClose();
  }

  #stopListening(): void {
    this.#state = 'closed';
    for (const served of this.#accepted.splice(0)) {
      served.#detach(true);
      served.unbind();
    }
    for (const client of this.#waiting.splice(0)) {
      client.#waitsFor = undefined;
      client.#state = 'closed';
      client.#fail(-ECONNREFUSED);
    }
    this.queue.notify(everything);
  }

  #reset(): void {
    this.#breakOff(-ECONNRESET);
  }

  /** Ends the connection with an error. */
  #breakOff(error: number): void {
    // A program that was told of the end already gets EPIPE rather than ECONNRESET.
    this.#fail(this.#isEnded ? -EPIPE : error);
    this.#peer = undefined;
    this.#readShut = true;
    this.#writeShut = true;
    this.#state = 'closed';
  }

  #fail(error: number): void {
    this.#error = error;
    this.queue.notify(everything);
  }

  override takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  // Data

  override send(
    source: Source,
    flags: number,
    _address: Uint8Array | undefined,
    _control: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (this.#error !== 0) return -this.takeError();
    if (this.#writeShut) return EPIPE;
    if (this.#state === 'connecting') return EAGAIN;
    if (this.#state !== 'connected') return EPIPE;
    if (source.remaining === 0) return 0;
    if (this.#outside !== undefined) return this.#outside.send(source, flags);
    const peer = this.#peer;
    if (peer === undefined) return this.#sendToNobody(source);
    const room = peer.#capacityBytes - peer.#ring.length;
    if (room <= 0) return EAGAIN;
    const count = peer.#ring.fill(source, room);
    if (count === ENOMEM) return ENOBUFS;
    if (count > 0) peer.queue.notify(readable);
    return count;
  }

  /** The other end was closed: the bytes go, a reset comes back, and the next call sees EPIPE. */
  #sendToNobody(source: Source): SysResult {
    let total = 0;
    while (source.remaining > 0 && total < tunedBufferBytes) {
      const taken = source.take(discarded);
      if (isErrno(taken) && total === 0) return taken;
      if (taken <= 0) break;
      total += taken;
    }
    this.#reset();
    return total;
  }

  override receive(sink: Sink, flags: number, _received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0) return EINVAL;
    if (this.#outside !== undefined) return this.#receiveOutside(this.#outside, sink, flags);
    if (this.#ring.length === 0) return this.#nothingToReceive(sink);
    const target = (flags & MSG_TRUNC) !== 0 ? drain : sink;
    const limit = Math.min(sink.remaining, this.#ring.length);
    if ((flags & MSG_PEEK) !== 0) return this.#ring.peek(target, limit, 0);
    const wasTight = !this.#hasRoom;
    const count = this.#ring.drain(target, limit);
    const peer = this.#peer;
    if (wasTight && this.#hasRoom && peer !== undefined) peer.queue.notify(writable);
    return count;
  }

  #receiveOutside(stream: OutsideStream, sink: Sink, flags: number): SysResult {
    if (this.#error !== 0 || this.#readShut || this.#state !== 'connected')
      return this.#nothingToReceive(sink);
    if (sink.remaining === 0) return 0;
    const count = stream.receive(sink, flags);
    if (count === 0) this.#isEnded = true;
    return count;
  }

  #nothingToReceive(sink: Sink): SysResult {
    if (this.#isEnded) return 0;
    if (this.#error !== 0) return -this.takeError();
    if (this.#readShut) return 0;
    if (this.#state === 'connecting') return EAGAIN;
    if (this.#state !== 'connected') return ENOTCONN;
    return sink.remaining === 0 ? 0 : EAGAIN;
  }

  /** A third free: enough for a sender to be told. */
  get #hasRoom(): boolean {
    return this.#ring.length * 3 <= this.#capacityBytes * 2;
  }

  /**
   * How many bytes may wait here: what the sender's buffer and this one hold together. Half of what
   * is set is for the overhead of segments, which is why Linux doubles what programs ask for.
   */
  get #capacityBytes(): number {
    const own = this.options;
    const sender = this.#peer?.options ?? own;
    const received = own.isReceiveBufferSet ? own.receiveBufferBytes : tunedBufferBytes;
    const sent = sender.isSendBufferSet ? sender.sendBufferBytes : tunedBufferBytes;
    return (received + sent) / 2;
  }

  override optionsChanged(): void {
    this.#outside?.optionsChanged?.();
    const peer = this.#peer;
    if (peer === undefined) return;
    if (peer.#hasRoom) this.queue.notify(writable);
    if (this.#hasRoom) peer.queue.notify(writable);
  }

  override poll(): number {
    if (this.#state === 'listening') return this.#accepted.length > 0 ? readable : 0;
    if (this.#state === 'connecting') return 0;
    let events = this.#error !== 0 ? POLLERR : 0;
    if (this.#readShut && this.#writeShut) events |= POLLHUP;
    if (this.#state === 'closed') events |= POLLHUP | writable;
    if (this.#readShut) events |= readable | POLLRDHUP;
    if (this.#ring.length > 0) events |= readable;
    if (this.#outside !== undefined) return events | this.#pollOutside(this.#outside);
    const peer = this.#peer;
    if (peer === undefined || peer.#hasRoom || this.#writeShut) events |= writable;
    if (this.#error !== 0) events |= readable;
    return events;
  }

  #pollOutside(stream: OutsideStream): number {
    const events = stream.poll();
    const isEnded = (events & POLLRDHUP) !== 0 && this.#writeShut;
    return events | (this.#writeShut ? writable : 0) | (isEnded ? POLLHUP : 0);
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) {
      const unread = this.#outside?.unreadBytes ?? this.#ring.length;
      return this.isListening ? EINVAL : caller.memory.writeU32(argument, unread);
    }
    if (command === SIOCOUTQ)
      return this.isListening
        ? EINVAL
        : caller.memory.writeU32(argument, this.#outside?.unsentBytes ?? 0);
    return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
  }

  override getOption(level: number, name: number): Result<Uint8Array> {
    if (level === SOL_TCP && name === TCP_INFO) return this.#outside?.info?.() ?? this.#info();
    if (level === SOL_TCP && name === TCP_CONGESTION) return new TextEncoder().encode('cubic\0');
    return super.getOption(level, name);
  }

  override setOption(level: number, name: number, value: Uint8Array): SysResult {
    if (level === SOL_TCP && name === TCP_CONGESTION) return 0;
    const set = super.setOption(level, name, value);
    this.#outside?.optionsChanged?.();
    return set;
  }

  /** struct tcp_info with the state; there is no network to tell of. */
  #info(): Uint8Array {
    const bytes = new Uint8Array(104);
    const states = {
      closed: TCP_CLOSE,
      connecting: TCP_SYN_SENT,
      connected: TCP_ESTABLISHED,
      listening: TCP_LISTEN,
    };
    bytes[0] = states[this.#state];
    return bytes;
  }
}

/**
 * Returns the listening socket for a connection from `from` to `to`: an exact address before a
 * wildcard, and one of those that share the port by SO_REUSEPORT.
 */
function listenerFor(to: Endpoint, from: Endpoint): TcpSocket | undefined {
  return bestUser(tcpPorts.at(to.port), to, from, (user) => {
    if (!(user instanceof TcpSocket) || !user.isListening || !accepts(user, to.ip)) return -1;
    return isAny(user.localIp) ? 0 : 1;
  }) as TcpSocket | undefined;
}

/** For /proc/net/tcp and tcp6. */
export function tcpSockets(): Iterable<InetSocket> {
  return tcpPorts.all();
}
