// SPDX-License-Identifier: Apache-2.0
// What a segment does to a connection (RFC 9293 3.10.7), with the checks of RFC 5961 and RFC 7323.
import { ECONNREFUSED, ECONNRESET, EPIPE } from '../../../abi/errno.ts';
import { POLLHUP, POLLRDHUP } from '../../../abi/poll.ts';
import { type Connection, readable, writable } from './connection.ts';
import { ACK, FIN, RST, type Segment, SYN } from './segment.ts';
import { difference, placeOf } from './sequence.ts';

/** RFC 1122 4.2.2.6, where the peer says nothing. */
const DEFAULT_SEGMENT_BYTES = 536;
const LEAST_SEGMENT_BYTES = 48;
/** The timestamps option with its padding. */
const TIMESTAMP_BYTES = 12;
/** RFC 7323 5.5: a timestamp that nothing renewed for so long says nothing. */
const TIMESTAMP_AGE_MS = 24 * 24 * 3600 * 1000;
export const TIME_WAIT_MS = 60_000;

/** Whether a segment was taken, or is to be answered with RST. */
export type Verdict = 'taken' | 'reset';

/** 'reset': the segment is to be answered with RST (it acknowledges what was never sent). */
export function receiveSegment(connection: Connection, segment: Segment): Verdict {
  if (connection.state === 'syn-sent') return receiveInSynSent(connection, segment);
  const place = placeOf(segment.sequence, connection.remoteFirst, connection.in.next);
  if (!isAcceptable(connection, segment, place)) return 'taken';
  if (segment.has(RST)) {
    receiveReset(connection, place);
    return 'taken';
  }
  if (segment.has(SYN)) {
    // RFC 5961 4.2. A SYN that comes again in the handshake gets its answer again.
    if (connection.state === 'syn-received') connection.sendSyn();
    else connection.challenge();
    return 'taken';
  }
  if (!segment.has(ACK)) return 'taken';
  connection.lastHeardMs = connection.wire.nowMs();
  connection.keepTries = 0;
  if (connection.state === 'syn-received') {
    const verdict = completeHandshake(connection, segment);
    if (verdict !== 'taken') return verdict;
  }
  rememberTimestamp(connection, segment, place);
  if (!receiveAck(connection, segment, place)) return 'taken';
  receiveData(connection, segment, place);
  return 'taken';
}

/** The other side's SYN: options are agreed on. */
export function takeSyn(connection: Connection, segment: Segment): void {
  connection.remoteFirst = segment.sequence;
  connection.hasTimestamps &&= segment.hasTimestamps;
  if (connection.hasTimestamps) {
    connection.recentTimestamp = segment.timestamp;
    connection.recentTimestampMs = connection.wire.nowMs();
  }
  connection.hasSack &&= segment.isSackPermitted;
  if (segment.windowScale < 0) {
    connection.receiveScale = -1;
  } else connection.sendScale = segment.windowScale;
  const asked = segment.mss === 0 ? DEFAULT_SEGMENT_BYTES : segment.mss;
  const most = Math.min(Math.max(asked, LEAST_SEGMENT_BYTES), connection.pathSegmentBytes);
  connection.segmentBytes = most - (connection.hasTimestamps ? TIMESTAMP_BYTES : 0);
  connection.congestion = connection.newCongestion();
  connection.peerWindow = segment.window;
  connection.mostPeerWindow = segment.window;
}

function receiveInSynSent(connection: Connection, segment: Segment): Verdict {
  const acknowledges = placeOf(segment.acknowledgement, connection.first, 1) === 1;
  if (segment.has(ACK) && !acknowledges) return segment.has(RST) ? 'taken' : 'reset';
  if (segment.has(RST)) {
    if (segment.has(ACK)) connection.end(ECONNREFUSED);
    return 'taken';
  }
  if (!segment.has(SYN)) return 'taken';
  takeSyn(connection, segment);
  if (!segment.has(ACK)) {
    // Both ends open at once.
    connection.state = 'syn-received';
    connection.sendSyn();
    return 'taken';
  }
  measureSyn(connection);
  establish(connection);
  receiveData(connection, segment, 0);
  connection.acknowledgeSoon(true);
  return 'taken';
}

/** The window scale is used from here on; without one on the other side, none is. */
function establish(connection: Connection): void {
  if (connection.receiveScale < 0) connection.receiveScale = 0;
  connection.state = 'established';
  connection.tries = 0;
  connection.rtoAtMs = Number.POSITIVE_INFINITY;
  connection.windowPlace = connection.in.next;
  connection.windowAck = 1;
  if (connection.tuning.keepAlive)
    connection.keepAtMs = connection.wire.nowMs() + connection.tuning.keepIdleMs;
  connection.wire.confirm(connection);
  connection.user?.established();
  connection.user?.changed(writable);
  connection.schedule();
}

