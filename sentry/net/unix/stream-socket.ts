// SPDX-License-Identifier: Apache-2.0
// AF_UNIX sockets of type SOCK_STREAM: bytes without boundaries (unix(7)).
import {
  EAGAIN,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  isErrno,
  type SysResult,
  toErrno,
} from '../../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import { MSG_OOB, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type {
  PeerCredentials,
  Received,
  SendControl,
  SocketCaller,
  SocketKernel,
} from '../socket.ts';
import { ByteInbox } from './byte-inbox.ts';
import { bundleOf, UnixSocket } from './unix-socket.ts';

/** The most bytes that one attempt to send takes: a longer one goes on in a later turn. */
const MOST_AT_ONCE = 4 * 2 ** 20;

export class UnixStreamSocket extends UnixSocket {
  declare peer: UnixStreamSocket | undefined;
  protected override readonly inbox = new ByteInbox();

  constructor(flags: number, protocol: number, caller: SocketCaller, kernel: SocketKernel) {
    super(SOCK_STREAM, flags, protocol, caller, kernel);
  }

  override get isByteStream(): boolean {
    return true;
  }

  override get raisesSigpipe(): boolean {
    return true;
  }

  protected override newServed(caller: SocketCaller): UnixStreamSocket {
    return new UnixStreamSocket(0, this.protocol, caller, this.kernel);
  }

  protected override sendFrom(
    source: Source,
    address: Uint8Array | undefined,
    control: SendControl,
    sender: PeerCredentials,
    caller: SocketCaller | undefined,
  ): SysResult {
    if (address !== undefined) return this.isConnected ? EISCONN : EOPNOTSUPP;
    if (!this.isConnected) return ENOTCONN;
    const { peer } = this;
    if (this.isWriteShut || peer === undefined || peer.isClosed || peer.isReadShut) return EPIPE;
    if (source.remaining === 0) return 0;
    const room = this.sent.leftBytes;
    if (room <= 0) return EAGAIN;
    const bundle = bundleOf(control, caller);
    if (isErrno(bundle)) return bundle;
    const shown = this.shownSender(peer, sender, control);
    const count = peer.inbox.put(source, Math.min(room, MOST_AT_ONCE), shown, bundle);
    if (count <= 0) {
      bundle?.drop();
      return count;
    }
    this.sent.charge(count);
    peer.queue.notify(POLLIN | POLLRDNORM);
    return count;
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0 || !this.isConnected) return EINVAL;
    if (this.inbox.isEmpty) {
      const error = this.takeError();
      if (error !== 0) return toErrno(error);
      return this.isReadShut ? 0 : EAGAIN;
    }
    const before = this.inbox.nextBytes;
    const asks = this.options.asksForSender();
    const count = this.inbox.take(sink, flags, received, asks, this.peekOffset);
    if (!isErrno(count)) this.peeked(flags, count);
    if (this.peer?.name.isUnnamed === false) received.address = this.peer.localAddress();
    const gone = before - this.inbox.nextBytes;
    if (gone > 0) this.peer?.sent.credit(gone);
    return count;
  }
}
