// SPDX-License-Identifier: Apache-2.0
// A connection of TCP (RFC 9293): its state, what is sent and when, and what a socket asks of it.
// input.ts has what segments do to it, timers.ts what time does. Nothing here knows sockets, packets
// or the host: a test drives it with a clock of its own and a scripted peer.
import { EAGAIN, ENOBUFS, ENOMEM, EPIPE, type SysResult } from '../../../abi/errno.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type CongestionControl, Cubic, Reno } from './congestion.ts';
import type { ConnectionOptions, State, Tuning, User, Wire } from './contract.ts';
import { ReceiveQueue } from './receive-queue.ts';
import { RoundTrip } from './round-trip.ts';
import { ACK, bareHeader, FIN, type Header, MOST_WINDOW_SCALE, PSH, RST, SYN } from './segment.ts';
import { SendQueue } from './send-queue.ts';
import { wireOf } from './sequence.ts';

export const readable: number = POLLIN | POLLRDNORM;
export const writable: number = POLLOUT | POLLWRNORM;
export const everything: number = readable | writable | POLLERR | POLLHUP | POLLRDHUP;

/** Payload of one write to the wire: the host's kernel cuts it into segments. */
const MOST_BURST_BYTES = 65_000;
const DELAYED_ACK_MS = 40;
const CORK_MS = 200;
/** Segments at the start of a connection whose acknowledgements do not wait. */
const QUICK_ACKS = 16;
/** RFC 5961 7, for one connection. */
const CHALLENGES_A_SECOND = 10;

export class Connection {
  state: State = 'closed';
  user: User | undefined;
  readonly tuning: Tuning;
  readonly wire: Wire;
  readonly account: MemoryAccount;
  readonly localPort: number;
  readonly remotePort: number;
  /** Sequence numbers of both SYNs. */
  readonly first: number;
  remoteFirst = 0;
  readonly out = new SendQueue();
  readonly in: ReceiveQueue;
  readonly roundTrip = new RoundTrip();
  congestion: CongestionControl;
  /** Came by a listener. */
  isPassive = false;
  /** No program has it any more. */
  isOrphan = false;
  /** The program reads no more. */
  isReadShut = false;
  /** FIN came, and everything before it. */
  isEnded = false;
  /** Negative errno, told once. */
  error = 0;
  /** The place of the peer's FIN. */
  remoteFin: number | undefined;
  hasSentSyn = false;

  /** Payload of a full segment, options taken off. */
  segmentBytes: number;
  pathSegmentBytes: number;
  hasTimestamps = false;
  hasSack = false;
  sendScale = 0;
  receiveScale = 0;
  peerWindow = 0;
  mostPeerWindow = 0;
  /** The segment that last told the window (RFC 9293 3.10.7.4, SND.WL1 and WL2). */
  windowPlace = 0;
  windowAck = 0;
  recentTimestamp = 0;
  recentTimestampMs = 0;
  lastAckSent = 0;

  rtoAtMs: number = Number.POSITIVE_INFINITY;
  probeAtMs: number = Number.POSITIVE_INFINITY;
  persistAtMs: number = Number.POSITIVE_INFINITY;
  ackAtMs: number = Number.POSITIVE_INFINITY;
  corkAtMs: number = Number.POSITIVE_INFINITY;
  keepAtMs: number = Number.POSITIVE_INFINITY;
  endAtMs: number = Number.POSITIVE_INFINITY;
  /** Retransmissions and probes in a row without an answer. */
  tries = 0;
  triesSinceMs = 0;
  keepTries = 0;
  lastHeardMs = 0;
  probedTail = false;

  needsAck = false;
  unackedBytes = 0;
  quickAcks = QUICK_ACKS;
  #isFlushing = false;
  /** Just past the last segment that was not full (Minshall's change to Nagle's rule). */
  #smallEnd = 0;
  /** The window of congestion held the last sending back. */
  isLimited = false;
  #challenges = 0;
  #challengesSinceMs = 0;
  readonly #timestampOffset: number;
  readonly #header: Header;

