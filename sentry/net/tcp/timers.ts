// SPDX-License-Identifier: Apache-2.0
// What time does to a connection: retransmission, probes, delayed acknowledgements, keep-alive, the
// ends of FIN-WAIT-2 and TIME-WAIT.
import { ETIMEDOUT } from '../../../abi/errno.ts';
import type { Connection } from './connection.ts';
import { ACK } from './segment.ts';

/** net.ipv4.tcp_retries2, and tcp_orphan_retries of Linux where it is 0. */
const MOST_TRIES = 15;
const MOST_ORPHAN_TRIES = 8;
/** net.ipv4.tcp_synack_retries. */
const SYNACK_RETRIES = 5;

/** Does what is due by now. */
export function expire(connection: Connection): void {
  const now = connection.wire.nowMs();
  if (connection.state === 'closed') return;
  if (connection.endAtMs <= now) {
    connection.end(connection.state === 'time-wait' ? 0 : ETIMEDOUT);
    return;
  }
  if (connection.ackAtMs <= now) connection.sendAck();
  if (connection.out.reorderAtMs <= now) reorderingExpired(connection, now);
  if (connection.probeAtMs <= now) probeTail(connection, now);
  if (connection.rtoAtMs <= now) retransmissionExpired(connection, now);
  if (connection.persistAtMs <= now) probeWindow(connection, now);
  if (connection.corkAtMs <= now) connection.push(false);
  if (connection.keepAtMs <= now) keepAlive(connection, now);
  connection.schedule();
}

function reorderingExpired(connection: Connection, now: number): void {
  const { out, congestion } = connection;
  if (out.detectLoss(now, connection.roundTrip)) out.beginRecovery(congestion, now);
  connection.push(false);
}

/** RFC 8985 7.3: new data where there is some, else the last segment again. */
function probeTail(connection: Connection, now: number): void {
  connection.probeAtMs = Number.POSITIVE_INFINITY;
  if (connection.probedTail || !connection.mayTransmit) return;
  connection.probedTail = true;
  const { out } = connection;
  const tail = out.tail(connection.segmentBytes);
  if (tail === undefined) return;
  const hasFin = out.finPlace !== undefined && tail.end > out.finPlace;
  const length = tail.end - tail.start - (hasFin ? 1 : 0);
  if (connection.send(hasFin ? ACK | 1 : ACK, tail.start, length)) out.repeated(tail, now);
  connection.armRto();
}

/** RFC 6298 5.4 to 5.7. */
function retransmissionExpired(connection: Connection, now: number): void {
  connection.rtoAtMs = Number.POSITIVE_INFINITY;
  connection.tries += 1;
  if (isGivenUp(connection, now)) {
    connection.end(ETIMEDOUT);
    return;
  }
  connection.roundTrip.backOff();
  if (connection.state === 'syn-sent' || connection.state === 'syn-received') {
    connection.sendSyn();
    return;
  }
  const { out, congestion } = connection;
  if (!out.hasFlights) return;
  // RFC 5681 3.1: the threshold is not halved again by further time-outs of the same segment.
  if (connection.tries === 1) congestion.timedOut(out.nxt - out.una);
  else congestion.window = Math.min(congestion.window, connection.segmentBytes);
  out.loseAll();
  out.recoverUntil = out.nxt;
  out.hasTimedOut = true;
  connection.push(false);
  connection.armRto();
}

function isGivenUp(connection: Connection, now: number): boolean {
  const { tuning, tries } = connection;
  if (connection.state === 'syn-sent') {
    if (tuning.userTimeoutMs > 0) return now - connection.triesSinceMs >= tuning.userTimeoutMs;
    return tries > tuning.synRetries;
  }
  if (connection.state === 'syn-received') return tries > SYNACK_RETRIES;
  if (connection.isOrphan) return tries > MOST_ORPHAN_TRIES;
  if (tuning.userTimeoutMs > 0) return now - connection.triesSinceMs >= tuning.userTimeoutMs;
  return tries > MOST_TRIES;
}

/** The window is closed: a segment that has to be answered asks whether it still is. */
function probeWindow(connection: Connection, now: number): void {
  const { out, tuning } = connection;
  connection.persistAtMs = Number.POSITIVE_INFINITY;
  if (connection.tries === 0) connection.triesSinceMs = now;
  connection.tries += 1;
  // A peer that answers lives, however long its window stays closed: unless nobody waits for it.
  const isSilent = now - connection.lastHeardMs > connection.roundTrip.rtoMs * 2;
  const isOver = tuning.userTimeoutMs > 0 && now - connection.triesSinceMs >= tuning.userTimeoutMs;
  if (isOver || (connection.tries > MOST_TRIES && (isSilent || connection.isOrphan))) {
    connection.end(ETIMEDOUT);
    return;
  }
  connection.roundTrip.backOff();
  connection.send(ACK, out.una - 1, 0);
  connection.persistAtMs = now + connection.roundTrip.rtoMs;
}

/** RFC 9293 3.8.4. */
function keepAlive(connection: Connection, now: number): void {
  const { tuning, out } = connection;
  connection.keepAtMs = Number.POSITIVE_INFINITY;
  if (!tuning.keepAlive || !connection.mayTransmit) return;
  const idleMs = now - connection.lastHeardMs;
  if (connection.keepTries === 0 && (idleMs < tuning.keepIdleMs || out.hasFlights)) {
    connection.keepAtMs = now + Math.max(tuning.keepIdleMs - idleMs, 1000);
    return;
  }
  const isOver =
    tuning.userTimeoutMs > 0
      ? connection.keepTries > 0 && idleMs >= tuning.userTimeoutMs
      : connection.keepTries >= tuning.keepCount;
  if (isOver) {
    connection.abort(ETIMEDOUT);
    return;
  }
  connection.keepTries += 1;
  connection.send(ACK, out.una - 1, 0);
  connection.keepAtMs = now + tuning.keepIntervalMs;
}
