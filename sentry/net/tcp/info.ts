// SPDX-License-Identifier: Apache-2.0
// struct tcp_info of linux/tcp.h, for getsockopt(TCP_INFO).
import type { Connection } from './connection.ts';
import { stateNumbers } from './contract.ts';

const TCP_INFO_BYTES = 232;
const OPTION_TIMESTAMPS = 1;
const OPTION_SACK = 2;
const OPTION_WINDOW_SCALE = 4;
/** TCP_CA_*. */
const RECOVERY = 3;
const LOSS = 4;

export function tcpInfo(connection: Connection): Uint8Array {
  const { out, roundTrip, congestion, tuning } = connection;
  const view = new DataView(new ArrayBuffer(TCP_INFO_BYTES));
  const segment = connection.segmentBytes;
  const now = connection.wire.nowMs();
  view.setUint8(0, stateNumbers[connection.state]);
  view.setUint8(1, out.isRecovering ? (out.hasTimedOut ? LOSS : RECOVERY) : 0);
  view.setUint8(2, Math.min(connection.tries, 255));
  view.setUint8(
    5,
    (connection.hasTimestamps ? OPTION_TIMESTAMPS : 0) |
      (connection.hasSack ? OPTION_SACK : 0) |
      (connection.sendScale > 0 ? OPTION_WINDOW_SCALE : 0),
  );
  view.setUint8(6, connection.sendScale | (Math.max(connection.receiveScale, 0) << 4));
  const u32 = (at: number, value: number): void => view.setUint32(at, Math.round(value), true);
  u32(8, roundTrip.rtoMs * 1000);
  u32(12, 40_000);
  u32(16, segment);
  u32(20, segment);
  u32(24, out.inFlight / segment);
  u32(36, out.lostFlights);
  u32(56, now - connection.lastHeardMs);
  u32(60, connection.pathSegmentBytes + 40);
  u32(64, connection.in.capacityBytes);
  u32(68, roundTrip.smoothedMs * 1000);
  u32(72, roundTrip.variationMs * 1000);
  u32(76, Math.min(congestion.threshold / segment, 0x7fff_ffff));
  u32(80, congestion.window / segment);
  u32(84, segment);
  u32(96, connection.in.capacityBytes);
  view.setBigUint64(120, BigInt(Math.max(0, out.una - 1)), true);
  view.setBigUint64(128, BigInt(Math.max(0, connection.in.next - 1)), true);
  if (Number.isFinite(roundTrip.minimumMs)) u32(148, roundTrip.minimumMs * 1000);
  view.setBigUint64(200, BigInt(Math.max(0, out.nxt - 1)), true);
  view.setBigUint64(208, BigInt(out.repeatedBytes), true);
  u32(228, Math.min(connection.peerWindow, tuning.sendBufferBytes));
  return new Uint8Array(view.buffer);
}