  constructor(options: ConnectionOptions) {
    this.localPort = options.localPort;
    this.remotePort = options.remotePort;
    this.first = options.first;
    this.wire = options.wire;
    this.account = options.account;
    this.tuning = options.tuning;
    this.pathSegmentBytes = options.segmentBytes;
    this.segmentBytes = options.segmentBytes;
    this.#timestampOffset = options.timestampOffset;
    this.in = new ReceiveQueue(options.tuning.receiveBufferBytes, options.account);
    this.congestion = this.newCongestion();
    while (
      this.receiveScale < MOST_WINDOW_SCALE &&
      options.tuning.mostReceiveBytes >> this.receiveScale > 0xffff
    )
      this.receiveScale += 1;
    this.#header = bareHeader(options.localPort, options.remotePort, 0);
  }

  newCongestion(): CongestionControl {
    return this.tuning.congestion === 'reno'
      ? new Reno(this.segmentBytes)
      : new Cubic(this.segmentBytes);
  }

  // What a socket asks

  /** Sends the SYN. */
  open(): void {
    this.state = 'syn-sent';
    this.lastHeardMs = this.wire.nowMs();
    this.hasTimestamps = true;
    this.hasSack = true;
    this.sendSyn();
  }

  get mayWrite(): boolean {
    return (
      (this.state === 'established' || this.state === 'close-wait') &&
      this.out.finPlace === undefined
    );
  }

  get sendRoom(): number {
    return this.tuning.sendBufferBytes - this.out.ring.length;
  }

  /** A third free: enough for a program to be told. */
  get isWritable(): boolean {
    return this.out.ring.length * 3 <= this.tuning.sendBufferBytes * 2;
  }

  /** Bytes taken, or an errno. `isMore`: MSG_MORE. */
  write(source: Source, isMore: boolean): SysResult {
    if (!this.mayWrite) return this.state === 'syn-sent' ? EAGAIN : EPIPE;
    if (source.remaining === 0) return 0;
    const room = this.sendRoom;
    if (room <= 0) return EAGAIN;
    const taken = this.out.ring.fill(source, room);
    if (taken === ENOMEM) return ENOBUFS;
    if (taken > 0) this.push(isMore);
    return taken;
  }

  /** Gives bytes that came. 0: none are there now; the caller says why. */
  read(sink: Sink, limit: number): SysResult {
    const count = this.in.ring.drain(sink, limit);
    if (count > 0) {
      const { smoothedMs } = this.roundTrip;
      this.in.wasRead(count, this.wire.nowMs(), smoothedMs, this.tuning.mostReceiveBytes);
      if (this.in.isWorthTelling(this.segmentBytes) && this.hearsData) this.sendAck();
    }
    return count;
  }

  /** Whether the peer may still send. */
  get hearsData(): boolean {
    const { state } = this;
    return state === 'established' || state === 'fin-wait-1' || state === 'fin-wait-2';
  }

  poll(): number {
    let events = 0;
    if (this.in.ring.length > 0 || this.isEnded || this.isReadShut) events |= readable;
    if (this.isEnded || this.isReadShut) events |= POLLRDHUP;
    if (this.isWritable || this.out.finPlace !== undefined || this.state === 'closed')
      events |= writable;
    const isSendShut = this.out.finPlace !== undefined;
    if ((this.isEnded || this.isReadShut) && isSendShut) events |= POLLHUP;
    if (this.state === 'closed') events |= POLLHUP | readable | POLLRDHUP;
    if (this.error !== 0) events |= POLLERR | readable;
    return events;
  }

  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  /** Nothing more will be written (shutdown, close). */
  shutdownWrite(): void {
    if (this.out.finPlace !== undefined) return;
    if (this.state === 'established') this.state = 'fin-wait-1';
    else if (this.state === 'close-wait') this.state = 'last-ack';
    else return;
    this.out.finPlace = this.out.ring.end + 1;
    this.push(false);
  }

