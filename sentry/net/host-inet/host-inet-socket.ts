// SPDX-License-Identifier: Apache-2.0
// An AF_INET or AF_INET6 socket of the guest over one of the host's (socket(7), ip(7), tcp(7),
// udp(7)). The host's is non-blocking whatever the guest's says: waiting, time-outs, MSG_WAITALL
// and SIGPIPE are the Sentry's.
// Differs from Linux: close(2) with SO_LINGER and a time does not wait, the host goes on sending by
// itself.
import { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE } from '../../../abi/capability.ts';
import {
  EACCES,
  EAGAIN,
  EALREADY,
  EINPROGRESS,
  EMFILE,
  ENFILE,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { AT_EMPTY_PATH, O_NONBLOCK } from '../../../abi/fcntl.ts';
import { POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import * as so from '../../../abi/socket.ts';
import { statxLayout } from '../../../abi/stat.ts';
import { native } from '../../../native/addon.ts';
import type { Caller } from '../../vfs/caller.ts';
import { type Credentials, isCapable } from '../../vfs/credentials.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type Received, type SendControl, Socket, type SocketCaller } from '../socket.ts';
import { decodeControl, encodeControl } from './control-messages.ts';
import { EdgeQueue } from './edge-queue.ts';
import { hostAddress } from './host-address.ts';
import { socketIoctl } from './host-ioctl.ts';
import type { HostSockets } from './host-sockets.ts';
import { hostSocketName, sendToHost } from './host-transfer.ts';
import { gettableOptions, settableOptions } from './option-table.ts';

/** Staging for one transfer: nothing else runs while it is in use. Holds any datagram. */
const staging = new Uint8Array(131_072);
/** The most that MSG_PEEK looks at: it cannot be done in pieces. */
const mostPeekedBytes = 1_048_576;
const name = new Uint8Array(so.SOCKADDR_STORAGE_BYTES);
const control = new Uint8Array(1024);
const told = new Int32Array(3);
const optionValue = new Uint8Array(512);

const everything = POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM;
/**
 * The flags of a send and a receive that go on to the host; the others are the Sentry's, or have no
 * meaning.
 */
const sendFlags = so.MSG_OOB | so.MSG_DONTROUTE | so.MSG_EOR | so.MSG_CONFIRM | so.MSG_MORE;
const receiveFlags = so.MSG_OOB | so.MSG_PEEK | so.MSG_TRUNC | so.MSG_ERRQUEUE;
const toldFlags = so.MSG_OOB | so.MSG_EOR | so.MSG_TRUNC | so.MSG_CTRUNC | so.MSG_ERRQUEUE;
/** struct group_source_req is the largest value. */
const mostOptionBytes = 264;

interface SocketKind {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
}

export class HostInetSocket extends Socket {
  readonly domain: number;
  readonly type: number;
  override readonly queue: EdgeQueue;
  readonly #hostFd: number;
  readonly #sockets: HostSockets;
  readonly #credentials: Credentials;
  #acceptedFrom: Uint8Array | undefined;
  /** The host's answer to a connect(2) that begins a connection, and to one that finds it begun. */
  #whenLate: SysResult = EINPROGRESS;

  /** Takes over a host socket that `sockets` counted. */
  private constructor(
    sockets: HostSockets,
    hostFd: number,
    kind: SocketKind,
    flags: number,
    credentials: Credentials,
  ) {
    super(flags, kind.protocol, credentials, sockets.clock);
    this.domain = kind.domain;
    this.type = kind.type;
    this.#hostFd = hostFd;
    this.#sockets = sockets;
    this.#credentials = credentials;
    this.queue = new EdgeQueue(hostFd, sockets.platform);
  }

  /** Over the descriptor that `make` answers. */
  static open(
    sockets: HostSockets,
    kind: SocketKind,
    flags: number,
    credentials: Credentials,
    make: () => SysResult,
  ): Result<HostInetSocket> {
    if (!sockets.take()) return ENFILE;
    const hostFd = make();
    if (isErrno(hostFd)) {
      sockets.giveBack();
      return hostFd === EMFILE ? ENFILE : hostFd;
    }
    const socket = new HostInetSocket(sockets, hostFd, kind, flags, credentials);
    const started = socket.queue.start();
    if (!isErrno(started)) return socket;
    native.close(hostFd);
    sockets.giveBack();
    return started;
  }

  /** The host's number: /proc/net/tcp shows that one. */
  override get description(): string {
    const out = new Uint8Array(statxLayout.size);
    native.statx(this.#hostFd, '', AT_EMPTY_PATH, out, 0);
    return `socket:[${new DataView(out.buffer).getUint32(statxLayout.at.ino, true)}]`;
  }

  override get isByteStream(): boolean {
    return this.type === so.SOCK_STREAM;
  }

  override get raisesSigpipe(): boolean {
    return this.type === so.SOCK_STREAM;
  }

  override get hasErrorQueue(): boolean {
    return true;
  }

  override connectTimedOut(): SysResult {
    const answer = this.#whenLate;
    this.#whenLate = EALREADY;
    return answer;
  }

  override close(): void {
    this.queue.end();
    native.close(this.#hostFd);
    this.#sockets.giveBack();
  }

  override poll(): number {
    return Math.max(0, native.pollNow(this.#hostFd, everything));
  }

  // Connections

  override bind(bytes: Uint8Array, caller: SocketCaller): SysResult {
    const address = hostAddress(bytes, this.domain);
    if (isErrno(address)) return address;
    const bound = native.bindSocket(this.#hostFd, address);
    if (bound !== EACCES || !isCapable(caller.credentials, CAP_NET_BIND_SERVICE)) return bound;
    // A low port, for which the Sentry has not the capability that this guest has.
    const brokered = this.#sockets.broker.bind(this.#hostFd, address);
    return brokered === EPERM ? EACCES : brokered;
  }

  override listen(backlog: number, _caller: SocketCaller): SysResult {
    return native.listenSocket(this.#hostFd, backlog);
  }

  override accept(flags: number, _caller: SocketCaller): Result<Socket> {
    const { domain, type, protocol } = this;
    const kind = { domain, type, protocol };
    const accepted = HostInetSocket.open(this.#sockets, kind, flags, this.#credentials, () =>
      native.acceptSocket(this.#hostFd, name, told),
    );
    if (isErrno(accepted)) return accepted;
    accepted.#acceptedFrom = name.slice(0, told[0]);
    const { options } = accepted;
    options.receiveTimeoutNs = this.options.receiveTimeoutNs;
    options.sendTimeoutNs = this.options.sendTimeoutNs;
    options.lingerOn = this.options.lingerOn;
    options.lingerSeconds = this.options.lingerSeconds;
    return accepted;
  }

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    const address = hostAddress(bytes, this.domain);
    if (isErrno(address)) return address;
    const connected = native.connectSocket(this.#hostFd, address);
    if (connected === EINPROGRESS) this.#whenLate = EINPROGRESS;
    const underWay = connected === EINPROGRESS || connected === EALREADY;
    // A blocking caller asks again once the host has told of a change.
    return underWay && (this.flags & O_NONBLOCK) === 0 ? EAGAIN : connected;
  }

  override shutdown(how: number): SysResult {
    return native.shutdownSocket(this.#hostFd, how);
  }

  override localAddress(): Result<Uint8Array> {
    return hostSocketName(this.#hostFd, false);
  }

  override peerAddress(): Result<Uint8Array> {
    return hostSocketName(this.#hostFd, true);
  }

  override acceptedAddress(): Result<Uint8Array> {
    return this.#acceptedFrom ?? this.peerAddress();
  }

  // Data

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    sent: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    // As with tcp_fastopen=0; a connected socket sends as ever.
    if ((flags & so.MSG_FASTOPEN) !== 0 && isErrno(this.peerAddress())) return EOPNOTSUPP;
    const to = address === undefined ? undefined : hostAddress(address, this.domain);
    if (to !== undefined && isErrno(to)) return to;
    // TCP looks at none of them.
    const messages = encodeControl(this.type === so.SOCK_STREAM ? [] : sent.messages);
    if (isErrno(messages)) return messages;
    const { type } = this;
    const asked = { hostFd: this.#hostFd, type, flags: flags & sendFlags, to, messages };
    return sendToHost(asked, source, staging);
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if (this.type === so.SOCK_STREAM && (flags & so.MSG_ERRQUEUE) === 0) {
      return (flags & so.MSG_PEEK) !== 0
        ? this.#peek(sink, flags, received)
        : this.#receiveStream(sink, flags, received);
    }
    const wanted = Math.min(staging.length, sink.remaining);
    const count = this.#receive(staging, wanted, flags, received);
    if (isErrno(count)) return count;
    const put = this.#store(sink, staging, Math.min(count, wanted));
    return isErrno(put) ? put : count;
  }

  #receiveStream(sink: Sink, flags: number, received: Received): SysResult {
    let total = 0;
    let left = sink.remaining;
    do {
      const wanted = Math.min(staging.length, left);
      const count = this.#receive(staging, wanted, flags, received);
      if (isErrno(count)) return total > 0 ? total : count;
      // MSG_TRUNC on a stream: the bytes are thrown away.
      const put = (flags & so.MSG_TRUNC) !== 0 ? count : this.#store(sink, staging, count);
      if (isErrno(put)) return total > 0 ? total : put;
      total += put;
      left -= put;
      if (count < wanted || put < count || count === 0 || (flags & so.MSG_OOB) !== 0) break;
    } while (left > 0);
    return total;
  }

  #peek(sink: Sink, flags: number, received: Received): SysResult {
    const wanted = Math.min(mostPeekedBytes, sink.remaining);
    const buffer = wanted <= staging.length ? staging : new Uint8Array(wanted);
    const count = this.#receive(buffer, wanted, flags, received);
    if (count <= 0 || (flags & so.MSG_TRUNC) !== 0) return count;
    return this.#store(sink, buffer, count);
  }

  /** One recvmsg(2), and what came with the bytes. */
  #receive(buffer: Uint8Array, wanted: number, flags: number, received: Received): SysResult {
    const hostFlags = flags & receiveFlags;
    const count = native.receiveDatagram(
      this.#hostFd,
      buffer,
      wanted,
      hostFlags,
      name,
      control,
      told,
    );
    if (isErrno(count)) return count;
    const [nameBytes, controlBytes, messageFlags] = told as unknown as [number, number, number];
    received.address = nameBytes === 0 ? undefined : name.slice(0, nameBytes);
    if (controlBytes > 0) received.messages = decodeControl(control.subarray(0, controlBytes));
    received.flags |= messageFlags & toldFlags;
    return count;
  }

  #store(sink: Sink, bytes: Uint8Array, count: number): SysResult {
    return count === 0 ? 0 : sink.put(bytes.subarray(0, count));
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    return socketIoctl(this.#hostFd, command, argument, caller);
  }

  // Options

  override takeError(): number {
    const value = this.getOption(so.SOL_SOCKET, so.SO_ERROR);
    return isErrno(value) ? 0 : new DataView(value.buffer).getInt32(0, true);
  }

  override getCommonOption(option: number): Result<Uint8Array> | undefined {
    const isPassed = gettableOptions.get(so.SOL_SOCKET)?.includes(option) === true;
    return isPassed ? this.getOption(so.SOL_SOCKET, option) : undefined;
  }

  override setCommonOption(
    option: number,
    value: Uint8Array,
    caller: SocketCaller,
  ): SysResult | undefined {
    if (option === so.SO_LINGER) return this.#passLinger(value);
    // The Sentry has no right to mark packets, whoever asks.
    if (option === so.SO_MARK) return EPERM;
    if (forced.has(option) && !isCapable(caller.credentials, CAP_NET_ADMIN)) return EPERM;
    // The host would ask for a privilege that the Sentry has not: at least what anybody may have.
    const asked = forced.get(option) ?? option;
    if (settableOptions.get(so.SOL_SOCKET)?.includes(asked) === true) {
      return this.setOption(so.SOL_SOCKET, asked, value);
    }
    // Time-outs are the Sentry's; the rest would be remembered without an effect.
    return kept.has(option) ? undefined : ENOPROTOOPT;
  }

  /** A time would make close(2) wait on the host, in the Sentry: only "reset at once" gets there. */
  #passLinger(value: Uint8Array): SysResult | undefined {
    if (value.length < 8) return undefined;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const resets = view.getInt32(0, true) !== 0 && view.getInt32(4, true) === 0;
    const passed = new Uint8Array(Int32Array.of(resets ? 1 : 0, 0).buffer);
    const set = native.setSocketOption(this.#hostFd, so.SOL_SOCKET, so.SO_LINGER, passed);
    return isErrno(set) ? set : undefined;
  }

  override getOption(level: number, option: number): Result<Uint8Array> {
    const names = gettableOptions.get(level);
    if (names === undefined || (level === so.SOL_IPV6 && this.domain === so.AF_INET))
      return EOPNOTSUPP;
    if (!names.includes(option)) return ENOPROTOOPT;
    const lengthBytes = native.socketOption(this.#hostFd, level, option, optionValue);
    return isErrno(lengthBytes) ? lengthBytes : optionValue.slice(0, lengthBytes);
  }

  override setOption(level: number, option: number, value: Uint8Array): SysResult {
    if (settableOptions.get(level)?.includes(option) !== true) return ENOPROTOOPT;
    const passed = value.subarray(0, mostOptionBytes);
    return native.setSocketOption(this.#hostFd, level, option, passed);
  }
}

/** Options for the privileged, with what they do for anybody. */
const forced: ReadonlyMap<number, number> = new Map([
  [so.SO_SNDBUFFORCE, so.SO_SNDBUF],
  [so.SO_RCVBUFFORCE, so.SO_RCVBUF],
]);

/** Options that syscalls/socket-options.ts handles. */
const kept: ReadonlySet<number> = new Set([
  so.SO_RCVTIMEO,
  so.SO_SNDTIMEO,
  so.SO_PASSCRED,
  so.SO_PASSSEC,
  so.SO_DEBUG,
]);
