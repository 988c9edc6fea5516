// SPDX-License-Identifier: Apache-2.0
// What every socket is (socket(7)): the interface between the socket syscalls and the protocol
// families. As with other files, operations never sleep: they answer EAGAIN.
import {
  EAGAIN,
  EINVAL,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { S_IFSOCK } from '../../abi/stat.ts';
import type { IdRanges } from '../../protocol/id-ranges.ts';
import type { Clock } from '../base/clock.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { type AnonymousNode, newAnonymousNode, sockfs } from '../fs/anon/anonymous-node.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PidNamespace } from '../kernel/pid-namespace.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { OpenFile } from '../vfs/open-file.ts';
import { SocketOptions } from './socket-options.ts';

/** The properties of their caller that socket operations use. Task is one. */
/** The parts of the kernel that sockets of the sandbox use. */
export type SocketKernel = Pick<Kernel, 'clock' | 'guestTimers' | 'network' | 'settings'>;

export interface SocketCaller extends FsCaller {
  readonly group: ThreadGroup;
}

/** struct ucred: who sent a message, who connected. */
export interface PeerCredentials {
  readonly pid: number;
  /** Whose `pid` it is; undefined where it is nobody's. Others see 0. */
  readonly pids: PidNamespace | undefined;
  /** Whose `uid` and `gid` they are. */
  readonly ids: IdRanges;
  readonly uid: number;
  readonly gid: number;
}

/** Ancillary data of a protocol (IP_PKTINFO, IP_TTL, ...). */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** Ancillary data of a send. The files are held (acquired) by the call; the socket acquires its own. */
export interface SendControl {
  readonly files: readonly OpenFile[];
  /** Given with SCM_CREDENTIALS and checked. */
  readonly credentials: PeerCredentials | undefined;
  /** Messages of levels other than SOL_SOCKET. */
  readonly messages: readonly ControlMessage[];
}

export const noControl: SendControl = { files: [], credentials: undefined, messages: [] };

/**
 * The things that come with received bytes. There is one object for each call, which `receive`
 * fills.
 */
export class Received {
  /** struct sockaddr of the sender; undefined where there is none to tell. */
  address: Uint8Array | undefined = undefined;
  /** Each with one reference that now belongs to the receiver. */
  files: readonly OpenFile[] = noControl.files;
  credentials: PeerCredentials | undefined = undefined;
  /** Messages of the protocol that its options asked for. */
  messages: readonly ControlMessage[] = noControl.messages;
  /** MSG_TRUNC, MSG_EOR, MSG_CTRUNC, MSG_OOB, MSG_ERRQUEUE. */
  flags = 0;
}

export abstract class Socket extends OpenFile {
  readonly node: AnonymousNode;
  readonly options: SocketOptions = new SocketOptions();
  abstract readonly domain: number;
  abstract readonly type: number;
  readonly protocol: number;

  constructor(flags: number, protocol: number, credentials: Credentials, clock: Clock) {
    super(O_RDWR | flags);
    this.protocol = protocol;
    this.node = newAnonymousNode(sockfs, S_IFSOCK | 0o777, credentials, clock);
  }

  override get objectBytes(): number {
    return OBJECT_COST.openFile + OBJECT_COST.socket;
  }

  override get description(): string {
    return `socket:[${this.node.ino}]`;
  }

  override get canSignal(): boolean {
    return true;
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override get readTimeoutNs(): number {
    return this.options.receiveTimeoutNs;
  }

  override get writeTimeoutNs(): number {
    return this.options.sendTimeoutNs;
  }

  /** A listening socket (SO_ACCEPTCONN). */
  get isListening(): boolean {
    return false;
  }

  bind(_address: Uint8Array, _caller: SocketCaller): SysResult {
    return EOPNOTSUPP;
  }

  listen(_backlog: number, _caller: SocketCaller): SysResult {
    return EOPNOTSUPP;
  }

  /** A connected socket with no descriptor yet. `flags`: O_NONBLOCK. */
  accept(_flags: number, _caller: SocketCaller): Result<Socket> {
    return EOPNOTSUPP;
  }

  /** 0, EAGAIN where the listener's queue is full. */
  connect(_address: Uint8Array, _caller: SocketCaller): SysResult {
    return EOPNOTSUPP;
  }

  shutdown(_how: number): SysResult {
    return ENOTCONN;
  }

  /** Bytes taken from `source`. `flags` are MSG_*; `address` is where to, if anywhere special. */
  send(
    _source: Source,
    _flags: number,
    _address: Uint8Array | undefined,
    _control: SendControl,
    _caller: SocketCaller | undefined,
  ): SysResult {
    return EOPNOTSUPP;
  }

  /** Bytes given to `sink` (with MSG_TRUNC: the message's real length). */
  receive(_sink: Sink, _flags: number, _received: Received): SysResult {
    return EOPNOTSUPP;
  }

  localAddress(): Result<Uint8Array> {
    return EOPNOTSUPP;
  }

  peerAddress(): Result<Uint8Array> {
    return EOPNOTSUPP;
  }

  /** The peer of a connection that was just accepted; it may be gone by now. */
  acceptedAddress(): Result<Uint8Array> {
    return this.peerAddress();
  }

  /** Error to report once by SO_ERROR: a positive errno, or 0. */
  takeError(): number {
    return 0;
  }

  peerCredentials(): PeerCredentials | undefined {
    return undefined;
  }

  /** Supplementary groups of the peer (SO_PEERGROUPS). */
  peerGroups(): readonly number[] | undefined {
    return undefined;
  }

  /** SO_SNDBUF or SO_RCVBUF changed, or SO_PASSCRED was set. */
  optionsChanged(): void {}

  /** MSG_ERRQUEUE is for this socket to answer; else nothing is ever there. */
  get hasErrorQueue(): boolean {
    return false;
  }

  /** The same call of connect(2) goes on after a sleep. */
  connectAgain(address: Uint8Array, caller: SocketCaller): SysResult {
    return this.connect(address, caller);
  }

  /** A connect(2) waited for SO_SNDTIMEO in vain: what it answers. */
  connectTimedOut(): SysResult {
    return EAGAIN;
  }

  /** Options of level SOL_SOCKET that are the socket's own business; undefined for all others. */
  getCommonOption(_name: number): Result<Uint8Array> | undefined {
    return undefined;
  }

  setCommonOption(_name: number, _value: Uint8Array, _caller: SocketCaller): SysResult | undefined {
    return undefined;
  }

  /** Options of levels other than SOL_SOCKET. */
  getOption(_level: number, _name: number): Result<Uint8Array> {
    return EOPNOTSUPP;
  }

  setOption(_level: number, _name: number, _value: Uint8Array, _caller: SocketCaller): SysResult {
    return ENOPROTOOPT;
  }

  override read(sink: Sink): SysResult {
    if (sink.remaining === 0) return 0;
    const received = new Received();
    const count = this.receive(sink, 0, received);
    for (const file of received.files) file.release();
    return count;
  }

  override write(source: Source): SysResult {
    return this.send(source, 0, undefined, noControl, undefined);
  }
}

/** The address family at the front of a struct sockaddr, or EINVAL. */
export function familyOf(address: Uint8Array): SysResult {
  return address.length < 2 ? EINVAL : (address[0] as number) | ((address[1] as number) << 8);
}
