// SPDX-License-Identifier: Apache-2.0
// The side of a TCP socket that faces its data: buffers, receiving, urgent data, poll(2) and ioctls. How
// sockets get connections is in tcp-socket.ts.
import { EAGAIN, EINVAL, ENOTCONN, ENOTTY, isErrno, type SysResult } from '../../../abi/errno.ts';
import { FIONREAD, SIOCATMARK, SIOCOUTQ, SIOCOUTQNSD } from '../../../abi/ioctl.ts';
import { POLLERR, POLLHUP, POLLPRI, POLLRDHUP } from '../../../abi/poll.ts';
import { SI_KERNEL, SIGURG } from '../../../abi/signal.ts';
import {
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_STREAM,
  SOL_TCP,
  TCP_INQ,
  TCP_MAXSEG,
  TCP_NOTSENT_LOWAT,
} from '../../../abi/socket.ts';
import * as states from '../../../abi/tcp.ts';
import type { Timer } from '../../base/timer-queue.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink } from '../../vfs/io.ts';
import type { Received } from '../socket.ts';
import { isV4 } from './address.ts';
import { InetSocket } from './inet-socket.ts';
import { type ConnectionOwner, readable, TcpConnection, writable } from './tcp-connection.ts';
import * as st from './tcp-state.ts';
import type { OutsideStream } from './way-out.ts';

/**
 * Buffers whose sizes the program did not set: together about what Linux's tuning gives a connection
 * over loopback.
 */
const tunedReceiveBytes = 65_536;
const tunedSendBytes = 196_608;
const drain: Sink = {
  remaining: Number.MAX_SAFE_INTEGER,
  put: (src) => src.length,
};

/** A TCP socket as far as its connection goes. */
export abstract class TcpStream extends InetSocket implements ConnectionOwner {
  override readonly type: number = SOCK_STREAM;
  protected connection: TcpConnection = new TcpConnection(this);
  isOrphan = false;
  /** The connection, where the other end is not in this sandbox. Nothing flows inside then. */
  protected outside: OutsideStream | undefined;

  abstract arrived(): void;
  abstract enterTimeWait(state: number): void;
  abstract connectionClosed(): void;

  // ConnectionOwner

  get windowBytes(): number {
    const { isReceiveBufferSet, receiveBufferBytes } = this.options;
    return isReceiveBufferSet ? receiveBufferBytes / 2 : tunedReceiveBytes;
  }

  get sendBytes(): number {
    const { isSendBufferSet, sendBufferBytes } = this.options;
    return isSendBufferSet ? sendBufferBytes / 2 : tunedSendBytes;
  }

  get segmentBytes(): number {
    const most = isV4(this.localIp) ? 65_483 : 65_463;
    const wanted = this.inetOptions.value(SOL_TCP, TCP_MAXSEG);
    return wanted === 0 ? most : wanted;
  }

  get isUrgentInline(): boolean {
    return this.options.outOfBandInline;
  }

  get monotonicNs(): number {
    return this.kernel.clock.monotonicNs();
  }

  after(delayNs: number, callback: () => void): Timer {
    return this.kernel.guestTimers.add(this.monotonicNs + delayNs, callback);
  }

  notify(events: number): void {
    this.queue.notify(events);
  }

  urgentArrived(): void {
    this.ioOwner?.receiver?.receive({ signal: SIGURG, code: SI_KERNEL });
  }

  override receive(sink: Sink, flags: number, received: Received): SysResult {
    const connection = this.connection;
    if (connection.state === states.TCP_LISTEN) return ENOTCONN;
    if ((flags & MSG_OOB) !== 0) return this.#receiveUrgent(sink, flags, received);
    if (this.outside !== undefined) return this.#receiveOutside(this.outside, sink, flags);
    if (connection.incoming.arrivedBytes > 0) {
      const target = (flags & MSG_TRUNC) !== 0 ? drain : sink;
      const peeks = (flags & MSG_PEEK) !== 0;
      const count = connection.receive(target, sink.remaining, peeks, 0);
      if (count !== 0 || sink.remaining === 0) {
        if (this.inetOptions.value(SOL_TCP, TCP_INQ) !== 0) this.#tellRest(received);
        return count;
      }
    }
    return this.#nothingToReceive();
  }