  /** The program's descriptor is gone. `resets`: SO_LINGER with no time. */
  close(resets: boolean): void {
    this.user = undefined;
    this.isOrphan = true;
    const isLost = this.in.ring.length > 0;
    if (this.state === 'syn-sent') this.end(0);
    else if (this.state === 'closed' || this.state === 'time-wait') this.in.release();
    else if (resets || isLost || this.state === 'syn-received') this.abort();
    else {
      this.shutdownWrite();
      this.in.release();
      if (this.state === 'fin-wait-2') this.endAtMs = this.wire.nowMs() + this.tuning.finWaitMs;
      this.schedule();
    }
  }

  /** Sends RST and is gone. `error`: a negative errno for the program. */
  abort(error = 0): void {
    if (this.state !== 'closed' && this.state !== 'syn-sent' && this.state !== 'time-wait')
      this.send(RST | ACK, this.out.nxt, 0);
    this.end(error);
  }

  /** `error`: a negative errno for the program. */
  end(error: number): void {
    if (this.state === 'closed') return;
    const wasNew = this.state === 'syn-sent' || this.state === 'syn-received';
    this.state = 'closed';
    this.error = error;
    this.out.release();
    if (wasNew || this.isOrphan) this.in.release();
    this.wire.forget(this);
    const { user } = this;
    user?.ended(error);
    user?.changed(everything);
  }

  // Sending

  sendSyn(): void {
    const isAnswer = this.state === 'syn-received';
    this.hasSentSyn = true;
    this.in.edge = this.in.next;
    const window = Math.min(this.in.promise(this.segmentBytes), 0xffff);
    // What is said in a SYN is not scaled.
    this.in.edge = this.in.next + window;
    const header = this.#header;
    header.mss = this.pathSegmentBytes;
    header.windowScale = this.receiveScale < 0 ? -1 : this.receiveScale;
    header.isSackPermitted = this.hasSack;
    this.send(isAnswer ? SYN | ACK : SYN, 0, 0);
    header.mss = 0;
    this.armRto();
    this.schedule();
  }

