// SPDX-License-Identifier: Apache-2.0
// One end of a TCP connection within the sandbox: the state machine of RFC 9293 without segments. Both
// ends live in this kernel, so what one does the other sees at once. An end outlives its socket while
// bytes wait, in FIN_WAIT2, and as a record in TIME_WAIT (tcp-table.ts).
import { ECONNREFUSED, ECONNRESET, EPIPE, type SysResult } from '../../../abi/errno.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import * as states from '../../../abi/tcp.ts';
import type { Timer } from '../../base/timer-queue.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { TcpFlow } from './tcp-flow.ts';
import * as st from './tcp-state.ts';

export const readable = POLLIN | POLLRDNORM;
export const writable = POLLOUT | POLLWRNORM;
export const everything = readable | writable | POLLERR | POLLHUP | POLLRDHUP;

/** TCP_CORK and MSG_MORE hold bytes back for so long at most. */
const CORK_NS = 200e6;

/** The socket that a connection belongs or belonged to, as the connection sees it. */
export interface ConnectionOwner {
  /** Bytes that its receive queue holds, and those that wait at it to be sent. */
  readonly windowBytes: number;
  readonly sendBytes: number;
  readonly segmentBytes: number;
  /** SO_OOBINLINE. */
  readonly isUrgentInline: boolean;
  /** The socket has no descriptor any more. */
  readonly isOrphan: boolean;
  readonly monotonicNs: number;
  after(delayNs: number, callback: () => void): Timer;
  notify(events: number): void;
  /** An urgent byte came (SIGURG). */
  urgentArrived(): void;
  /** Data or an end arrived at a connection that waits for them (TCP_DEFER_ACCEPT). */
  arrived(): void;
  /** The connection left its state for TIME_WAIT or FIN_WAIT2 without a socket, or is over. */
  enterTimeWait(state: number): void;
  connectionClosed(): void;
}

export class TcpConnection {
  readonly owner: ConnectionOwner;
  state: number = states.TCP_CLOSE;
  peer: TcpConnection | undefined;
  readonly incoming: TcpFlow;
  /** The other end's `incoming`. */
  outgoing: TcpFlow | undefined;
  /** RCV_SHUTDOWN, SEND_SHUTDOWN. */
  shut = 0;
  /** FIN came (SOCK_DONE): a reader is told of this before any error. */
  isDone = false;
  /** A positive errno that the next call is told of. */
  error = 0;
  #held: Timer | undefined;

  constructor(owner: ConnectionOwner) {
    this.owner = owner;
    this.incoming = new TcpFlow();
  }