/** The SYN went at the time of the retransmission timer's start, if once only. */
function measureSyn(connection: Connection): void {
  if (connection.tries > 0) return;
  const now = connection.wire.nowMs();
  connection.roundTrip.measured(now - connection.triesSinceMs, now);
}

/** RFC 9293 3.10.7.4, first step; what is not acceptable is answered here. */
function isAcceptable(connection: Connection, segment: Segment, place: number): boolean {
  const { next, edge } = connection.in;
  const length = segment.length;
  const isOld =
    connection.hasTimestamps &&
    segment.hasTimestamps &&
    !segment.has(RST) &&
    difference(segment.timestamp, connection.recentTimestamp) < 0 &&
    connection.wire.nowMs() - connection.recentTimestampMs < TIMESTAMP_AGE_MS;
  if (isOld) {
    connection.challenge();
    return false;
  }
  const isWithin =
    length === 0 || edge === next
      ? place >= next && place <= edge
      : place < edge && place + length > next;
  if (isWithin) return true;
  if (segment.has(RST)) return false;
  if (segment.has(SYN) && connection.state === 'syn-received' && place === 0) {
    connection.sendSyn();
    return false;
  }
  if (connection.state === 'time-wait') restartTimeWait(connection, segment);
  // Data that came twice says that an acknowledgement was lost; a probe of a window wants one.
  if (segment.payload.length > 0 || segment.has(FIN)) connection.sendAck();
  else connection.challenge();
  return false;
}

/** RFC 5961 3.2: only the one that is expected resets. */
function receiveReset(connection: Connection, place: number): void {
  if (place !== connection.in.next) {
    connection.challenge();
    return;
  }
  if (connection.state === 'time-wait') return;
  if (connection.state === 'syn-received') connection.end(ECONNREFUSED);
  else {
    // A program that was told of the end already gets EPIPE rather than ECONNRESET.
    connection.end(connection.state === 'close-wait' ? EPIPE : ECONNRESET);
  }
}

function completeHandshake(connection: Connection, segment: Segment): Verdict {
  const ack = placeOf(segment.acknowledgement, connection.first, 1);
  if (ack !== 1) return 'reset';
  measureSyn(connection);
  establish(connection);
  connection.peerWindow = segment.window << connection.sendScale;
  connection.mostPeerWindow = connection.peerWindow;
  return 'taken';
}

/** RFC 7323 4.3. */
function rememberTimestamp(connection: Connection, segment: Segment, place: number): void {
  if (!connection.hasTimestamps || !segment.hasTimestamps) return;
  if (place > connection.lastAckSent) return;
  if (difference(segment.timestamp, connection.recentTimestamp) < 0) return;
  connection.recentTimestamp = segment.timestamp;
  connection.recentTimestampMs = connection.wire.nowMs();
}

/** False where the segment is to be dropped, or the connection has ended. */
function receiveAck(connection: Connection, segment: Segment, place: number): boolean {
  const { out } = connection;
  const ack = placeOf(segment.acknowledgement, connection.first, out.una);
  // RFC 5961 5.2.
  if (ack > out.nxt || ack < out.una - connection.mostPeerWindow) {
    connection.challenge();
    return false;
  }
  const window = segment.window << connection.sendScale;
  const isWindowNew =
    place > connection.windowPlace ||
    (place === connection.windowPlace && ack >= connection.windowAck);
  const isChanged = isWindowNew && window !== connection.peerWindow;
  if (isWindowNew && ack >= out.una) {
    connection.peerWindow = window;
    connection.mostPeerWindow = Math.max(connection.mostPeerWindow, window);
    connection.windowPlace = place;
    connection.windowAck = ack;
    if (isChanged) {
      connection.persistAtMs = Number.POSITIVE_INFINITY;
      connection.tries = window > 0 ? 0 : connection.tries;
    }
  }
  const isDuplicate =
    ack === out.una && segment.length === 0 && !isChanged && out.hasFlights && ack < out.nxt;
  takeAck(connection, segment, Math.max(ack, out.una), isDuplicate);
  return advanceClosing(connection);
}

function takeAck(
  connection: Connection,
  segment: Segment,
  ack: number,
  isDuplicate: boolean,
): void {
  const { out, roundTrip, congestion } = connection;
  const now = connection.wire.nowMs();
  const before = out.una;
  const wasFull = !connection.isWritable;
  const wasRecovering = out.isRecovering;
  const blocks = connection.hasSack
    ? segment.sacks.map((edge) => placeOf(edge, connection.first, out.una))
    : [];
  const result = out.acknowledge(ack, blocks, now);
  if (result.sampleMs >= 0) roundTrip.measured(result.sampleMs, now);
  let found = false;
  if (connection.hasSack) found = out.detectLoss(now, roundTrip);
  else if (isDuplicate) found = out.duplicate(connection.segmentBytes);
  else if (wasRecovering && out.isRecovering && ack > before)
    found = out.loseFirst(connection.segmentBytes);
  if (found) out.beginRecovery(congestion, now);
  if (ack > before) {
    connection.tries = 0;
    connection.probedTail = false;
    roundTrip.forgive();
    if ((!out.isRecovering || out.hasTimedOut) && connection.isLimited)
      congestion.acknowledged(result.delivered, now, roundTrip.smoothedMs);
    connection.wire.confirm(connection);
  } else if (result.delivered > 0) connection.tries = 0;
  if (!out.hasFlights) {
    connection.rtoAtMs = Number.POSITIVE_INFINITY;
    connection.probeAtMs = Number.POSITIVE_INFINITY;
  } else if (ack > before || result.delivered > 0) connection.armProbe();
  if (wasFull && connection.isWritable) connection.user?.changed(writable);
  connection.push(false);
}