  /** Sends what may go. `isMore`: the program said that more comes. */
  push(isMore: boolean): void {
    const { out } = this;
    this.isLimited = false;
    while (this.#pushOne(isMore));
    const isStuck =
      !out.hasFlights && out.nxt < out.end && this.corkAtMs === Number.POSITIVE_INFINITY;
    if (isStuck && this.persistAtMs === Number.POSITIVE_INFINITY)
      this.persistAtMs = this.wire.nowMs() + this.roundTrip.rtoMs;
    else if (!isStuck) this.persistAtMs = Number.POSITIVE_INFINITY;
    this.schedule();
  }

  /** Sends one burst. False where nothing (more) may go. */
  #pushOne(isMore: boolean): boolean {
    const { out } = this;
    const now = this.wire.nowMs();
    const room = Math.floor(this.congestion.window) - this.#pipe;
    const lost = out.nextLost(Math.max(this.segmentBytes, this.#burst(room)));
    if (lost !== undefined) {
      if (room < Math.min(this.segmentBytes, lost.end - lost.start) && out.inFlight > 0) {
        this.isLimited = true;
        return false;
      }
      if (!this.#sendRange(lost.start, lost.end)) return false;
      out.repeated(lost, now);
      this.armRto();
      return true;
    }
    if (!out.mayRecordMore || out.nxt >= out.end || !this.mayTransmit) return false;
    const length = this.#lengthOfNext(room, isMore, now);
    if (length === 0) return false;
    if (!this.#sendRange(out.nxt, out.nxt + length)) return false;
    if (length % this.segmentBytes !== 0) this.#smallEnd = out.nxt + length;
    out.sent(length, now);
    this.armProbe();
    return true;
  }

  get mayTransmit(): boolean {
    const { state } = this;
    return (
      state !== 'closed' &&
      state !== 'syn-sent' &&
      state !== 'syn-received' &&
      state !== 'time-wait'
    );
  }

  /** Bytes that are on their way; each duplicate tells of one that has left (RFC 6675, RFC 6582). */
  get #pipe(): number {
    const { out } = this;
    return this.hasSack
      ? out.inFlight
      : Math.max(0, out.inFlight - out.duplicates * this.segmentBytes);
  }

  /** Whole segments that fit into `room`. */
  #burst(room: number): number {
    const most = Math.min(room, MOST_BURST_BYTES);
    return most - (most % this.segmentBytes);
  }

  /** How many new bytes may go at once; FIN counts as one. 0: none. */
  #lengthOfNext(room: number, isMore: boolean, now: number): number {
    const { out } = this;
    const available = out.end - out.nxt;
    const window = out.una + this.peerWindow - out.nxt;
    const isFinOnly = out.finPlace !== undefined && out.nxt === out.finPlace;
    // FIN needs no room of the windows where nothing else is there to wait for.
    if (isFinOnly) return 1;
    const usable = Math.min(room, window);
    if (usable < Math.min(available, this.segmentBytes) && room < window) this.isLimited = true;
    let length = Math.min(available, usable, MOST_BURST_BYTES);
    if (length <= 0) return 0;
    if (length >= this.segmentBytes) length -= length % this.segmentBytes;
    // The rest of a program's bytes may follow in the same burst.
    if (length >= this.segmentBytes) return length;
    if (length < available) {
      // RFC 9293 3.8.6.2.1: a part of a segment only where it is half of the largest window.
      return length >= this.mostPeerWindow / 2 && !out.hasFlights ? length : 0;
    }
    return this.#holdsBack(isMore, now) ? 0 : length;
  }

  /** Nagle's rule, MSG_MORE and TCP_CORK for what is less than a segment. */
  #holdsBack(isMore: boolean, now: number): boolean {
    const { out, tuning } = this;
    if (out.finPlace !== undefined) return false;
    if (isMore || tuning.cork) {
      if (this.corkAtMs === Number.POSITIVE_INFINITY) this.corkAtMs = now + CORK_MS;
      if (this.corkAtMs > now) return true;
    }
    this.corkAtMs = Number.POSITIVE_INFINITY;
    return !tuning.noDelay && !tuning.cork && out.una < this.#smallEnd;
  }

