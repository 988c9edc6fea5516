// SPDX-License-Identifier: Apache-2.0
// Ping sockets (icmp(7)): ICMP echo for programs without privileges. The socket's port is the
// identifier of its requests; what it gets are the answers to them.
import {
  EAGAIN,
  EDESTADDRREQ,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOTCONN,
  ENOTTY,
  EOPNOTSUPP,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_INET, IPPROTO_ICMP, IPPROTO_ICMPV6, MSG_OOB, SOCK_DGRAM } from '../../../abi/socket.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import { type Sink, type Source, takeAll } from '../../vfs/io.ts';
import {
  familyOf,
  type Received,
  type SendControl,
  type SocketCaller,
  type SocketKernel,
} from '../socket.ts';
import { MessageInbox } from '../unix/message-inbox.ts';
import { anyOf, type Endpoint, isV4 } from './address.ts';
import { DatagramInbox } from './datagram-inbox.ts';
import { InetSocket } from './inet-socket.ts';
import { PortTable } from './ports.ts';
import type { DatagramOwner, WayOut } from './way-out.ts';

const maxMessageBytes = 65_507;
/** struct icmphdr: type, code, checksum, identifier, sequence. */
const headBytes = 8;
const echoTypes = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
const identifiers = new PortTable<InetSocket>();

export class PingSocket extends InetSocket implements DatagramOwner {
  readonly type: number = SOCK_DGRAM;
  /** Tells the way out that its datagrams are ICMP messages. */
  readonly isPing = true;
  readonly #inbox = new DatagramInbox();
  #error = 0;

  constructor(
    domain: number,
    flags: number,
    credentials: Credentials,
    kernel: SocketKernel,
    wayOut: WayOut,
  ) {
    const protocol = domain === AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    super(domain, flags, protocol, credentials, kernel, wayOut);
  }

  protected override get ports(): PortTable<InetSocket> {
    return identifiers;
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

  override shutdown(_how: number): SysResult {
    return this.remote === undefined ? ENOTCONN : EOPNOTSUPP;
  }

  override close(): void {
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
    if (lengthBytes > maxMessageBytes) return EMSGSIZE;
    if (lengthBytes < headBytes) return EINVAL;
    if (this.#error !== 0) return -this.takeError();
    const to = address === undefined ? this.remote : this.destination(address);
    if (to === undefined) return EDESTADDRREQ;
    if (isErrno(to)) return to;
    if (isV4(to.ip) !== (this.domain === AF_INET)) return EINVAL;
    const bound = this.bindAnyPort();
    if (isErrno(bound)) return bound;
    if (!MessageInbox.hasRoom(lengthBytes)) return ENOBUFS;
    const bytes = new Uint8Array(lengthBytes);
    if (takeAll(source, bytes) < lengthBytes) return EFAULT;
    const { request } = this.#types;
    if (bytes[0] !== request || bytes[1] !== 0) return EINVAL;
    const sent = this.#transmit({ ip: to.ip, port: 0 }, bytes);
    return isErrno(sent) ? sent : lengthBytes;
  }

  get #types(): { readonly request: number; readonly reply: number } {
    return this.domain === AF_INET ? echoTypes[4] : echoTypes[6];
  }

  #transmit(to: Endpoint, bytes: Uint8Array): SysResult {
    this.#identify(bytes);
    if (!this.isInside(to.ip))
      return this.wayOut.sendDatagram(this, { ip: this.sourceFor(to), port: 0 }, to, bytes);
    bytes[0] = this.#types.reply;
    this.deliver(bytes, to);
    return 0;
  }

  /** Writes this socket's identifier, and for IPv4 the checksum; that of IPv6 is the carrier's. */
  #identify(bytes: Uint8Array): void {
    bytes[4] = this.localPort >> 8;
    bytes[5] = this.localPort & 0xff;
    bytes[2] = bytes[3] = 0;
    if (this.domain !== AF_INET) return;
    const sum = checksum(bytes);
    bytes[2] = sum >> 8;
    bytes[3] = sum & 0xff;
  }

  /** DatagramOwner: an answer. */
  deliver(bytes: Uint8Array, from: Endpoint): void {
    if (bytes.length < headBytes || bytes[0] !== this.#types.reply) return;
    if (this.remote !== undefined && this.remote.ip !== from.ip) return;
    if (this.#inbox.queuedBytes > this.options.receiveBufferBytes) return;
    this.#identify(bytes);
    this.#inbox.put(bytes, from.ip, this.domain);
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
    return this.#inbox.count === 0 ? EAGAIN : this.#inbox.take(sink, flags, received);
  }

  override poll(): number {
    let events = POLLOUT | POLLWRNORM;
    if (this.#error !== 0) events |= POLLERR;
    if (this.#inbox.count > 0) events |= POLLIN | POLLRDNORM;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command === FIONREAD) return caller.memory.writeU32(argument, this.#inbox.nextBytes);
    return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
  }
}

/** The Internet's checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  return ~sum & 0xffff;
}
