// SPDX-License-Identifier: Apache-2.0
// UDP within the sandbox (udp(7)): a datagram is put into the receiver's queue, or lost where that is
// full, as UDP may lose it.

import {
  EAGAIN,
  ECONNREFUSED,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  EPIPE,
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
  POLLWRNORM,
} from '../../../abi/poll.ts';
import {
  IPPROTO_UDP,
  MSG_MORE,
  MSG_OOB,
  SHUT_RD,
  SHUT_WR,
  SOCK_DGRAM,
  SOL_UDP,
  UDP_CORK,
} from '../../../abi/socket.ts';
import { sameIdRanges } from '../../../protocol/id-ranges.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { type Sink, type Source, takeAll } from '../../vfs/io.ts';
import {
  familyOf,
  type PeerCredentials,
  type Received,
  type SendControl,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { MESSAGE_OVERHEAD } from '../socket-options.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import { anyOf, type Endpoint, encodeInetAddress, type IpAddress, isAny } from './address.ts';
import { InetSocket } from './inet-socket.ts';
import { inetStack } from './inet-stack.ts';
import { accepts, bestUser, type PortTable, type PortUser } from './ports.ts';
import type { DatagramOwner, WayOut } from './way-out.ts';

const maxPayloadBytes = 65_507;
const nobody: PeerCredentials = { pid: 0, pids: undefined, ids: sameIdRanges, uid: 0, gid: 0 };

/** A datagram that is sent in parts (udp(7), UDP_CORK). */
interface CorkedDatagram {
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  /** The account that pays for the bytes while they wait. */
  readonly payer: MemoryAccount;
}

const noBytes = new Uint8Array(0);

export class UdpSocket extends InetSocket implements DatagramOwner {
  readonly type: number = SOCK_DGRAM;
  readonly #inbox = new MessageInbox(SOCK_DGRAM);
  #queuedBytes = 0;
  /** The datagram that MSG_MORE or UDP_CORK holds back. */
  #corked: CorkedDatagram | undefined;
  #readShut = false;
  #writeShut = false;
  #error = 0;

  constructor(
    domain: number,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    super(domain, flags, IPPROTO_UDP, credentials, kernel, wayOut);
  }

  protected override get ports(): PortTable<PortUser> {
    return inetStack.udp as PortTable<PortUser>;
  }

  override connect(bytes: Uint8Array, _caller: SocketCaller): SysResult {
    if (familyOf(bytes) === 0) {
      this.remote = undefined;
      this.localIp = anyOf(this.domain);
      return 0;
    }
    const to = this.destination(bytes);
    if (isErrno(to)) return to;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    this.localIp = this.sourceFor(to);
    this.remote = to;
    return 0;
  }

  override shutdown(how: number): SysResult {
    if (this.remote === undefined) return ENOTCONN;
    if (how !== SHUT_WR) this.#readShut = true;
    if (how !== SHUT_RD) this.#writeShut = true;
    this.queue.notify(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP | POLLRDHUP);
    return 0;
  }

  override close(): void {
    this.#takeCorked();
    this.wayOut.forget(this);
    this.unbind();
    this.#inbox.clear();
  }

  override send(
    source: Source,
    flags: number,
    address: Uint8Array | undefined,
    _control: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    const lengthBytes = source.remaining;
    if (lengthBytes > maxPayloadBytes) return EMSGSIZE;
    if (this.#error !== 0) return -this.takeError();
    if (this.#writeShut) return EPIPE;
    // The first part of a datagram in parts says where it goes: later addresses are not looked at.
    const to = this.#corked?.to ?? this.#receiverAddress(address);
    if (isErrno(to)) return to;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    const already = this.#corked?.bytes ?? noBytes;
    if (!MessageInbox.hasRoom(already.length + lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(already.length + lengthBytes);
    bytes.set(already);
    this.#takeCorked();
    if (bytes.length > maxPayloadBytes) return EMSGSIZE;
    if (lengthBytes > 0 && takeAll(source, bytes.subarray(already.length)) < lengthBytes)
      return EFAULT;
    if ((flags & MSG_MORE) !== 0 || this.#isCorked) {
      this.#cork(to, bytes);
      return lengthBytes;
    }
    const sent = this.#transmit(to, bytes);
    return isErrno(sent) ? sent : lengthBytes;
  }

  #receiverAddress(address: Uint8Array | undefined): Result<Endpoint> {
    const to = address === undefined ? this.remote : this.destination(address);
    if (to === undefined) return EDESTADDRREQ;
    return !isErrno(to) && to.port === 0 ? EINVAL : to;
  }

  #cork(to: Endpoint, bytes: Uint8Array): void {
    const payer = currentAccount();
    payer.force(bytes.length + OBJECT_COST.message);
    this.#corked = { to, bytes, payer };
  }

  #takeCorked(): CorkedDatagram | undefined {
    const corked = this.#corked;
    this.#corked = undefined;
    corked?.payer.uncharge(corked.bytes.length + OBJECT_COST.message);
    return corked;
  }

  get #isCorked(): boolean {
    return this.inetOptions.value(SOL_UDP, UDP_CORK) !== 0;
  }

  #transmit(to: Endpoint, bytes: Uint8Array): SysResult {
    const from = { ip: this.sourceFor(to), port: this.localPort };
    if (!this.isInside(to.ip) || this.wayOut.takes?.(to) === true)
      return this.wayOut.sendDatagram(this, from, to, bytes);
    const receiver = udpReceiver(to, from);
    // The "port unreachable" that comes back is told to connected sockets only.
    if (receiver !== undefined) receiver.deliver(bytes, from);
    else if (this.remote !== undefined) this.outsideFailed(ECONNREFUSED);
    return 0;
  }

  /** Sends what was held back where UDP_CORK ends. */
  override setOption(
    level: number,
    name: number,
    value: Uint8Array,
    caller: SocketCaller,
  ): SysResult {
    const set = super.setOption(level, name, value, caller);
    if (level === SOL_UDP && name === UDP_CORK && !this.#isCorked) {
      const corked = this.#takeCorked();
      if (corked !== undefined) this.#transmit(corked.to, corked.bytes);
    }
    return set;
  }

  /** DatagramOwner. */
  deliver(bytes: Uint8Array, from: Endpoint): void {
    const chargedBytes = bytes.length + MESSAGE_OVERHEAD;
    // As Linux: what waits counts, not the datagram that comes, so that even a large one fits into
    // a small empty buffer.
    if (this.#queuedBytes > this.options.receiveBufferBytes) return;
    this.#queuedBytes += chargedBytes;
    const address = encodeInetAddress(from, this.domain);
    const credit = (count: number): void => {
      this.#queuedBytes -= count;
    };
    this.#inbox.put({
      bytes,
      address,
      credentials: nobody,
      bundle: undefined,
      chargedBytes,
      credit,
    });
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  /** DatagramOwner. */
  outsideFailed(error: number): void {
    this.#error = -error;
    this.queue.notify(POLLERR);
  }

  override takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    if ((flags & MSG_OOB) !== 0) return EOPNOTSUPP;
    if (this.#error !== 0) return -this.takeError();
    if (this.#inbox.count === 0) return this.#readShut ? 0 : EAGAIN;
    return this.#inbox.take(sink, flags, received, false);
  }

  override poll(): number {
    let events = POLLOUT | POLLWRNORM;
    if (this.#error !== 0) events |= POLLERR;
    if (this.#readShut && this.#writeShut) events |= POLLHUP;
    if (this.#readShut) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (this.#inbox.count > 0) events |= POLLIN | POLLRDNORM;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) return caller.memory.writeU32(argument, this.#inbox.nextBytes);
    if (command === SIOCOUTQ) return caller.memory.writeU32(argument, 0);
    return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
  }

  /** Takes datagrams from `from` to `ip`. A connected socket takes only its peer's. */
  suits(ip: IpAddress, from: Endpoint): boolean {
    if (!accepts(this, ip)) return false;
    return (
      this.remote === undefined || (this.remote.port === from.port && this.remote.ip === from.ip)
    );
  }
}

/**
 * Returns the receiver of a datagram. Best first: connected to the sender, bound to the address,
 * bound to any.
 */
export function udpReceiver(to: Endpoint, from: Endpoint): UdpSocket | undefined {
  return bestUser(inetStack.udp.at(to.port), to, from, (user) => {
    if (!(user instanceof UdpSocket) || !user.suits(to.ip, from)) return -1;
    return (user.remote === undefined ? 0 : 2) + (isAny(user.localIp) ? 0 : 1);
  }) as UdpSocket | undefined;
}

/** All that take a datagram to a group or to everybody. */
export function* udpReceivers(to: Endpoint, from: Endpoint): Generator<UdpSocket> {
  for (const user of inetStack.udp.at(to.port))
    if (user instanceof UdpSocket && user.suits(to.ip, from)) yield user;
}
