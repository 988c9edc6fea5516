// SPDX-License-Identifier: Apache-2.0
// --network user: streams and datagrams that leave the sandbox go through the network proxy, which
// also judges where they may go. The Sentry is in no network at all.
import {
  EHOSTUNREACH,
  ENETDOWN,
  ENETUNREACH,
  ENOBUFS,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { native } from '../../../native/addon.ts';
import type { PublishedPort } from '../../../protocol/boot-config.ts';
import * as p from '../../../protocol/proxy.ts';
import {
  currentAccount,
  type MemoryAccount,
  setCurrentAccount,
} from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { Platform } from '../../platform/platform.ts';
import { type Endpoint, type IpAddress, isMulticast, isV4 } from '../inet/address.ts';
import { formatEndpoint, ipOf } from '../inet/endpoint-text.ts';
import { TcpSocket } from '../inet/tcp-socket.ts';
import { udpReceiver } from '../inet/udp-socket.ts';
import type { DatagramOwner, OutsideStream, StreamOwner, WayOut } from '../inet/way-out.ts';
import { Denials } from './denials.ts';
import { ProxiedStream, type StreamKeeper } from './proxied-stream.ts';
import { ProxyLink, type ProxyListener } from './proxy-link.ts';

export const guestV4: IpAddress = ipOf(p.PROXY_GUEST_V4);
export const guestV6: IpAddress = ipOf(p.PROXY_GUEST_V6);

/** A socket whose datagrams are ICMP messages. */
export interface PingOwner extends DatagramOwner {
  readonly isPing: true;
}

interface Sender {
  readonly owner: DatagramOwner;
  /** The account of the process that made the socket. */
  readonly account: MemoryAccount;
}

interface Stream {
  readonly stream: ProxiedStream;
  readonly account: MemoryAccount;
}

export class UserWayOut implements WayOut, ProxyListener, StreamKeeper {
  readonly platform: Platform;
  readonly denials: Denials = new Denials();
  readonly #link: ProxyLink;
  readonly #published: readonly PublishedPort[];
  readonly #streams = new Map<number, Stream>();
  readonly #senders = new Map<number, Sender>();
  readonly #senderIds = new Map<DatagramOwner, number>();
  /** Pays for what nobody inside has asked for. */
  readonly #account: MemoryAccount;
  #lastId = 0;

  constructor(
    hostFd: number,
    platform: Platform,
    account: MemoryAccount,
    published: readonly PublishedPort[],
  ) {
    this.platform = platform;
    this.#account = account;
    this.#published = published;
    this.#link = new ProxyLink(hostFd, platform, this);
  }

  isOwn(ip: IpAddress): boolean {
    return ip === guestV4 || ip === guestV6;
  }

  route(to: Endpoint): Result<IpAddress> {
    if (this.#link.isLost) return ENETDOWN;
    return isMulticast(to.ip) ? ENETUNREACH : isV4(to.ip) ? guestV4 : guestV6;
  }

  // Streams

  connect(owner: StreamOwner, _from: Endpoint, to: Endpoint): Result<OutsideStream> {
    const account = currentAccount();
    if (this.#streams.size >= p.PROXY_MOST_STREAMS) return ENOBUFS;
    if (!account.charge(OBJECT_COST.proxiedStream)) return ENOBUFS;
    const id = this.#newId();
    const stream = new ProxiedStream(id, owner, this);
    this.#streams.set(id, { stream, account });
    this.#link.send({ type: p.PROXY_CONNECT, id, value: 0, port: to.port, address: to.ip });
    return this.#link.isLost ? ENETDOWN : stream;
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) % p.PROXY_INCOMING;
    while (this.#streams.has(this.#lastId) || this.#senders.has(this.#lastId));
    return this.#lastId;
  }

  /** StreamKeeper. */
  listen(): void {
    this.#link.listen();
  }

  /** StreamKeeper. */
  ended(id: number, resets: boolean): void {
    const known = this.#streams.get(id);
    if (known === undefined) return;
    this.#streams.delete(id);
    known.account.uncharge(OBJECT_COST.proxiedStream);
    if (resets) this.#link.send({ type: p.PROXY_ABORT, id, value: 0, port: 0, address: '' });
  }

  // Datagrams

  sendDatagram(owner: DatagramOwner, from: Endpoint, to: Endpoint, bytes: Uint8Array): SysResult {
    if (this.#link.isLost) return ENETDOWN;
    const { port, ip: address } = to;
    const isPing = (owner as Partial<PingOwner>).isPing === true;
    const index = isPing ? -1 : this.#callersPort(from, to);
    if (index >= 0) {
      this.#link.sendDatagram({ type: p.PROXY_ANSWER, id: 0, value: index, port, address }, bytes);
      return 0;
    }
    const type = isPing ? p.PROXY_PING : p.PROXY_SEND;
    this.#link.sendDatagram({ type, id: this.#senderId(owner), value: 0, port, address }, bytes);
    return 0;
  }

  #senderId(owner: DatagramOwner): number {
    const known = this.#senderIds.get(owner);
    if (known !== undefined) return known;
    const id = this.#newId();
    this.#senderIds.set(owner, id);
    this.#senders.set(id, { owner, account: currentAccount() });
    return id;
  }

  forget(owner: DatagramOwner): void {
    const id = this.#senderIds.get(owner);
    if (id === undefined) return;
    this.#senderIds.delete(owner);
    this.#senders.delete(id);
    this.#link.send({ type: p.PROXY_FORGET, id, value: 0, port: 0, address: '' });
  }

  /** The places that have called at a published port, and are answered from there. */
  readonly #callers = new Map<string, number>();

  #callersPort(from: Endpoint, to: Endpoint): number {
    const index = this.#callers.get(`${to.ip}:${to.port}`);
    return index !== undefined && this.#published[index]?.port === from.port ? index : -1;
  }

  #rememberCaller(from: Endpoint, index: number): void {
    const key = `${from.ip}:${from.port}`;
    this.#callers.delete(key);
    this.#callers.set(key, index);
    if (this.#callers.size <= MOST_CALLERS) return;
    for (const oldest of this.#callers.keys()) {
      this.#callers.delete(oldest);
      break;
    }
  }

  // What the proxy says

  /** ProxyListener. */
  heard(head: p.ProxyHead, body: Uint8Array, fd: number): void {
    const from = { ip: head.address, port: head.port };
    let isTaken = false;
    switch (head.type) {
      case p.PROXY_CONNECTED:
        isTaken = this.#connected(head.id, fd);
        break;
      case p.PROXY_FAILED:
      case p.PROXY_BROKEN:
        this.#failed(head, body);
        break;
      case p.PROXY_ACCEPTED:
        isTaken = this.#accepted(head, from, fd);
        break;
      case p.PROXY_RECEIVED:
        this.#received(head.id, from, body);
        break;
      case p.PROXY_UNDELIVERED:
        this.#undelivered(head, from, body);
        break;
      case p.PROXY_CALLED:
        this.#called(head.value, from, body);
        break;
      case p.PROXY_REFUSED:
        this.#denied('the name', latin1(body));
        break;
      default:
        break;
    }
    if (fd >= 0 && !isTaken) native.close(fd);
  }

  /** ProxyListener. */
  lost(): void {
    for (const { stream } of [...this.#streams.values()]) stream.broken(ENETDOWN);
  }

  #connected(id: number, fd: number): boolean {
    const known = this.#streams.get(id);
    if (known === undefined || fd < 0) return false;
    known.stream.open(fd);
    known.stream.owner.outsideConnected();
    return true;
  }

  #failed({ type, id, value, flags, address, port }: p.ProxyHead, body: Uint8Array): void {
    const at = { ip: address, port };
    if ((flags & p.PROXY_DENIED) !== 0) this.#denied(`tcp ${formatEndpoint(at)}`, latin1(body));
    const known = this.#streams.get(id);
    if (known === undefined) return;
    const error = errnoOf(value);
    if (type === p.PROXY_BROKEN) known.stream.broken(error);
    else known.stream.owner.outsideFailed(error);
  }

  #accepted({ id, value }: p.ProxyHead, from: Endpoint, fd: number): boolean {
    const port = this.#published[value];
    const account = this.#account;
    if (port === undefined || port.udp || fd < 0) return false;
    const at = { ip: isV4(from.ip) ? guestV4 : guestV6, port: port.port };
    const hasRoom = account.hasRoom(OBJECT_COST.proxiedStream);
    const open = (owner: StreamOwner): OutsideStream => {
      account.force(OBJECT_COST.proxiedStream);
      const stream = new ProxiedStream(id, owner, this);
      this.#streams.set(id, { stream, account });
      stream.open(fd);
      return stream;
    };
    const isTaken = hasRoom && TcpSocket.acceptFromOutside(at, from, open);
    // Nobody listens, or its queue is full.
    if (!isTaken) this.#link.send({ type: p.PROXY_ABORT, id, value: 0, port: 0, address: '' });
    return isTaken;
  }

  #received(id: number, from: Endpoint, body: Uint8Array): void {
    const sender = this.#senders.get(id);
    if (sender === undefined) return;
    this.#onAccount(sender.account, body.length, () => sender.owner.deliver(body.slice(), from));
  }

  #called(index: number, from: Endpoint, body: Uint8Array): void {
    const port = this.#published[index];
    if (port?.udp !== true) return;
    this.#rememberCaller(from, index);
    const to = { ip: isV4(from.ip) ? guestV4 : guestV6, port: port.port };
    this.#onAccount(this.#account, body.length, () =>
      udpReceiver(to, from)?.deliver(body.slice(), from),
    );
  }

  /** Runs `work` at the cost of `account`; a datagram for which that has no room is lost. */
  #onAccount(account: MemoryAccount, bytes: number, work: () => void): void {
    if (!account.hasRoom(bytes + OBJECT_COST.message)) return;
    const before = currentAccount();
    setCurrentAccount(account);
    work();
    setCurrentAccount(before);
  }

  #undelivered({ id, value, flags }: p.ProxyHead, to: Endpoint, body: Uint8Array): void {
    const sender = this.#senders.get(id);
    const kind = (sender?.owner as Partial<PingOwner> | undefined)?.isPing ? 'ping' : 'udp';
    if ((flags & p.PROXY_DENIED) !== 0) this.#denied(`${kind} ${formatEndpoint(to)}`, latin1(body));
    sender?.owner.outsideFailed(errnoOf(value));
  }

  #denied(what: string, why: string): void {
    // A refused name comes with its reason after a blank.
    const at = why.indexOf(' ');
    this.denials.add(
      what === 'the name'
        ? `${what} ${why.slice(0, at)} (${why.slice(at + 1)})`
        : `${what} (${why})`,
    );
  }
}

const MOST_CALLERS = 256;

/** A negative errno of what the proxy says; it does not decide on more than connections. */
function errnoOf(value: number): number {
  return value > 0 && value < 134 ? -value : EHOSTUNREACH;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
