// SPDX-License-Identifier: Apache-2.0
// TCP sockets of the sandbox (tcp(7)): how a program gets connections (TcpConnection) and listens for
// them (TcpListener). Differs from Linux: a buffer whose size was not set does not grow, and close(2)
// never waits for SO_LINGER.
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EPIPE,
  ETIMEDOUT,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import {
  IPPROTO_TCP,
  MSG_FASTOPEN,
  MSG_MORE,
  MSG_OOB,
  SHUT_RD,
  SHUT_WR,
  SOL_TCP,
  TCP_CORK,
  TCP_DEFER_ACCEPT,
  TCP_INFO,
  TCP_LINGER2,
  TCP_MAXSEG,
  TCP_NODELAY,
  TCP_SAVE_SYN,
  TCP_SAVED_SYN,
  TCP_SYNCNT,
  TCP_USER_TIMEOUT,
  TCP_WINDOW_CLAMP,
} from '../../../abi/socket.ts';
import * as states from '../../../abi/tcp.ts';
import type { Timer } from '../../base/timer-queue.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import type { Source } from '../../vfs/io.ts';
import {
  familyOf,
  type SendControl,
  type Socket,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { anyOf, type Endpoint, isAny } from './address.ts';
import { inetStack } from './inet-stack.ts';
import { streamMembership } from './memberships.ts';
import { accepts, bestUser, type PortTable, type PortUser } from './ports.ts';
import { synHeaders } from './saved-syn.ts';
import { everything, readable, TcpConnection, writable } from './tcp-connection.ts';
import { tcpInfo } from './tcp-info.ts';
import { TcpListener } from './tcp-listener.ts';
import { connectSeconds, TcpOptions } from './tcp-options.ts';
import * as st from './tcp-state.ts';
import { TcpStream } from './tcp-stream.ts';
import type { TcpUser } from './tcp-table.ts';
import type { OutsideStream, StreamOwner, WayOut } from './way-out.ts';

export class TcpSocket extends TcpStream implements StreamOwner, TcpUser {
  readonly #credentials: Credentials;
  readonly #tcp: TcpOptions;
  /** How far connect(2) is, beside the state of the connection (enum socket_state). */
  #phase: 'unconnected' | 'connecting' | 'connected' = 'unconnected';
  #listener: TcpListener<TcpSocket> | undefined;
  /** The listener that this connection waits at: for room, or for its first data. */
  #waitsAt: TcpSocket | undefined;
  #timer: Timer | undefined;
  #isCorked = false;
  #savedSyn: Uint8Array | undefined;

  constructor(
    domain: number,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    super(domain, flags, IPPROTO_TCP, credentials, kernel, wayOut);
    this.#credentials = credentials;
    this.#tcp = new TcpOptions(this.inetOptions, kernel.settings);
    const middle = (setting: string): number =>
      Number(kernel.settings.text(setting).split('\t')[1] ?? 0);
    this.options.sendBufferBytes = middle('net.ipv4.tcp_wmem');
    this.options.receiveBufferBytes = middle('net.ipv4.tcp_rmem');
  }

  protected override get ports(): PortTable<PortUser> {
    return inetStack.tcp.ports as PortTable<PortUser>;
  }

  override get isByteStream(): boolean {
    return true;
  }

  override get raisesSigpipe(): boolean {
    return true;
  }

  override get tableState(): number {
    return this.connection.state;
  }

  /** Bytes on their way to the other end, and those that wait to be read, for /proc/net/tcp. */
  get queueBytes(): { readonly unsent: number; readonly unread: number } {
    const { incoming, outgoing } = this.connection;
    const unread = this.#listener?.accepted.length ?? incoming.arrivedBytes;
    return { unsent: outgoing?.unsentBytes ?? 0, unread };
  }

  override get isListening(): boolean {
    return this.#listener !== undefined;
  }

  get isPortShared(): boolean {
    return !this.isPortBound && this.#listener === undefined && this.remote !== undefined;
  }

  protected override get isBindable(): boolean {
    return this.connection.state === states.TCP_CLOSE;
  }

  /** SO_REUSEADDR lets sockets share a port unless one of them listens. */
  override get mayShareAddress(): boolean {
    return this.options.reuseAddress && !this.isListening;
  }

  arrived(): void {
    const at = this.#waitsAt;
    if (at === undefined || at.#listener?.admit(this) !== true) return;
    this.#waitsAt = undefined;
    at.queue.notify(readable);
  }

  enterTimeWait(state: number): void {
    if (state === states.TCP_TIME_WAIT) {
      inetStack.tcp.wait(this, this.kernel);
      return;
    }
    const seconds = this.inetOptions.value(SOL_TCP, TCP_LINGER2);
    if (seconds < 0) this.connection.reset();
    else this.#timer ??= this.after(seconds * 1e9, () => this.connection.end(0));
  }

  connectionClosed(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const at = this.#waitsAt;
    this.#waitsAt = undefined;
    if (at !== undefined) {
      at.#listener?.giveUp(this);
      // A connection that nobody accepted yet keeps its place: accept(2) gives it.
      at.#listener?.admit(this);
    }
    inetStack.tcp.removeConnection(this);
    if (this.isOrphan || !this.isPortBound) this.unbind();
  }

  // Connections

  override listen(backlog: number, _caller: SocketCaller): SysResult {
    const { state } = this.connection;
    if (this.#listener !== undefined) {
      this.#listener.backlog = backlog;
      return 0;
    }
    if (this.#phase !== 'unconnected' || state !== states.TCP_CLOSE) return EINVAL;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    // Two that share the port by SO_REUSEADDR may not both listen.
    if (!inetStack.tcp.ports.isFree(this.localPort, this)) return EADDRINUSE;
    this.#listener = new TcpListener(backlog);
    this.connection.state = states.TCP_LISTEN;
    inetStack.tcp.addListener(this);
    return 0;
  }

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    if (bytes.length < 2) return EINVAL;
    if (familyOf(bytes) === 0) return this.#disconnect();
    const { state } = this.connection;
    if (this.#phase === 'connected') return EISCONN;
    if (this.#phase === 'connecting') {
      return state === states.TCP_SYN_SENT && this.#isNonblocking ? EALREADY : this.connectAgain();
    }
    if (state !== states.TCP_CLOSE) return EISCONN;
    const to = this.destination(bytes);
    if (isErrno(to)) return to;
    const bound = this.#bindForConnect(to);
    if (isErrno(bound)) return bound;
    this.#begin(to);
    return this.#isNonblocking ? EINPROGRESS : this.connectAgain();
  }

  /** No time to wait is as good as O_NONBLOCK (SO_SNDTIMEO). */
  get #isNonblocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0 || this.options.sendTimeoutNs === 0;
  }

  override connectAgain(): SysResult {
    const { state } = this.connection;
    if (state === states.TCP_SYN_SENT) return EAGAIN;
    if (state === states.TCP_CLOSE) {
      const error = this.takeError();
      this.#disconnect();
      return error === 0 ? ECONNABORTED : -error;
    }
    this.#phase = 'connected';
    return 0;
  }

  override connectTimedOut(): SysResult {
    return EINPROGRESS;
  }

  /** A port from which `to` can be reached (inet_hash_connect). */
  #bindForConnect(to: Endpoint): SysResult {
    const { tcp } = inetStack;
    const ip = this.sourceFor(to);
    const isFree = (local: number): boolean =>
      tcp.isTupleFree({ ip, port: local }, to, this.kernel);
    if (this.localPort !== 0) return isFree(this.localPort) ? 0 : EADDRNOTAVAIL;
    const port = tcp.ports.ephemeral(this.portRange, (candidate, users) => {
      for (const user of users) if (!user.isPortShared) return false;
      return isFree(candidate);
    });
    if (port === 0) return EADDRNOTAVAIL;
    this.takePort(port);
    return 0;
  }

  #begin(to: Endpoint): void {
    this.localIp = this.sourceFor(to);
    this.remote = to;
    this.#phase = 'connecting';
    this.connection = new TcpConnection(this);
    this.connection.state = states.TCP_SYN_SENT;
    inetStack.tcp.addConnection(this);
    const from = { ip: this.localIp, port: this.localPort };
    if (!this.isInside(to.ip)) {
      const stream = this.wayOut.connect(this, from, to);
      if (isErrno(stream)) this.outsideFailed(stream);
      else this.outside = stream;
      return;
    }
    if (to.port === from.port && to.ip === from.ip) {
      TcpConnection.join(this.connection, this.connection);
      return;
    }
    const listening = TcpSocket.listenerAt(to, from);
    if (listening === undefined) this.connection.receiveReset();
    else if (listening.#listener?.hasRoom === true) this.#establish(listening);
    else this.#waitFor(listening);
  }

  /** The backlog has no room: the SYN is sent again now and then, and no answer comes. */
  #waitFor(listening: TcpSocket): void {
    this.#waitsAt = listening;
    listening.#listener?.waitForRoom(this);
    const timeoutMs = this.inetOptions.value(SOL_TCP, TCP_USER_TIMEOUT);
    const retries = this.inetOptions.value(SOL_TCP, TCP_SYNCNT);
    const seconds = timeoutMs === 0 ? connectSeconds(retries) : timeoutMs / 1000;
    this.#timer = this.after(seconds * 1e9, () => this.connection.end(-ETIMEDOUT));
  }

  /**
   * The listening socket for a connection from `from` to `to`: an exact address before a wildcard, and
   * one of those that share the port by SO_REUSEPORT.
   */
  static listenerAt(to: Endpoint, from: Endpoint): TcpSocket | undefined {
    return bestUser(inetStack.tcp.listenersAt(to.port), to, from, (user) =>
      accepts(user, to.ip) ? (isAny(user.localIp) ? 0 : 1) : -1,
    );
  }

  /** StreamOwner. */
  outsideConnected(): void {
    this.connection.state = states.TCP_ESTABLISHED;
    this.queue.notify(writable);
  }

  /** StreamOwner. */
  outsideFailed(error: number): void {
    this.outside?.close(true);
    this.outside = undefined;
    // A program that was told of the end already gets EPIPE.
    this.connection.end(this.connection.isDone ? -EPIPE : -error);
  }

  /** How many connections may be put into the queue of accept(2). */
  get acceptRoom(): number {
    const listener = this.#listener;
    return listener === undefined ? 0 : listener.backlog + 1 - listener.accepted.length;
  }

  get backlog(): number {
    return this.#listener?.backlog ?? 0;
  }

  /** A connection from outside, which the way out has made already. False where the queue is full. */
  acceptOutside(
    at: Endpoint,
    from: Endpoint,
    open: (owner: StreamOwner) => OutsideStream,
  ): boolean {
    if (this.acceptRoom <= 0) return false;
    const served = this.#serve(at, from);
    served.connection.state = states.TCP_ESTABLISHED;
    served.outside = open(served);
    this.#listener?.accepted.push(served);
    this.queue.notify(readable);
    return true;
  }

  /** For the way out: true where somebody listens on `at` and has room for the connection. */
  static acceptFromOutside(
    at: Endpoint,
    from: Endpoint,
    open: (owner: StreamOwner) => OutsideStream,
  ): boolean {
    return TcpSocket.listenerAt(at, from)?.acceptOutside(at, from, open) ?? false;
  }

  /** The socket that accept(2) answers for a connection from `from` to `at`. */
  #serve(at: Endpoint, from: Endpoint): TcpSocket {
    const { domain, kernel, wayOut } = this;
    const served = new TcpSocket(domain, 0, this.#credentials, kernel, wayOut);
    this.options.copyTo(served.options);
    this.inetOptions.copyTo(served.inetOptions);
    this.#tcp.copyTo(served.#tcp);
    served.localIp = at.ip;
    served.takePort(at.port);
    served.remote = from;
    served.#phase = 'connected';
    inetStack.tcp.addConnection(served);
    if (this.inetOptions.value(SOL_TCP, TCP_SAVE_SYN) !== 0)
      served.#savedSyn = synHeaders(from, at, 0);
    return served;
  }

  #establish(listening: TcpSocket): void {
    const near = { ip: this.localIp, port: this.localPort };
    const served = listening.#serve(this.remote as Endpoint, near);
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waitsAt = undefined;
    TcpConnection.join(this.connection, served.connection);
    listening.#admit(served);
    this.queue.notify(writable);
  }

  #admit(served: TcpSocket): void {
    const listener = this.#listener as TcpListener<TcpSocket>;
    const seconds = this.inetOptions.value(SOL_TCP, TCP_DEFER_ACCEPT);
    if (seconds > 0) {
      served.#waitsAt = this;
      listener.defer(
        served,
        this.after(seconds * 1e9, () => served.arrived()),
      );
      return;
    }
    listener.accepted.push(served);
    this.queue.notify(readable);
  }

  /** connect to AF_UNSPEC, or the end of an attempt (tcp_disconnect). */
  #disconnect(): SysResult {
    const { state } = this.connection;
    if (state === states.TCP_LISTEN) this.#stopListening();
    else if (this.outside !== undefined) this.#closeOutside(true);
    else if (state !== states.TCP_CLOSE) this.connection.reset();
    const isError = st.needsReset(state) || state === states.TCP_SYN_SENT;
    this.connection.incoming.release();
    this.connection = new TcpConnection(this);
    if (isError) this.connection.error = -ECONNRESET;
    this.#phase = 'unconnected';
    this.remote = undefined;
    if (!this.isAddressBound) this.localIp = anyOf(this.domain);
    if (!this.isPortBound) this.unbind();
    this.queue.notify(everything);
    return 0;
  }

  override accept(flags: number, _caller: SocketCaller): Result<Socket> {
    const listener = this.#listener;
    if (listener === undefined) return EINVAL;
    const served = listener.accepted.shift();
    if (served === undefined) return EAGAIN;
    served.flags |= flags;
    const next = listener.nextWaiting();
    if (next !== undefined) next.#establish(this);
    return served;
  }

  override shutdown(how: number): SysResult {
    const connection = this.connection;
    const { state } = connection;
    if (this.#phase === 'connecting' && state !== states.TCP_SYN_SENT && state !== states.TCP_CLOSE)
      this.#phase = 'connected';
    if (state === states.TCP_LISTEN) return how === SHUT_WR ? 0 : this.#disconnect();
    if (state === states.TCP_SYN_SENT) {
      this.#disconnect();
      return 0;
    }
    connection.shut |= how === SHUT_RD ? 1 : how === SHUT_WR ? 2 : 3;
    if (how !== SHUT_RD) {
      connection.sendEnd();
      this.outside?.endSending();
    }
    this.queue.notify(everything);
    return state === states.TCP_CLOSE ? ENOTCONN : 0;
  }

  override close(): void {
    this.isOrphan = true;
    const connection = this.connection;
    const { state } = connection;
    const { lingerOn, lingerSeconds } = this.options;
    if (state === states.TCP_LISTEN) this.#stopListening();
    else if (this.outside !== undefined)
      this.#closeOutside(this.outside.unreadBytes > 0 || (lingerOn && lingerSeconds === 0));
    else if (connection.incoming.arrivedBytes > 0 || (lingerOn && lingerSeconds === 0))
      connection.reset();
    else if (state === states.TCP_SYN_SENT) connection.end(0);
    else if (state !== states.TCP_CLOSE) {
      connection.shut = st.SHUTDOWN_MASK;
      connection.sendEnd();
      if (connection.state === states.TCP_FIN_WAIT2 && this.#timer === undefined)
        this.enterTimeWait(states.TCP_FIN_WAIT2);
    }
    if (connection.state === states.TCP_CLOSE) this.unbind();
    if (state === states.TCP_CLOSE) connection.incoming.release();
  }

  #closeOutside(resets: boolean): void {
    this.outside?.close(resets);
    this.outside = undefined;
    this.connection.end(0);
  }

  #stopListening(): void {
    const listener = this.#listener as TcpListener<TcpSocket>;
    inetStack.tcp.removeListener(this);
    this.#listener = undefined;
    this.connection.state = states.TCP_CLOSE;
    const { made, waiting } = listener.close();
    for (const served of made) {
      served.#waitsAt = undefined;
      served.isOrphan = true;
      served.connection.reset();
      served.unbind();
    }
    for (const client of waiting) {
      client.#waitsAt = undefined;
      client.connection.end(-ECONNREFUSED);
    }
    this.queue.notify(everything);
  }

  override peerAddress(): Result<Uint8Array> {
    const { state } = this.connection;
    return state === states.TCP_CLOSE || state === states.TCP_SYN_SENT
      ? ENOTCONN
      : super.peerAddress();
  }

  override acceptedAddress(): Result<Uint8Array> {
    return super.peerAddress();
  }

  override takeError(): number {
    return this.connection.takeError();
  }

  // Data

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    _control: SendControl,
    caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_FASTOPEN) !== 0 && address !== undefined && caller !== undefined) {
      const begun = this.#phase === 'connected' ? 0 : this.connect(address, caller);
      if (isErrno(begun)) return begun;
    }
    const connection = this.connection;
    if (!st.maySend(connection.state)) {
      const error = connection.takeError();
      if (error !== 0) return -error;
      return connection.state === states.TCP_SYN_SENT ? EAGAIN : EPIPE;
    }
    if (connection.error !== 0 || (connection.shut & st.SEND_SHUTDOWN) !== 0) {
      const error = connection.takeError();
      return error === 0 ? EPIPE : -error;
    }
    if (source.remaining === 0) return 0;
    if (this.outside !== undefined) return this.outside.send(source, flags);
    const { room } = connection;
    if (room <= 0) return EAGAIN;
    const isHeld = this.#isCorked || (flags & MSG_MORE) !== 0;
    return connection.send(source, room, isHeld, (flags & MSG_OOB) !== 0);
  }

  override poll(): number {
    const listener = this.#listener;
    if (listener === undefined) return super.poll();
    return listener.accepted.length > 0 ? readable : 0;
  }

  override getOption(level: number, name: number): Result<Uint8Array> {
    if (level !== SOL_TCP) return super.getOption(level, name);
    if (name === TCP_INFO) return this.outside?.info?.() ?? this.#info();
    if (name === TCP_SAVED_SYN) {
      const headers = this.#savedSyn ?? new Uint8Array(0);
      this.#savedSyn = undefined;
      return headers;
    }
    if (name === TCP_MAXSEG) {
      const wanted = this.inetOptions.value(SOL_TCP, TCP_MAXSEG);
      const { state } = this.connection;
      const isFresh = state === states.TCP_CLOSE || state === states.TCP_LISTEN;
      const shown = isFresh ? (wanted === 0 ? 536 : wanted) : Math.min(this.segmentBytes, 32_741);
      return new Uint8Array(Int32Array.of(shown).buffer);
    }
    return this.#tcp.get(name) ?? super.getOption(level, name);
  }

  override setOption(
    level: number,
    name: number,
    value: Uint8Array,
    caller: SocketCaller,
  ): SysResult {
    if (level !== SOL_TCP)
      return streamMembership(level, name, value) ?? super.setOption(level, name, value, caller);
    const { state } = this.connection;
    const set =
      this.#tcp.set(name, value, state, this.kernel.settings) ??
      super.setOption(level, name, value, caller);
    if (isErrno(set)) return set;
    if (name === TCP_CORK) this.#isCorked = this.inetOptions.value(SOL_TCP, TCP_CORK) !== 0;
    const pushes = (name === TCP_CORK && !this.#isCorked) || name === TCP_NODELAY;
    if (pushes) this.connection.release();
    this.outside?.optionsChanged?.();
    return set;
  }

  #info(): Uint8Array {
    const listener = this.#listener;
    const figures =
      listener === undefined
        ? undefined
        : { waiting: listener.accepted.length, backlog: listener.backlog };
    const clamp = this.inetOptions.value(SOL_TCP, TCP_WINDOW_CLAMP);
    return tcpInfo(this.connection, figures, this.monotonicNs, clamp);
  }
}
