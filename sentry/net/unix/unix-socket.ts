// AF_UNIX sockets (unix(7)): stream, datagram and seqpacket. Rules: net/unix/af_unix.c of Linux.
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EFAULT,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOSPC,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTOTYPE,
  isErrno,
  type Result,
  type SysResult,
  toErrno,
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
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
} from '../../../abi/socket.ts';
import type { Clock } from '../../base/clock.ts';
import { settings } from '../../base/settings.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { Path } from '../../vfs/path.ts';
import { currentNetwork } from '../network.ts';
import {
  type PeerCredentials,
  type Received,
  type SendControl,
  Socket,
  type SocketCaller,
} from '../socket.ts';
import {
  abstractSocket,
  bindAbstract,
  bindNode,
  encodeUnixAddress,
  freeAbstractName,
  parseUnixAddress,
  type UnixAddress,
  unbindAbstract,
  unbindNode,
  unnamed,
} from './address.ts';
import { ByteInbox } from './byte-inbox.ts';
import { type FileBundle, type FlyingSocket, launch, suspect } from './in-flight.ts';
import { MessageInbox } from './message-inbox.ts';
import { makeSocketNode, socketAtPath } from './socket-path.ts';

/** net.unix.max_dgram_qlen: messages that wait at a socket whose sender is not its peer. */
const maxDatagramQueue = 10;
/** What a message counts besides its bytes: about an sk_buff. */
const messageOverheadBytes = 768;

/** Who makes a socket, as SO_PEERCRED of the other side shows it. */
interface Owner {
  readonly credentials: PeerCredentials;
  readonly groups: readonly number[];
}

export class UnixSocket extends Socket implements FlyingSocket {
  readonly domain: number = AF_UNIX;
  readonly type: number;
  inFlight = 0;
  readonly #bytes = new ByteInbox();
  readonly #messages: MessageInbox;
  readonly #clock: Clock;
  /** Who made it: sends through read(2)-like calls without a task carry these. */
  #owner: Owner;
  #address: UnixAddress = unnamed;
  #path: Path | undefined;
  #peer: UnixSocket | undefined;
  #peerOwner: Owner | undefined;
  #connected = false;
  #closed = false;
  #readShut = false;
  #writeShut = false;
  /** Positive errno for SO_ERROR and the next call; 0 for none. */
  #error = 0;
  /** Connections made and not yet accepted; undefined: not listening. */
  #pending: UnixSocket[] | undefined;
  #backlog: number = maxDatagramQueue;
  /** Bytes sent that nobody received yet. */
  #charged = 0;
  /** Sockets whose send or connect waits for room in this one. */
  readonly #blocked = new Set<UnixSocket>();

  constructor(type: number, flags: number, protocol: number, caller: SocketCaller, clock: Clock) {
    super(flags, protocol, caller.credentials, clock);
    this.type = type;
    this.#clock = clock;
    this.#messages = new MessageInbox(type);
    this.#owner = ownerOf(caller);
  }

  get isConnectionOriented(): boolean {
    return this.type !== SOCK_DGRAM;
  }

  override get isByteStream(): boolean {
    return this.type === SOCK_STREAM;
  }

  override get raisesSigpipe(): boolean {
    return this.type === SOCK_STREAM;
  }

  override get isListening(): boolean {
    return this.#pending !== undefined;
  }

  // Names

  override bind(bytes: Uint8Array, caller: SocketCaller): SysResult {
    const address = parseUnixAddress(bytes);
    if (isErrno(address)) return address;
    if (address.kind === 'unnamed') return this.#autobind();
    // Linux makes the node before it looks whether the socket has a name.
    const isTaken =
      address.kind === 'path' && isErrno(socketAtPath(address.name, caller)) === false;
    if (this.#address.kind !== 'unnamed') return isTaken ? EADDRINUSE : EINVAL;
    if (address.kind === 'abstract') {
      if (!bindAbstract(address.name, this)) return EADDRINUSE;
    } else {
      const path = makeSocketNode(address.name, caller);
      if (isErrno(path)) return path;
      path.pin();
      this.#path = path;
      bindNode(path.node, this);
    }
    this.#address = address;
    return 0;
  }

  #autobind(): SysResult {
    if (this.#address.kind !== 'unnamed') return 0;
    const name = freeAbstractName();
    if (name === undefined) return ENOSPC;
    bindAbstract(name, this);
    this.#address = { kind: 'abstract', name };
    return 0;
  }

  #autobindForCredentials(): SysResult {
    return this.options.passCredentials ? this.#autobind() : 0;
  }

