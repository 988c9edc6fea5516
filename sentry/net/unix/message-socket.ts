// SPDX-License-Identifier: Apache-2.0
// AF_UNIX sockets that keep messages whole: SOCK_DGRAM, which anybody may send to by name, and
// SOCK_SEQPACKET, which is connected as streams are (unix(7)).
import {
  EAGAIN,
  ECONNREFUSED,
  EFAULT,
  EMSGSIZE,
  ENOBUFS,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTOTYPE,
  isErrno,
  type Result,
  type SysResult,
  toErrno,
} from '../../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import { MSG_OOB, MSG_PEEK, SOCK_SEQPACKET } from '../../../abi/socket.ts';
import { type Sink, type Source, takeAll } from '../../vfs/io.ts';
import type { PeerCredentials, Received, SendControl, SocketCaller } from '../socket.ts';
import { MESSAGE_OVERHEAD } from '../socket-options.ts';
import type { FileBundle } from './in-flight.ts';
import { MessageInbox } from './message-inbox.ts';
import { bundleOf, maxDatagramQueue, UnixSocket } from './unix-socket.ts';

/**
 * The most bytes of a message, however large the buffers are: what kmalloc gives at once (4 MiB
 * without struct skb_shared_info) and 17 pages.
 */
const LARGEST_MESSAGE = 4_194_304 - 320 + 17 * 4096;

export class UnixMessageSocket extends UnixSocket {
  declare peer: UnixMessageSocket | undefined;
  protected override readonly inbox: MessageInbox = new MessageInbox();

  protected override newServed(caller: SocketCaller): UnixMessageSocket {
    return new UnixMessageSocket(this.type, 0, this.protocol, caller, this.kernel);
  }

  override connect(bytes: Uint8Array, caller: SocketCaller): SysResult {
    if (this.isConnectionOriented) return super.connect(bytes, caller);
    // AF_UNSPEC dissolves the association.
    if (bytes.length >= 2 && bytes[0] === 0 && bytes[1] === 0) {
      this.#dissociate();
      return 0;
    }
    const bound = this.autobindForCredentials();
    if (isErrno(bound)) return bound;
    const peer = this.#find(bytes, caller);
    if (isErrno(peer)) return peer;
    if (!this.#mayTalkTo(peer)) return EPERM;
    this.peer = peer;
    this.isConnected = true;
    return 0;
  }

  #dissociate(): void {
    this.peer = undefined;
    this.isConnected = false;
  }

  /** Sockets of this one's type are of this class. */
  #find(bytes: Uint8Array, caller: SocketCaller): Result<UnixMessageSocket> {
    const found = this.name.find(bytes, this.type, caller);
    return isErrno(found) || found instanceof UnixMessageSocket ? found : EPROTOTYPE;
  }

  /** Only its own peer may send to a socket that has one. */
  #mayTalkTo(target: UnixMessageSocket): boolean {
    return target.peer === undefined || target.peer === this;
  }

  // Sending

  protected override sendFrom(
    source: Source,
    address: Uint8Array | undefined,
    control: SendControl,
    sender: PeerCredentials,
    caller: SocketCaller | undefined,
  ): SysResult {
    const target = this.#target(address, caller);
    if (isErrno(target)) return target;
    const lengthBytes = source.remaining;
    if (lengthBytes > this.options.sendBufferBytes - 32) return EMSGSIZE;
    if (lengthBytes > LARGEST_MESSAGE) return ENOBUFS;
    if (this.isWriteShut) return EPIPE;
    if (this.sent.leftBytes <= 0) return EAGAIN;
    if (target.isClosed) return this.#refused(target);
    if (target.isReadShut) return EPIPE;
    if (!this.#mayTalkTo(target)) return EPERM;
    if (target.peer !== this && target.#isFull) {
      target.wakeWhenRoom(this);
      return EAGAIN;
    }
    if (!MessageInbox.hasRoom(lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(lengthBytes);
    if (lengthBytes > 0 && takeAll(source, bytes) < lengthBytes) return EFAULT;
    const bundle = bundleOf(control, caller);
    if (isErrno(bundle)) return bundle;
    target.#accept(this, bytes, this.shownSender(target, sender, control), bundle);
    return lengthBytes;
  }

  #target(
    address: Uint8Array | undefined,
    caller: SocketCaller | undefined,
  ): Result<UnixMessageSocket> {
    if (this.type === SOCK_SEQPACKET) {
      const error = this.takeError();
      if (error !== 0) return toErrno(error);
      // Linux ignores the address of a seqpacket send.
      if (!this.isConnected) return ENOTCONN;
    } else if (address !== undefined && caller !== undefined) return this.#find(address, caller);
    if (this.peer !== undefined) return this.peer;
    return this.isConnected && this.isConnectionOriented ? EPIPE : ENOTCONN;
  }

  #refused(target: UnixMessageSocket): SysResult {
    if (this.isConnectionOriented) return EPIPE;
    if (this.peer === target) this.#dissociate();
    return ECONNREFUSED;
  }

  /** A message from `from` arrives here. */
  #accept(
    from: UnixMessageSocket,
    bytes: Uint8Array,
    credentials: PeerCredentials,
    bundle: FileBundle | undefined,
  ): void {
    const chargedBytes = bytes.length + MESSAGE_OVERHEAD;
    from.sent.charge(chargedBytes);
    const address = from.name.isUnnamed ? undefined : from.localAddress();
    const credit = (count: number): void => from.sent.credit(count);
    this.inbox.put({ bytes, address, credentials, bundle, chargedBytes, credit });
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  /** Whether as many messages wait as senders that are not connected may queue. */
  get #isFull(): boolean {
    return this.inbox.count > maxDatagramQueue;
  }

  /** A connected datagram socket whose peer's queue is full is not writable; it is woken when that drains. */
  protected override get isWritable(): boolean {
    return super.isWritable && !this.#peerIsFull();
  }

  #peerIsFull(): boolean {
    const { peer } = this;
    if (this.isConnectionOriented || peer === undefined || peer.peer === this || peer.isClosed)
      return false;
    if (!peer.#isFull) return false;
    peer.wakeWhenRoom(this);
    return true;
  }

  // Receiving

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (this.type === SOCK_SEQPACKET && !this.isConnected) return ENOTCONN;
    const error = this.takeError();
    if (error !== 0) return toErrno(error);
    if (this.inbox.isEmpty) return this.isReadShut ? 0 : EAGAIN;
    const asks = this.options.asksForSender();
    const before = this.inbox.nextBytes;
    const count = this.inbox.take(sink, flags, received, asks, this.peekOffset);
    if (!isErrno(count)) this.peeked(flags, (flags & MSG_PEEK) !== 0 ? count : before);
    this.wakeBlocked();
    return count;
  }
}