/** Our FIN was acknowledged: the next state. False where that is the end. */
function advanceClosing(connection: Connection): boolean {
  const { out } = connection;
  if (out.finPlace === undefined || out.una <= out.finPlace) return true;
  const now = connection.wire.nowMs();
  switch (connection.state) {
    case 'fin-wait-1':
      connection.state = 'fin-wait-2';
      if (connection.isOrphan) connection.endAtMs = now + connection.tuning.finWaitMs;
      connection.schedule();
      return true;
    case 'closing':
      enterTimeWait(connection);
      return true;
    case 'last-ack':
      connection.end(0);
      return false;
    default:
      return true;
  }
}

function receiveData(connection: Connection, segment: Segment, place: number): void {
  const { payload } = segment;
  const queue = connection.in;
  if (payload.length > 0 && !connection.hearsData) {
    // After the peer's FIN there is no more data.
    connection.acknowledgeSoon(true);
  } else if (payload.length > 0) {
    if (connection.isOrphan) {
      // Nobody reads any more: what comes is lost, and the peer is to know (RFC 9293 3.6.1).
      connection.abort();
      return;
    }
    takePayload(connection, payload, segment.has(SYN) ? place + 1 : place);
  }
  if (segment.has(FIN)) {
    const at = place + (segment.has(SYN) ? 1 : 0) + payload.length;
    if (connection.remoteFin === undefined && at <= queue.edge) connection.remoteFin = at;
    connection.acknowledgeSoon(true);
  }
  if (connection.remoteFin === queue.next && connection.hearsData) receiveFin(connection);
}

function takePayload(connection: Connection, payload: Uint8Array, place: number): void {
  const queue = connection.in;
  const hadGap = queue.hasGap;
  const isEarly = place > queue.next;
  const count = queue.accept(place, payload);
  if (count > 0) {
    connection.unackedBytes += count;
    if (connection.isReadShut) queue.ring.discard(queue.ring.length);
    connection.user?.changed(readable);
  }
  if (isEarly) {
    // Each tells the peer of the gap: not put off, not put together.
    connection.sendAck();
    return;
  }
  const isFull = connection.unackedBytes >= 2 * connection.segmentBytes;
  connection.acknowledgeSoon(isFull || hadGap || count < payload.length);
}

function receiveFin(connection: Connection): void {
  connection.in.next += 1;
  connection.in.edge = Math.max(connection.in.edge, connection.in.next);
  connection.isEnded = true;
  const wasShut = connection.out.finPlace !== undefined;
  connection.acknowledgeSoon(true);
  switch (connection.state) {
    case 'established':
      connection.state = 'close-wait';
      break;
    case 'fin-wait-1':
      connection.state = 'closing';
      break;
    case 'fin-wait-2':
      enterTimeWait(connection);
      break;
    default:
      break;
  }
  connection.user?.changed(readable | POLLRDHUP | (wasShut ? POLLHUP : 0));
}

function enterTimeWait(connection: Connection): void {
  connection.state = 'time-wait';
  connection.out.release();
  if (connection.isOrphan) connection.in.release();
  connection.rtoAtMs = Number.POSITIVE_INFINITY;
  connection.probeAtMs = Number.POSITIVE_INFINITY;
  connection.persistAtMs = Number.POSITIVE_INFINITY;
  connection.keepAtMs = Number.POSITIVE_INFINITY;
  connection.endAtMs = connection.wire.nowMs() + TIME_WAIT_MS;
  connection.schedule();
}

function restartTimeWait(connection: Connection, segment: Segment): void {
  if (segment.has(FIN)) connection.endAtMs = connection.wire.nowMs() + TIME_WAIT_MS;
}

/**
 * Whether a SYN may take the place of a connection in TIME-WAIT (RFC 6191): it is newer by its
 * timestamp, or by its sequence number.
 */
export function isNewer(connection: Connection, segment: Segment): boolean {
  if (!segment.has(SYN) || segment.has(ACK) || segment.has(RST)) return false;
  if (connection.hasTimestamps && segment.hasTimestamps)
    return difference(segment.timestamp, connection.recentTimestamp) > 0;
  return placeOf(segment.sequence, connection.remoteFirst, connection.in.next) > connection.in.next;
}
