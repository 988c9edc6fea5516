// SPDX-License-Identifier: Apache-2.0
// A TCP socket's connection over the stack: between the seam of the sockets (../inet/way-out.ts) and
// the connection (../tcp/connection.ts).
import { EAGAIN, type SysResult } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';
import { MSG_MORE, MSG_PEEK, MSG_TRUNC } from '../../../abi/socket.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { InetOptions } from '../inet/inet-options.ts';
import type { OutsideStream, StreamOwner } from '../inet/way-out.ts';
import type { SocketOptions } from '../socket-options.ts';
import type { Connection } from '../tcp/connection.ts';
import { defaultTuning, type Tuning, type User } from '../tcp/contract.ts';
import { tcpInfo } from '../tcp/info.ts';
import type { TcpLayer } from './tcp-layer.ts';

/** Bytes that are thrown away. */
const drain: Sink = { remaining: Number.MAX_SAFE_INTEGER, put: (src) => src.length };

/** The options of a socket that its connection goes by. */
export interface TunedSocket {
  readonly options: SocketOptions;
  readonly inetOptions: InetOptions;
}

/** Fills `tuning` with what a program has set. */
export function tune({ options, inetOptions }: TunedSocket, tuning: Tuning): Tuning {
  const value = (name: number): number => inetOptions.value(so.SOL_TCP, name);
  tuning.noDelay = value(so.TCP_NODELAY) !== 0;
  tuning.cork = value(so.TCP_CORK) !== 0;
  tuning.keepAlive = options.keepAlive;
  tuning.keepIdleMs = value(so.TCP_KEEPIDLE) * 1000;
  tuning.keepIntervalMs = value(so.TCP_KEEPINTVL) * 1000;
  tuning.keepCount = value(so.TCP_KEEPCNT);
  tuning.synRetries = value(so.TCP_SYNCNT);
  tuning.userTimeoutMs = value(so.TCP_USER_TIMEOUT);
  tuning.finWaitMs = Math.min(Math.max(value(so.TCP_LINGER2), 0), 120) * 1000;
  // Linux doubles what was asked for, and takes half of it for its own overhead.
  if (options.isSendBufferSet) tuning.sendBufferBytes = options.sendBufferBytes / 2;
  if (options.isReceiveBufferSet) {
    tuning.receiveBufferBytes = options.receiveBufferBytes / 2;
    tuning.mostReceiveBytes = tuning.receiveBufferBytes;
  }
  return tuning;
}

export const newTuning = (socket: TunedSocket): Tuning => tune(socket, { ...defaultTuning });

export class StackStream implements OutsideStream, User {
  readonly #tcp: TcpLayer;
  readonly #owner: StreamOwner & TunedSocket;
  #connection: Connection | undefined;

  constructor(tcp: TcpLayer, owner: StreamOwner & TunedSocket) {
    this.#tcp = tcp;
    this.#owner = owner;
  }

  attach(connection: Connection): void {
    this.#connection = connection;
  }

  // User

  changed(events: number): void {
    this.#owner.queue.notify(events);
  }

  established(): void {
    this.#owner.outsideConnected();
  }

  ended(error: number): void {
    if (error !== 0) this.#owner.outsideFailed(error);
  }

  // OutsideStream

  send(source: Source, flags = 0): SysResult {
    const connection = this.#connection;
    if (connection === undefined) return EAGAIN;
    return connection.write(source, (flags & MSG_MORE) !== 0);
  }

  receive(sink: Sink, flags: number): SysResult {
    const connection = this.#connection;
    if (connection === undefined) return EAGAIN;
    const { ring } = connection.in;
    if (ring.length === 0) return connection.isEnded || connection.state === 'closed' ? 0 : EAGAIN;
    const target = (flags & MSG_TRUNC) !== 0 ? drain : sink;
    const limit = Math.min(sink.remaining, ring.length);
    if ((flags & MSG_PEEK) !== 0) return ring.peek(target, limit, 0);
    return connection.read(target, limit);
  }

  endSending(): void {
    this.#connection?.shutdownWrite();
  }

  poll(): number {
    return this.#connection?.poll() ?? 0;
  }

  get unreadBytes(): number {
    return this.#connection?.in.ring.length ?? 0;
  }

  get unsentBytes(): number {
    return this.#connection?.out.ring.length ?? 0;
  }

  close(resets: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.close(resets);
    this.#tcp.closed(connection);
  }

  optionsChanged(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const wasAlive = connection.tuning.keepAlive;
    tune(this.#owner, connection.tuning);
    connection.tuningChanged(wasAlive);
  }

  info(): Uint8Array {
    return this.#connection === undefined ? new Uint8Array(0) : tcpInfo(this.#connection);
  }
}