  /** Sends places from..to, of which the last may be FIN. */
  #sendRange(from: number, to: number): boolean {
    const { out } = this;
    const hasFin = out.finPlace !== undefined && to > out.finPlace;
    const length = to - from - (hasFin ? 1 : 0);
    let flags = ACK;
    if (hasFin) flags |= FIN;
    if (length > 0 && to >= out.end) flags |= PSH;
    return this.send(flags, from, length);
  }

  /** Sends one segment, or several alike, with `length` bytes from `place`. */
  send(flags: number, place: number, length: number): boolean {
    const header = this.#header;
    const isSyn = (flags & SYN) !== 0;
    header.flags = flags;
    header.sequence = wireOf(place, this.first);
    header.acknowledgement = (flags & ACK) === 0 ? 0 : wireOf(this.in.next, this.remoteFirst);
    if (!isSyn) header.window = this.#windowField();
    else header.window = this.in.edge - this.in.next;
    header.hasTimestamps = this.hasTimestamps;
    header.timestamp = (Math.floor(this.wire.nowMs()) + this.#timestampOffset) >>> 0;
    header.echo = (flags & ACK) === 0 ? 0 : this.recentTimestamp;
    header.sacks = this.hasSack && this.in.hasGap && !isSyn ? this.#blocks() : noBlocks;
    const ring = length > 0 ? this.out.ring : undefined;
    const skip = place - 1 - this.out.ring.position;
    // A segment with blocks is longer by them: where it is full, the blocks go with the next one.
    if (length >= this.segmentBytes) header.sacks = noBlocks;
    const isSent = this.wire.transmit(this, header, ring, skip, length, this.segmentBytes);
    if ((flags & ACK) !== 0) this.#acknowledged();
    return isSent;
  }

  #windowField(): number {
    return Math.min(this.in.promise(this.segmentBytes) >>> Math.max(0, this.receiveScale), 0xffff);
  }

  #blocks(): number[] {
    const most = this.hasTimestamps ? 3 : 4;
    return this.in.blocks(most).map((place) => wireOf(place, this.remoteFirst));
  }

  #acknowledged(): void {
    this.lastAckSent = this.in.next;
    this.needsAck = false;
    this.unackedBytes = 0;
    this.ackAtMs = Number.POSITIVE_INFINITY;
  }

  sendAck(): void {
    this.send(ACK, this.out.nxt, 0);
  }

  /** An acknowledgement is due: at once, or after a while where more may come. */
  acknowledgeSoon(isNow: boolean): void {
    if (isNow || this.quickAcks > 0) {
      if (this.quickAcks > 0) this.quickAcks -= 1;
      this.needsAck = true;
      if (!this.#isFlushing) {
        this.#isFlushing = true;
        this.wire.flushLater(this);
      }
    } else if (this.ackAtMs === Number.POSITIVE_INFINITY) {
      this.ackAtMs = this.wire.nowMs() + DELAYED_ACK_MS;
      this.schedule();
    }
  }

  /** Sends the acknowledgement that is due, unless a segment took it along. */
  flush(): void {
    this.#isFlushing = false;
    if (this.needsAck && this.state !== 'closed') this.sendAck();
  }

  /** RFC 5961: an acknowledgement by which an honest peer sets itself right; not too many. */
  challenge(): void {
    const now = this.wire.nowMs();
    if (now - this.#challengesSinceMs >= 1000) {
      this.#challengesSinceMs = now;
      this.#challenges = 0;
    }
    this.#challenges += 1;
    if (this.#challenges <= CHALLENGES_A_SECOND) this.sendAck();
  }

  /** Packets of the route may have so many bytes of payload (RFC 1191): the larger ones are lost. */
  pathChanged(segmentBytes: number): void {
    if (segmentBytes >= this.pathSegmentBytes || !this.mayTransmit) return;
    const less = this.pathSegmentBytes - segmentBytes;
    this.pathSegmentBytes = segmentBytes;
    this.segmentBytes = Math.max(this.segmentBytes - less, 48);
    this.out.loseAll();
    this.push(false);
  }

  /** The program has set an option. */
  tuningChanged(wasAlive: boolean): void {
    if (this.tuning.keepAlive && !wasAlive && this.mayTransmit)
      this.keepAtMs = this.wire.nowMs() + this.tuning.keepIdleMs;
    if (this.mayTransmit) this.push(false);
  }

  // Timers

  armRto(): void {
    this.probeAtMs = Number.POSITIVE_INFINITY;
    this.rtoAtMs = this.wire.nowMs() + this.roundTrip.rtoMs;
    if (this.tries === 0) this.triesSinceMs = this.wire.nowMs();
  }

  /** RFC 8985 7.2: the tail of what is on its way is probed before the time-out. */
  armProbe(): void {
    this.armRto();
    const { smoothedMs } = this.roundTrip;
    if (smoothedMs === 0 || this.out.isRecovering || this.probedTail || !this.hasSack) return;
    const isAlone = this.out.inFlight <= this.segmentBytes;
    const delay = Math.max(2 * smoothedMs + (isAlone ? 200 : 2), 10);
    if (delay < this.roundTrip.rtoMs) this.probeAtMs = this.wire.nowMs() + delay;
  }

  schedule(): void {
    if (this.state === 'closed') return;
    const next = Math.min(
      this.rtoAtMs,
      this.probeAtMs,
      this.persistAtMs,
      this.ackAtMs,
      this.corkAtMs,
      this.keepAtMs,
      this.endAtMs,
      this.out.reorderAtMs,
    );
    if (next !== Number.POSITIVE_INFINITY) this.wire.schedule(this, next);
  }
}

const noBlocks: readonly number[] = [];
