// SPDX-License-Identifier: Apache-2.0
// A TCP connection that the network proxy carries: a Unix stream of the host's to the proxy, by
// whose other side bytes go to and come from the outside.
import { EPOLLET } from '../../../abi/epoll.ts';
import {
  EAGAIN,
  ECONNRESET,
  ENETDOWN,
  EPIPE,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
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
  MSG_PEEK,
  MSG_TRUNC,
  SHUT_WR,
  SOCK_STREAM,
  SOCKADDR_STORAGE_BYTES,
} from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { sendToHost } from '../host-inet/host-transfer.ts';
import type { OutsideStream, StreamOwner } from '../inet/way-out.ts';

/** Staging for one transfer: nothing else runs while it is in use. */
const staging = new Uint8Array(131_072);
const noRoom = new Uint8Array(0);
const name = new Uint8Array(SOCKADDR_STORAGE_BYTES);
const told = new Int32Array(3);
const watched = (POLLIN | POLLOUT | POLLRDHUP | EPOLLET) >>> 0;
const asked = POLLIN | POLLOUT | POLLRDHUP;

/** The way out that made a stream, as the stream knows it. */
export interface StreamKeeper {
  readonly platform: Platform;
  /** Reads what the proxy has said, before an end is believed. */
  listen(): void;
  /** The stream is over; `resets`: the other end is to be told at once. */
  ended(id: number, resets: boolean): void;
}

export class ProxiedStream implements OutsideStream, HostFdWatcher {
  readonly owner: StreamOwner;
  readonly #id: number;
  readonly #keeper: StreamKeeper;
  /** -1: there is none yet, or no more. */
  #hostFd = -1;
  /** The errno with which the connection was broken off; what came before is still to be read. */
  #brokenBy = 0;
  #isClosed = false;
  /** endSending() was called. */
  #hasEnded = false;

  constructor(id: number, owner: StreamOwner, keeper: StreamKeeper) {
    this.#id = id;
    this.owner = owner;
    this.#keeper = keeper;
  }

  /** The connection is there: its stream is `hostFd`. */
  open(hostFd: number): void {
    this.#hostFd = hostFd;
    this.#keeper.platform.watch(hostFd, watched, this);
  }

  /** The connection was broken off with `error`, a negative errno. */
  broken(error: number): void {
    this.#brokenBy = error;
    if (this.unreadBytes === 0) this.owner.outsideFailed(error);
    else this.owner.queue.notify(POLLIN | POLLRDNORM | POLLERR | POLLHUP | POLLRDHUP);
  }

  /** HostFdWatcher. */
  ready(events: number): void {
    let ours = events;
    if ((events & POLLIN) !== 0) ours |= POLLRDNORM;
    if ((events & POLLOUT) !== 0) ours |= POLLWRNORM;
    if ((events & (POLLHUP | POLLRDHUP)) !== 0) this.#keeper.listen();
    this.owner.queue.notify(ours);
  }

  send(source: Source): SysResult {
    if (this.#brokenBy !== 0) return this.#fail(this.#brokenBy);
    const how = {
      hostFd: this.#hostFd,
      type: SOCK_STREAM,
      flags: 0,
      to: undefined,
      messages: undefined,
    };
    const sent = sendToHost(how, source, staging);
    return sent === EPIPE || sent === ECONNRESET ? this.#hearWhy(ECONNRESET) : sent;
  }

  receive(sink: Sink, flags: number): SysResult {
    const isPeek = (flags & MSG_PEEK) !== 0;
    let total = 0;
    let left = sink.remaining;
    do {
      const wanted = Math.min(staging.length, left);
      const count = this.#receive(wanted, isPeek ? MSG_PEEK : 0);
      if (count <= 0) return total > 0 ? total : this.#nothing(count);
      const put = (flags & MSG_TRUNC) !== 0 ? count : sink.put(staging.subarray(0, count));
      if (isErrno(put)) return total > 0 ? total : put;
      total += put;
      left -= put;
      if (count < wanted || put < count || isPeek) break;
    } while (left > 0);
    return total;
  }

  #receive(wanted: number, flags: number): SysResult {
    return native.receiveDatagram(this.#hostFd, staging, wanted, flags, name, noRoom, told);
  }

  /** The end of the stream is an end only where the proxy has not said that it was broken off. */
  #nothing(count: SysResult): SysResult {
    if (count === EAGAIN) return EAGAIN;
    if (count === ECONNRESET) return this.#hearWhy(ECONNRESET);
    return isErrno(count) ? count : this.#hearWhy(this.#isCut ? ENETDOWN : 0);
  }

  /** The proxy closes both ways only after this side's end. Else it is gone, which the link tells later. */
  get #isCut(): boolean {
    return !this.#hasEnded && (native.pollNow(this.#hostFd, 0) & POLLHUP) !== 0;
  }

  /** Answers what broke the stream, or `otherwise`. */
  #hearWhy(otherwise: SysResult): SysResult {
    if (this.#brokenBy === 0) this.#keeper.listen();
    const error = this.#brokenBy === 0 ? otherwise : this.#brokenBy;
    return error === 0 ? 0 : this.#fail(error);
  }

  /** The owner's error is told by this very call. */
  #fail(error: number): SysResult {
    // Where listening for the reason has brought the end itself, the owner has its error already.
    if (!this.#isClosed) this.owner.outsideFailed(error);
    this.owner.takeError();
    return error;
  }

  endSending(): void {
    this.#hasEnded = true;
    if (this.#hostFd >= 0) native.shutdownSocket(this.#hostFd, SHUT_WR);
  }

  poll(): number {
    if (this.#hostFd < 0) return 0;
    const ready = native.pollNow(this.#hostFd, asked);
    let events = Math.max(0, ready) & asked;
    if ((events & POLLIN) !== 0) events |= POLLRDNORM;
    if ((events & POLLOUT) !== 0) events |= POLLWRNORM;
    return this.#brokenBy === 0 ? events : events | POLLERR | POLLHUP;
  }

  get unreadBytes(): number {
    if (this.#hostFd < 0) return 0;
    return Math.max(0, this.#receive(staging.length, MSG_PEEK));
  }

  close(resets: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#keeper.ended(this.#id, resets);
    if (this.#hostFd < 0) return;
    this.#keeper.platform.unwatch(this.#hostFd);
    native.close(this.#hostFd);
    this.#hostFd = -1;
  }
}