  /** Makes two ends one connection; an end that is joined to itself is a self-connect. */
  static join(a: TcpConnection, b: TcpConnection): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.peer = to;
      from.outgoing = to.incoming;
      from.state = states.TCP_ESTABLISHED;
    }
  }

  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  // Sending

  /** Bytes that may be put in now. */
  get room(): number {
    const { peer, outgoing } = this;
    if (peer === undefined || outgoing === undefined) return 0;
    const unsent = outgoing.unsentBytes;
    const window = unsent === 0 ? peer.owner.windowBytes - outgoing.arrivedBytes : 0;
    return this.owner.sendBytes - unsent + Math.max(0, window);
  }

  /** Half of the send buffer is free: enough for a writer to be told. */
  get isWritable(): boolean {
    const { outgoing } = this;
    return outgoing === undefined || outgoing.unsentBytes * 2 <= this.owner.sendBytes;
  }

  /** Puts bytes into the connection; there is room. `isHeld`: the last segment waits for more. */
  send(source: Source, limit: number, isHeld: boolean, isUrgent: boolean): SysResult {
    const outgoing = this.outgoing as TcpFlow;
    const peer = this.peer as TcpConnection;
    const isLast = source.remaining <= limit;
    const count = outgoing.put(source, limit);
    if (count <= 0) return count;
    if (isUrgent && isLast) {
      outgoing.markUrgent(peer.owner.isUrgentInline);
      outgoing.isHeld = false;
      this.push();
      peer.owner.urgentArrived();
      peer.owner.notify(POLLPRI);
      return count;
    }
    outgoing.isHeld = isHeld;
    this.push();
    return count;
  }

  /** Lets what waits to be sent arrive, as far as it may. */
  push(): void {
    const { peer, outgoing, owner } = this;
    if (peer === undefined || outgoing === undefined) return;
    const wasTight = !this.isWritable;
    const window = peer.owner.windowBytes;
    const count = outgoing.advance(window, owner.segmentBytes, owner.monotonicNs);
    if (count > 0) {
      if (peer.#abortsOnData) {
        if (peer.owner.isOrphan) outgoing.release();
        peer.receiveReset();
        this.receiveReset();
        return;
      }
      peer.owner.notify(readable);
      peer.owner.arrived();
    }
    if (outgoing.isHeld && outgoing.unsentBytes > 0 && outgoing.arrivedBytes < window)
      this.#held ??= owner.after(CORK_NS, () => this.release());
    if (outgoing.mayEnd) this.#endArrives(peer, outgoing);
    if (wasTight && this.isWritable) owner.notify(writable);
  }

  /** Nobody reads here any more: who sends is told so by a reset (TCPABORTONDATA). */
  get #abortsOnData(): boolean {
    if (this.state === states.TCP_CLOSE) return true;
    const isClosing = this.state === states.TCP_FIN_WAIT1 || this.state === states.TCP_FIN_WAIT2;
    return isClosing && (this.shut & st.RCV_SHUTDOWN) !== 0;
  }

  /** Nothing is held back any more (the end of TCP_CORK, or of its time). */
  release(): void {
    this.#held?.cancel();
    this.#held = undefined;
    if (this.outgoing === undefined) return;
    this.outgoing.isHeld = false;
    this.push();
  }

  /** Gives bytes to a reader, and lets more arrive in their place. */
  receive(sink: Sink, limit: number, peeks: boolean, skip: number): SysResult {
    const count = this.incoming.take(sink, limit, peeks, this.owner.isUrgentInline, skip);
    if (!peeks) this.windowOpened();
    return count;
  }

  /** There may be more room for what the other end holds. */
  windowOpened(): void {
    if (this.incoming.unsentBytes > 0) this.peer?.push();
  }

  // Ends

  /** FIN goes behind what was sent (tcp_close_state, tcp_send_fin). */
  sendEnd(): void {
    if (this.state === states.TCP_ESTABLISHED) this.state = states.TCP_FIN_WAIT1;
    else if (this.state === states.TCP_CLOSE_WAIT) this.state = states.TCP_LAST_ACK;
    else return;
    if (this.outgoing !== undefined) this.outgoing.endsSoon = true;
    this.release();
  }

  /** FIN of this end arrives at `peer`, whose kernel acknowledges it at once. */
  #endArrives(peer: TcpConnection, outgoing: TcpFlow): void {
    outgoing.hasEnded = true;
    peer.#receiveEnd();
    if (this.state === states.TCP_FIN_WAIT1) this.state = states.TCP_FIN_WAIT2;
    else if (this.state === states.TCP_CLOSING) this.#timeWait();
    else if (this.state === states.TCP_LAST_ACK) {
      this.#over();
      return;
    }
    // Whoever has no socket waits in FIN_WAIT2 for a limited time only.
    if (this.state === states.TCP_FIN_WAIT2 && this.owner.isOrphan)
      this.owner.enterTimeWait(states.TCP_FIN_WAIT2);
  }

  /** tcp_fin. */
  #receiveEnd(): void {
    if (this.state === states.TCP_CLOSE) return;
    this.shut |= st.RCV_SHUTDOWN;
    this.isDone = true;
    if (this.state === states.TCP_ESTABLISHED || this.state === states.TCP_SYN_RECV)
      this.state = states.TCP_CLOSE_WAIT;
    else if (this.state === states.TCP_FIN_WAIT1) this.state = states.TCP_CLOSING;
    else if (this.state === states.TCP_FIN_WAIT2) this.#timeWait();
    this.owner.notify(readable | POLLRDHUP | (this.shut === st.SHUTDOWN_MASK ? POLLHUP : 0));
    this.owner.arrived();
  }

  #timeWait(): void {
    this.owner.enterTimeWait(states.TCP_TIME_WAIT);
    this.#over();
  }

  /** tcp_done: nothing is left of the connection but what waits to be read. */
  #over(): void {
    if (this.state === states.TCP_CLOSE) return;
    this.state = states.TCP_CLOSE;
    this.shut = st.SHUTDOWN_MASK;
    this.#held?.cancel();
    this.#held = undefined;
    this.peer = undefined;
    this.outgoing = undefined;
    if (this.owner.isOrphan) this.incoming.release();
    this.owner.connectionClosed();
    this.owner.notify(everything);
  }

  /** A reset arrives (tcp_reset). */
  receiveReset(): void {
    if (this.state === states.TCP_CLOSE) return;
    this.error =
      this.state === states.TCP_SYN_SENT
        ? -ECONNREFUSED
        : this.state === states.TCP_CLOSE_WAIT
          ? -EPIPE
          : -ECONNRESET;
    this.incoming.cutUnsent();
    this.#over();
  }

  /** Ends this end without a word, and tells the other one by a reset. */
  reset(): void {
    const { peer } = this;
    const tells = st.needsReset(this.state) && peer !== this;
    this.incoming.cutUnsent();
    this.#over();
    if (tells) peer?.receiveReset();
  }

  /** The connection is over, by what happened outside of it; `error` is a positive errno or 0. */
  end(error: number): void {
    this.error = error;
    this.incoming.cutUnsent();
    this.#over();
  }
}