  #receiveOutside(stream: OutsideStream, sink: Sink, flags: number): SysResult {
    const { connection } = this;
    const isShut = (connection.shut & st.RCV_SHUTDOWN) !== 0;
    if (connection.error !== 0 || isShut || connection.state === states.TCP_SYN_SENT)
      return this.#nothingToReceive();
    if (sink.remaining === 0) return 0;
    const count = stream.receive(sink, flags);
    if (count === 0) {
      connection.isDone = true;
      connection.shut |= st.RCV_SHUTDOWN;
      if (connection.state === states.TCP_ESTABLISHED) connection.state = states.TCP_CLOSE_WAIT;
    }
    return count;
  }

  /** The control message of TCP_INQ. */
  #tellRest(received: Received): void {
    const { incoming, isDone } = this.connection;
    const rest = incoming.readableBytes(this.isUrgentInline);
    const value = rest === 0 && isDone ? 1 : rest;
    const data = new Uint8Array(Int32Array.of(value).buffer);
    received.messages = [{ level: SOL_TCP, type: TCP_INQ, data }];
  }

  #nothingToReceive(): SysResult {
    const connection = this.connection;
    if (connection.isDone) return 0;
    if (connection.error !== 0) return -connection.takeError();
    if ((connection.shut & st.RCV_SHUTDOWN) !== 0) return 0;
    return connection.state === states.TCP_CLOSE ? ENOTCONN : EAGAIN;
  }

  /** tcp_recv_urg. */
  #receiveUrgent(sink: Sink, flags: number, received: Received): SysResult {
    const connection = this.connection;
    const { incoming } = connection;
    if (this.isUrgentInline || incoming.urgent !== 'waits') return EINVAL;
    if (connection.state === states.TCP_CLOSE && !connection.isDone) return ENOTCONN;
    const byte = incoming.urgentByte((flags & MSG_PEEK) !== 0);
    if (byte === undefined) return (connection.shut & st.RCV_SHUTDOWN) !== 0 ? 0 : EAGAIN;
    received.flags |= MSG_OOB;
    if (sink.remaining > 0) return sink.put(Uint8Array.of(byte));
    received.flags |= MSG_TRUNC;
    return 0;
  }

  override optionsChanged(): void {
    this.outside?.optionsChanged?.();
    this.connection.windowOpened();
    if (this.connection.isWritable) this.queue.notify(writable);
  }

  override poll(): number {
    const connection = this.connection;
    const { state, shut } = connection;
    let events = connection.error !== 0 ? POLLERR : 0;
    if (shut === st.SHUTDOWN_MASK || state === states.TCP_CLOSE) events |= POLLHUP;
    if ((shut & st.RCV_SHUTDOWN) !== 0) events |= readable | POLLRDHUP;
    if (state === states.TCP_SYN_SENT) return events;
    if (this.outside !== undefined) return events | this.#pollOutside(this.outside, shut);
    if (this.#isReadable) events |= readable;
    if ((shut & st.SEND_SHUTDOWN) !== 0 || (connection.isWritable && this.#mayQueueMore))
      events |= writable;
    if (connection.incoming.urgent === 'waits') events |= POLLPRI;
    return events;
  }

  #pollOutside(stream: OutsideStream, shut: number): number {
    const events = stream.poll();
    const isWriteShut = (shut & st.SEND_SHUTDOWN) !== 0;
    const isOver = isWriteShut && (events & POLLRDHUP) !== 0;
    return events | (isWriteShut ? writable : 0) | (isOver ? POLLHUP : 0);
  }

  /** True: as much is there as SO_RCVLOWAT asks for, or all that the window allows. */
  get #isReadable(): boolean {
    const { incoming } = this.connection;
    if (incoming.arrivedBytes === 0) return false;
    let least = this.options.receiveLowWater;
    if (incoming.isAtMark && !this.isUrgentInline) least += 1;
    return incoming.arrivedBytes >= Math.min(least, this.windowBytes);
  }

  /** TCP_NOTSENT_LOWAT; 0 and -1 are no limit. */
  get #mayQueueMore(): boolean {
    const least = this.inetOptions.value(SOL_TCP, TCP_NOTSENT_LOWAT);
    return least <= 0 || (this.connection.outgoing?.unsentBytes ?? 0) < least;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    const value = this.#askedNumber(command);
    if (value === undefined)
      return this.kernel.network.interfaceIoctl(command, argument, caller) ?? ENOTTY;
    return isErrno(value) ? value : caller.memory.writeU32(argument, value);
  }

  #askedNumber(command: number): number | undefined {
    const { incoming, outgoing, state } = this.connection;
    switch (command) {
      case FIONREAD:
        return this.isListening
          ? EINVAL
          : (this.outside?.unreadBytes ?? incoming.readableBytes(this.isUrgentInline));
      case SIOCOUTQ:
      case SIOCOUTQNSD:
        return state === states.TCP_LISTEN
          ? EINVAL
          : (this.outside?.unsentBytes ?? outgoing?.unsentBytes ?? 0);
      case SIOCATMARK:
        return incoming.isAtMark ? 1 : 0;
      default:
        return undefined;
    }
  }
}
