// SPDX-License-Identifier: Apache-2.0
// The Sentry's side of the socket to the network proxy (protocol/proxy.ts). What the proxy says is
// read when its descriptor is ready, and before a stream's end is believed: that a connection was
// broken off is said before the stream ends.
import { EPOLLET } from '../../../abi/epoll.ts';
import { EAGAIN, EINTR, isErrno } from '../../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { MSG_DONTWAIT } from '../../../abi/socket.ts';
import { native } from '../../../native/addon.ts';
import {
  decodeProxyHead,
  encodeProxyHead,
  PROXY_HEAD_BYTES,
  PROXY_MOST_BYTES,
  type ProxyHead,
} from '../../../protocol/proxy.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';

/** So many messages are read before guests have their turn. */
const MOST_AT_ONCE = 64;
const noBytes = new Uint8Array(0);

export interface ProxyListener {
  /** `fd` came along and is the listener's now; -1: none did. `body` is valid for the call. */
  heard(head: ProxyHead, body: Uint8Array, fd: number): void;
  /** The proxy is gone. */
  lost(): void;
}

export class ProxyLink implements HostFdWatcher {
  readonly #hostFd: number;
  readonly #platform: Platform;
  readonly #listener: ProxyListener;
  readonly #out = new Uint8Array(PROXY_MOST_BYTES);
  readonly #in = new Uint8Array(PROXY_MOST_BYTES);
  readonly #fds = new Int32Array(2);
  /** Requests that must arrive, for which the socket had no room. */
  readonly #waiting: Uint8Array[] = [];
  #isLost = false;

  constructor(hostFd: number, platform: Platform, listener: ProxyListener) {
    this.#hostFd = hostFd;
    this.#platform = platform;
    this.#listener = listener;
    platform.watch(hostFd, (POLLIN | POLLOUT | EPOLLET) >>> 0, this);
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Sends a request that must arrive. */
  send(request: Omit<ProxyHead, 'flags'>): void {
    if (this.#isLost) return;
    encodeProxyHead(request, this.#out);
    if (this.#waiting.length > 0 || !this.#sendNow(PROXY_HEAD_BYTES))
      this.#waiting.push(this.#out.slice(0, PROXY_HEAD_BYTES));
  }

  /** Sends a datagram, which may be lost as any may. */
  sendDatagram(request: Omit<ProxyHead, 'flags'>, body: Uint8Array): void {
    if (this.#isLost) return;
    encodeProxyHead(request, this.#out);
    this.#out.set(body, PROXY_HEAD_BYTES);
    this.#sendNow(PROXY_HEAD_BYTES + body.length);
  }

  #sendNow(length: number, bytes: Uint8Array = this.#out): boolean {
    const sent = native.sendMessage(this.#hostFd, bytes, length, undefined, 0, MSG_DONTWAIT);
    if (isErrno(sent) && sent !== EAGAIN && sent !== EINTR) this.#lose();
    return sent === length;
  }

  /** HostFdWatcher. */
  ready(): void {
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0] as Uint8Array;
      if (!this.#sendNow(next.length, next)) break;
      this.#waiting.shift();
    }
    this.listen();
  }

  /** Reads what the proxy has said. */
  listen(): void {
    for (let count = 0; count < MOST_AT_ONCE && !this.#isLost; count += 1) {
      if (!this.#hear()) return;
    }
    // The watch is edge-triggered: to be told of the rest it begins anew.
    if (!this.#isLost) this.#platform.rewatch(this.#hostFd, (POLLIN | POLLOUT | EPOLLET) >>> 0);
  }

  #hear(): boolean {
    this.#fds.fill(0);
    const length = native.recvMessage(this.#hostFd, this.#in, this.#fds, MSG_DONTWAIT);
    if (length === EAGAIN || length === EINTR) return length === EINTR;
    const fd = this.#fds[0] === 1 ? (this.#fds[1] as number) : -1;
    const head = isErrno(length) ? undefined : decodeProxyHead(this.#in, length);
    if (head === undefined) {
      if (fd >= 0) native.close(fd);
      this.#lose();
      return false;
    }
    const body = length > PROXY_HEAD_BYTES ? this.#in.subarray(PROXY_HEAD_BYTES, length) : noBytes;
    this.#listener.heard(head, body, fd);
    return true;
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#waiting.length = 0;
    this.#platform.unwatch(this.#hostFd);
    native.close(this.#hostFd);
    this.#listener.lost();
  }
}