  override localAddress(): Uint8Array {
    return encodeUnixAddress(this.#address);
  }

  override peerAddress(): Result<Uint8Array> {
    return this.#peer === undefined ? ENOTCONN : encodeUnixAddress(this.#peer.#address);
  }

  /** The socket that `bytes` names, of this one's type. */
  #find(bytes: Uint8Array, caller: SocketCaller): Result<UnixSocket> {
    const address = parseUnixAddress(bytes);
    if (isErrno(address)) return address;
    if (address.kind === 'unnamed') return EINVAL;
    const found =
      address.kind === 'abstract'
        ? abstractSocket(address.name)
        : socketAtPath(address.name, caller);
    if (found === undefined) return ECONNREFUSED;
    if (isErrno(found)) return found;
    return found.type === this.type ? found : EPROTOTYPE;
  }

  // Connections

  override listen(backlog: number, caller: SocketCaller): SysResult {
    if (!this.isConnectionOriented) return EOPNOTSUPP;
    if (this.#address.kind === 'unnamed' || this.#connected) return EINVAL;
    this.#pending ??= [];
    // A negative one is unsigned to Linux, and so is cut to somaxconn.
    this.#backlog = Math.min(backlog >>> 0, settings.number('net.core.somaxconn'));
    this.#owner = ownerOf(caller);
    this.#peerOwner = this.#owner;
    return 0;
  }

  override connect(bytes: Uint8Array, caller: SocketCaller): SysResult {
    if (!this.isConnectionOriented) return this.#connectDatagrams(bytes, caller);
    const bound = this.#autobindForCredentials();
    if (isErrno(bound)) return bound;
    const listener = this.#find(bytes, caller);
    if (isErrno(listener)) return listener;
    if (this.#connected) return EISCONN;
    if (this.isListening) return EINVAL;
    const pending = listener.#pending;
    if (pending === undefined || listener.#readShut) return ECONNREFUSED;
    if (pending.length > listener.#backlog) {
      listener.#blocked.add(this);
      return EAGAIN;
    }
    this.#owner = ownerOf(caller);
    const served = new UnixSocket(this.type, 0, this.protocol, caller, this.#clock);
    served.#owner = listener.#owner;
    served.#address = listener.#address;
    listener.options.copyTo(served.options);
    served.options.passCredentials = listener.options.passCredentials;
    UnixSocket.joinPair(this, served);
    pending.push(served);
    listener.queue.notify(POLLIN | POLLRDNORM);
    return 0;
  }

  #connectDatagrams(bytes: Uint8Array, caller: SocketCaller): SysResult {
    // AF_UNSPEC dissolves the association.
    if (bytes.length >= 2 && bytes[0] === 0 && bytes[1] === 0) {
      this.#peer = undefined;
      this.#connected = false;
      return 0;
    }
    const bound = this.#autobindForCredentials();
    if (isErrno(bound)) return bound;
    const peer = this.#find(bytes, caller);
    if (isErrno(peer)) return peer;
    if (!this.#mayTalkTo(peer)) return EPERM;
    this.#peer = peer;
    this.#connected = true;
    return 0;
  }

  override accept(flags: number, _caller: SocketCaller): Result<Socket> {
    if (!this.isConnectionOriented) return EOPNOTSUPP;
    if (this.#pending === undefined) return EINVAL;
    const socket = this.#pending.shift();
    if (socket === undefined) return this.#readShut ? EINVAL : EAGAIN;
    this.#wakeBlocked();
    socket.flags |= flags;
    return socket;
  }

  /** socketpair(2): two new sockets become each other's peers. */
  static joinPair(a: UnixSocket, b: UnixSocket): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.#peer = to;
      from.#peerOwner = to.#owner;
      from.#connected = true;
    }
  }

  /** Only its own peer may send to a socket that has one. */
  #mayTalkTo(target: UnixSocket): boolean {
    return target.#peer === undefined || target.#peer === this;
  }

  override shutdown(how: number): SysResult {
    if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
    this.#shut(how !== SHUT_WR, how !== SHUT_RD);
    const peer = this.#peer;
    if (this.isConnectionOriented && peer !== undefined)
      peer.#shut(how !== SHUT_RD, how !== SHUT_WR);
    return 0;
  }

  #shut(reading: boolean, writing: boolean): void {
    this.#readShut ||= reading;
    this.#writeShut ||= writing;
    const both = this.#readShut && this.#writeShut;
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
    this.#closed = true;
    if (this.#address.kind === 'abstract' && abstractSocket(this.#address.name) === this) {
      unbindAbstract(this.#address.name);
    }
    if (this.#path !== undefined) {
      unbindNode(this.#path.node);
      this.#path.unpin();
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) for (const socket of pending) socket.#close(true);
    const peer = this.#peer;
    if (peer !== undefined && this.isConnectionOriented) {
      if (unaccepted || this.#bytes.length > 0 || this.#messages.count > 0) peer.#fail(-ECONNRESET);
      peer.#shut(true, true);
    }
    this.#peer = undefined;
    this.#bytes.clear();
    this.#messages.clear();
    this.#wakeBlocked();
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

  // Sending

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    control: SendControl,
    caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (caller !== undefined) {
      const bound = this.#autobindForCredentials();
      if (isErrno(bound)) return bound;
    }
    const sender =
      control.credentials ??
      (caller === undefined ? this.#owner.credentials : credentialsOf(caller));
    if (this.type === SOCK_STREAM) return this.#sendBytes(source, address, control, sender, caller);
    return this.#sendMessage(source, address, control, sender, caller);
  }

  #sendBytes(
    source: Source,
    address: Uint8Array | undefined,
    control: SendControl,
    sender: PeerCredentials,
    caller: SocketCaller | undefined,
  ): SysResult {
    if (address !== undefined) return this.#connected ? EISCONN : EOPNOTSUPP;
    if (!this.#connected) return ENOTCONN;
    const peer = this.#peer;
    if (this.#writeShut || peer === undefined || peer.#closed || peer.#readShut) return EPIPE;
    if (source.remaining === 0) return 0;
    const room = this.options.sendBufferBytes - this.#charged;
    if (room <= 0) return EAGAIN;
    const bundle =
      control.files.length === 0 || caller === undefined
        ? undefined
        : launch(control.files, caller);
    if (isErrno(bundle)) return bundle;
    const count = peer.#bytes.put(source, room, sender, bundle);
    if (count <= 0) {
      bundle?.drop();
      return count;
    }
    this.#charged += count;
    peer.queue.notify(POLLIN | POLLRDNORM);
    return count;
  }

  #sendMessage(
    source: Source,
    address: Uint8Array | undefined,
    control: SendControl,
    sender: PeerCredentials,
    caller: SocketCaller | undefined,
  ): SysResult {
    const target = this.#messageTarget(address, caller);
    if (isErrno(target)) return target;
    const lengthBytes = source.remaining;
    if (lengthBytes > this.options.sendBufferBytes - 32) return EMSGSIZE;
    if (this.#writeShut) return EPIPE;
    if (this.#charged >= this.options.sendBufferBytes) return EAGAIN;
    if (target.#closed) return this.#refused(target);
    if (target.#readShut) return EPIPE;
    if (!this.#mayTalkTo(target)) return EPERM;
    if (target.#peer !== this && target.#messages.count > target.#backlog) {
      target.#blocked.add(this);
      return EAGAIN;
    }
    const bytes = new Uint8Array(lengthBytes);
    if (lengthBytes > 0 && takeAll(source, bytes) < lengthBytes) return EFAULT;
    const bundle =
      control.files.length === 0 || caller === undefined
        ? undefined
        : launch(control.files, caller);
    if (isErrno(bundle)) return bundle;
    target.#accept(this, bytes, sender, bundle);
    return lengthBytes;
  }

  #messageTarget(
    address: Uint8Array | undefined,
    caller: SocketCaller | undefined,
  ): Result<UnixSocket> {
    if (this.type === SOCK_SEQPACKET) {
      const error = this.takeError();
      if (error !== 0) return toErrno(error);
      // Linux ignores the address of a seqpacket send.
      if (!this.#connected) return ENOTCONN;
    } else if (address !== undefined && caller !== undefined) return this.#find(address, caller);
    const peer = this.#peer;
    if (peer === undefined) return this.#connected && this.isConnectionOriented ? EPIPE : ENOTCONN;
    return peer;
  }

  #refused(target: UnixSocket): SysResult {
    if (this.isConnectionOriented) return EPIPE;
    if (this.#peer === target) {
      this.#peer = undefined;
      this.#connected = false;
    }
    return ECONNREFUSED;
  }

  /** A message from `from` arrives here. */
  #accept(
    from: UnixSocket,
    bytes: Uint8Array,
    credentials: PeerCredentials,
    bundle: FileBundle | undefined,
  ): void {
    const chargedBytes = bytes.length + messageOverheadBytes;
    from.#charged += chargedBytes;
    const address =
      from.#address.kind === 'unnamed' || from.isConnectionOriented
        ? undefined
        : from.localAddress();
    const credit = (count: number): void => from.#credit(count);
    this.#messages.put({ bytes, address, credentials, bundle, chargedBytes, credit });
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  /** Bytes that this socket sent were received (or thrown away). */
  #credit(count: number): void {
    const wasWritable = this.#hasRoom;
    this.#charged -= count;
    if (!wasWritable && this.#hasRoom) this.queue.notify(POLLOUT | POLLWRNORM | POLLWRBAND);
  }

  /** unix_writable: at most a quarter of the buffer is in use. */
  get #hasRoom(): boolean {
    return this.#charged * 4 <= this.options.sendBufferBytes;
  }

  #wakeBlocked(): void {
    if (this.#blocked.size === 0) return;
    const blocked = [...this.#blocked];
    this.#blocked.clear();
    for (const socket of blocked) socket.queue.notify(POLLOUT | POLLWRNORM);
  }

  // Receiving

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0) return this.type === SOCK_STREAM ? EINVAL : EOPNOTSUPP;
    if (this.type === SOCK_STREAM) return this.#receiveBytes(sink, flags, received);
    if (this.type === SOCK_SEQPACKET && !this.#connected) return ENOTCONN;
    if (this.#error !== 0) return -this.takeError();
    if (this.#messages.count === 0) return this.#readShut ? 0 : EAGAIN;
    const count = this.#messages.take(sink, flags, received, this.options.passCredentials);
    this.#wakeBlocked();
    return count;
  }

  #receiveBytes(sink: Sink, flags: number, received: Received): SysResult {
    if (!this.#connected) return EINVAL;
    if (this.#bytes.length === 0) {
      if (this.#error !== 0) return -this.takeError();
      return this.#readShut ? 0 : EAGAIN;
    }
    if (sink.remaining === 0) return 0;
    const before = this.#bytes.length;
    const count = this.#bytes.take(sink, flags, received, this.options.passCredentials);
    const gone = before - this.#bytes.length;
    const peer = this.#peer;
    if (gone > 0 && peer !== undefined) peer.#credit(gone);
    return count;
  }

  override poll(): number {
    let events = 0;
    const both = this.#readShut && this.#writeShut;
    if (this.#error !== 0) events |= POLLERR;
    if (both) events |= POLLHUP;
    if (this.#readShut) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.isListening)
      return (this.#pending?.length ?? 0) > 0 ? events | POLLIN | POLLRDNORM : events;
    if (this.#bytes.length > 0 || this.#messages.count > 0) events |= POLLIN | POLLRDNORM;
    if (this.isConnectionOriented && !this.#connected) events |= POLLHUP;
    if (this.#hasRoom && !this.#peerIsFull()) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
  }

  /** A connected datagram socket whose peer's queue is full is not writable; it is told when it drains. */
  #peerIsFull(): boolean {
    const peer = this.#peer;
    if (this.isConnectionOriented || peer === undefined || peer.#peer === this || peer.#closed)
      return false;
    if (peer.#messages.count <= peer.#backlog) return false;
    peer.#blocked.add(this);
    return true;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === SIOCOUTQ) return caller.memory.writeU32(argument, this.#charged);
    if (command !== FIONREAD)
      return currentNetwork().interfaceIoctl(command, argument, caller) ?? ENOTTY;
    if (this.isListening) return EINVAL;
    return caller.memory.writeU32(
      argument,
      this.type === SOCK_STREAM ? this.#bytes.length : this.#messages.nextBytes,
    );
  }

  override optionsChanged(): void {
    if (this.#hasRoom) this.queue.notify(POLLOUT | POLLWRNORM | POLLWRBAND);
  }

  override information(): string {
    return `scm_fds: ${[...this.filesWaiting()].length}\n`;
  }

  // FlyingSocket

  *filesWaiting(): Generator<OpenFile> {
    yield* this.#bytes.filesWaiting();
    yield* this.#messages.filesWaiting();
    for (const socket of this.#pending ?? []) yield* socket.filesWaiting();
  }

  dropFilesWaiting(): void {
    this.#bytes.dropFiles();
    this.#messages.dropFiles();
    for (const socket of this.#pending ?? []) socket.dropFilesWaiting();
  }
}

function credentialsOf(caller: SocketCaller): PeerCredentials {
  const { id: pid, pids, container } = caller.group;
  return {
    pid,
    pids,
    ids: container.ids,
    uid: caller.credentials.uid,
    gid: caller.credentials.gid,
  };
}

function ownerOf(caller: SocketCaller): Owner {
  const { euid, egid, groups } = caller.credentials;
  const { id: pid, pids, container } = caller.group;
  return { credentials: { pid, pids, ids: container.ids, uid: euid, gid: egid }, groups };
}

function takeAll(source: Source, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const taken = source.take(at === 0 ? bytes : bytes.subarray(at));
    if (taken <= 0) break;
    at += taken;
  }
  return at;
}
