// SPDX-License-Identifier: Apache-2.0
// AF_UNIX sockets (unix(7)): names, connections and their ends, which all types share. How bytes
// and messages pass is in stream-socket.ts and message-socket.ts. Rules: net/unix/af_unix.c of
// Linux.
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { FIONREAD, SIOCOUTQ } from '../../../abi/ioctl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import {
  AF_UNIX,
  MSG_OOB,
  MSG_PEEK,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_PEEK_OFF,
  SOCK_DGRAM,
} from '../../../abi/socket.ts';
import { sameIdRanges } from '../../../protocol/id-ranges.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Source } from '../../vfs/io.ts';
import {
  type PeerCredentials,
  type SendControl,
  Socket,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { BoundName } from './bound-name.ts';
import { type FileBundle, type FlyingSocket, launch, queueMoved, suspect } from './in-flight.ts';
import { type Owner, ownerOf, senderOf } from './owner.ts';
import { SendAccount } from './send-account.ts';

const nobody: PeerCredentials = {
  pid: 0,
  pids: undefined,
  ids: sameIdRanges,
  uid: 65_534,
  gid: 65_534,
};

/** net.unix.max_dgram_qlen: messages that wait at a socket whose sender is not its peer. */
export const maxDatagramQueue = 10;

/** Bytes or messages that wait at a socket. */
export interface Inbox {
  readonly isEmpty: boolean;
  /** How much the next read would give (FIONREAD). */
  readonly nextBytes: number;
  /** Throws all away. */
  clear(): void;
  /** The files of every message that waits. */
  bundlesWaiting(): FileBundle[];
  /** Takes those files out; the bytes stay. */
  takeBundles(): FileBundle[];
}

export abstract class UnixSocket extends Socket implements FlyingSocket {
  readonly domain: number = AF_UNIX;
  readonly type: number;
  inFlight = 0;
  launches = 0;
  readonly name: BoundName;
  readonly sent: SendAccount;
  /** The other end; undefined before there is one, and once that or this is closed. */
  peer: UnixSocket | undefined = undefined;
  /** Stays true when the peer has gone. */
  isConnected = false;
  isClosed = false;
  isReadShut = false;
  isWriteShut = false;
  protected readonly kernel: SocketKernel;
  /**
   * The maker of the socket. Sends through read(2)-like calls without a task carry its credentials.
   */
  #owner: Owner;
  #peerOwner: Owner | undefined;
  /** Positive errno for SO_ERROR and the next call; 0 for none. */
  #error = 0;
  /** Connections made and not yet accepted; undefined: not listening. */
  #pending: UnixSocket[] | undefined;
  #backlog = 0;
  /** Sockets whose send or connect waits for room in this one. */
  readonly #blocked = new Set<UnixSocket>();

  constructor(
    type: number,
    flags: number,
    protocol: number,
    caller: SocketCaller,
    kernel: SocketKernel,
  ) {
    super(flags, protocol, caller.credentials, kernel.clock);
    this.options.useDefaults(kernel.settings);
    this.type = type;
    this.kernel = kernel;
    this.name = new BoundName(kernel.network.abstractNames);
    this.sent = new SendAccount(this.options, this.queue);
    this.#owner = ownerOf(caller);
    kernel.network.abstractNames.all.add(this);
  }

  get isConnectionOriented(): boolean {
    return this.type !== SOCK_DGRAM;
  }

  override get isListening(): boolean {
    return this.#pending !== undefined;
  }

  // Names

  override bind(bytes: Uint8Array, caller: SocketCaller): SysResult {
    return this.name.bind(this, bytes, caller);
  }

  /** With SO_PASSCRED Linux names every socket that connects or sends. */
  protected autobindForCredentials(): SysResult {
    return this.options.passCredentials ? this.name.autobind(this) : 0;
  }

  override localAddress(): Uint8Array {
    return this.name.encode();
  }

  override peerAddress(): Result<Uint8Array> {
    return this.peer === undefined ? ENOTCONN : this.peer.localAddress();
  }

  // Connections

  override listen(backlog: number, caller: SocketCaller): SysResult {
    if (!this.isConnectionOriented) return EOPNOTSUPP;
    if (this.name.isUnnamed || this.isConnected) return EINVAL;
    this.#pending ??= [];
    this.#backlog = backlog;
    this.#owner = ownerOf(caller);
    this.#peerOwner = this.#owner;
    return 0;
  }

  override connect(bytes: Uint8Array, caller: SocketCaller): SysResult {
    const bound = this.autobindForCredentials();
    if (isErrno(bound)) return bound;
    const listener = this.name.find(bytes, this.type, caller);
    if (isErrno(listener)) return listener;
    if (this.isConnected) return EISCONN;
    if (this.isListening) return EINVAL;
    const pending = listener.#pending;
    if (pending === undefined || listener.isReadShut) return ECONNREFUSED;
    if (pending.length > listener.#backlog) {
      listener.wakeWhenRoom(this);
      return EAGAIN;
    }
    this.#owner = ownerOf(caller);
    const served = this.newServed(caller);
    served.#owner = listener.#owner;
    served.name.showThatOf(listener.name);
    listener.options.copyTo(served.options);
    served.options.passCredentials = listener.options.passCredentials;
    UnixSocket.joinPair(this, served);
    pending.push(served);
    listener.queue.notify(POLLIN | POLLRDNORM);
    return 0;
  }

  /** A socket of this one's type for the listener's side of a connection. */
  protected abstract newServed(caller: SocketCaller): UnixSocket;

  override accept(flags: number, _caller: SocketCaller): Result<Socket> {
    if (!this.isConnectionOriented) return EOPNOTSUPP;
    if (this.#pending === undefined) return EINVAL;
    const socket = this.#pending.shift();
    if (socket === undefined) return this.isReadShut ? EINVAL : EAGAIN;
    queueMoved(socket.inbox.bundlesWaiting());
    this.wakeBlocked();
    socket.flags |= flags;
    return socket;
  }

  /** socketpair(2): two new sockets of one type become each other's peers. */
  static joinPair(a: UnixSocket, b: UnixSocket): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.peer = to;
      from.#peerOwner = to.#owner;
      from.isConnected = true;
    }
  }

  override shutdown(how: number): SysResult {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    this.#shut(how !== SHUT_WR, how !== SHUT_RD);
    const { peer } = this;
    if (this.isConnectionOriented && peer !== undefined)
      peer.#shut(how !== SHUT_RD, how !== SHUT_WR);
    return 0;
  }

  #shut(reading: boolean, writing: boolean): void {
    this.isReadShut ||= reading;
    this.isWriteShut ||= writing;
    const both = this.isReadShut && this.isWriteShut;
    this.queue.notify(
      POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM | (both ? POLLHUP : 0),
    );
  }

  override release(): void {
    super.release();
    if (this.inFlight > 0 && this.references === this.inFlight) suspect();
  }

  override close(): void {
    this.#close(false);
  }

  /** `unaccepted`: a connection that its listener never accepted. */
  #close(unaccepted: boolean): void {
    this.isClosed = true;
    this.kernel.network.abstractNames.all.delete(this);
    this.name.unbind(this);
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) for (const socket of pending) socket.#close(true);
    const { peer } = this;
    if (peer !== undefined && this.isConnectionOriented) {
      if (unaccepted || !this.inbox.isEmpty) peer.#fail(-ECONNRESET);
      peer.#shut(true, true);
    }
    this.peer = undefined;
    this.inbox.clear();
    this.wakeBlocked();
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

  override peerCredentials(): PeerCredentials | undefined {
    return this.#peerOwner?.credentials;
  }

  override peerGroups(): readonly number[] | undefined {
    return this.#peerOwner?.groups;
  }

  // Data

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    control: SendControl,
    caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (caller !== undefined) {
      const bound = this.autobindForCredentials();
      if (isErrno(bound)) return bound;
    }
    const sender =
      control.credentials ?? (caller === undefined ? this.#owner.credentials : senderOf(caller));
    return this.sendFrom(source, address, control, sender, caller);
  }

  /**
   * The sender that a receiver is shown: nobody, where neither end asked for credentials when the
   * message was sent (unix_maybe_add_creds).
   */
  protected shownSender(
    target: UnixSocket,
    sender: PeerCredentials,
    control: SendControl,
  ): PeerCredentials {
    const isAsked =
      control.credentials !== undefined ||
      this.options.asksForSender() ||
      target.options.asksForSender() ||
      // A connection that nobody accepted yet has asked for nothing, but may.
      target.references === 0;
    return isAsked ? sender : nobody;
  }

  /** SO_PEEK_OFF: how many bytes a look passes over; the option is off below 0. */
  protected get peekOffset(): number {
    return Math.max(0, this.options.number(SO_PEEK_OFF, -1));
  }

  /** `count` bytes were looked at, or taken. */
  protected peeked(flags: number, count: number): void {
    const at = this.options.number(SO_PEEK_OFF, -1);
    if (at < 0) return;
    const moved = (flags & MSG_PEEK) !== 0 ? at + count : Math.max(0, at - count);
    this.options.setNumber(SO_PEEK_OFF, moved);
  }

  override setOption(_level: number, _name: number, _value: Uint8Array): SysResult {
    return EOPNOTSUPP;
  }

  /** send(2) in the name of `sender`. */
  protected abstract sendFrom(
    source: Source,
    address: Uint8Array | undefined,
    control: SendControl,
    sender: PeerCredentials,
    caller: SocketCaller | undefined,
  ): SysResult;

  /**
   * `socket` may not send or connect to this one now: its writers are woken when that may be
   * possible again.
   */
  wakeWhenRoom(socket: UnixSocket): void {
    this.#blocked.add(socket);
  }

  protected wakeBlocked(): void {
    if (this.#blocked.size === 0) return;
    const blocked = [...this.#blocked];
    this.#blocked.clear();
    for (const socket of blocked) socket.queue.notify(POLLOUT | POLLWRNORM);
  }

  protected get isWritable(): boolean {
    return this.sent.hasRoom;
  }

  /** The messages or bytes that wait here to be received. */
  protected abstract readonly inbox: Inbox;

  override poll(): number {
    let events = 0;
    const both = this.isReadShut && this.isWriteShut;
    if (this.#error !== 0) events |= POLLERR;
    if (both) events |= POLLHUP;
    if (this.isReadShut) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.isListening)
      return (this.#pending?.length ?? 0) > 0 ? events | POLLIN | POLLRDNORM : events;
    if (!this.inbox.isEmpty) events |= POLLIN | POLLRDNORM;
    if (this.isConnectionOriented && !this.isConnected) events |= POLLHUP;
    if (this.isWritable) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === SIOCOUTQ) return caller.memory.writeU32(argument, this.sent.chargedBytes);
    if (command !== FIONREAD)
      return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
    if (this.isListening) return EINVAL;
    return caller.memory.writeU32(argument, this.inbox.nextBytes);
  }

  override optionsChanged(): void {
    this.sent.announceRoom();
  }

  override information(): string {
    const files = this.bundlesWaiting().reduce((sum, bundle) => sum + bundle.files.length, 0);
    return `scm_fds: ${files}\n`;
  }

  // FlyingSocket

  bundlesWaiting(): FileBundle[] {
    return [
      this.inbox.bundlesWaiting(),
      ...(this.#pending ?? []).map((socket) => socket.bundlesWaiting()),
    ].flat();
  }

  takeBundles(): FileBundle[] {
    return [
      this.inbox.takeBundles(),
      ...(this.#pending ?? []).map((socket) => socket.takeBundles()),
    ].flat();
  }
}

/**
 * The files of a message on their way: undefined where it has none, ETOOMANYREFS where too many fly
 * already.
 */
export function bundleOf(
  control: SendControl,
  caller: SocketCaller | undefined,
): Result<FileBundle> | undefined {
  return control.files.length === 0 || caller === undefined
    ? undefined
    : launch(control.files, caller);
}
