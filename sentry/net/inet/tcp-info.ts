// SPDX-License-Identifier: Apache-2.0
// struct tcp_info of linux/tcp.h: the figures of a connection within the sandbox. Where a figure is
// about a network (round trips, windows), it is what Linux shows for a fresh connection over lo.

import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT } from '../../../abi/tcp.ts';
import type { TcpConnection } from './tcp-connection.ts';

/** TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE. */
const usualOptions = 7;
const infoBytes = 232;
/** Microseconds. */
const minimumRto = 200_000;
const initialRto = 1_000_000;

export interface ListenerFigures {
  readonly waiting: number;
  readonly backlog: number;
}

/** `listener`: the queue of a listening socket. */
export function tcpInfo(
  connection: TcpConnection,
  listener: ListenerFigures | undefined,
  nowNs: number,
  windowClamp: number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(infoBytes));
  const state = listener === undefined ? connection.state : TCP_LISTEN;
  const isConnected = state !== TCP_CLOSE && state !== TCP_LISTEN && state !== TCP_SYN_SENT;
  const { incoming, outgoing, owner } = connection;
  const sent = outgoing?.deliveredBytes ?? 0;
  const sentSegments = outgoing?.segments ?? 0;
  const at = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const long = (offset: number, value: number): void =>
    view.setBigUint64(offset, BigInt(value), true);
  const sinceMs = (ns: number): number => (ns === 0 ? 0 : Math.floor((nowNs - ns) / 1e6));
  view.setUint8(0, state);
  if (isConnected) {
    view.setUint8(5, usualOptions);
    view.setUint8(6, 0xaa); // both windows are scaled by ten bits
  }
  at(8, isConnected ? minimumRto : initialRto);
  at(12, incoming.segments > 0 ? 40_000 : 0);
  at(16, isConnected ? owner.segmentBytes : 536);
  at(20, 536);
  at(24, listener?.waiting ?? 0);
  at(28, listener?.backlog ?? 0);
  at(44, sinceMs(outgoing?.lastArrivalNs ?? 0));
  at(52, sinceMs(incoming.lastArrivalNs));
  at(56, sinceMs(incoming.lastArrivalNs));
  at(60, isConnected ? 65_535 : 0);
  at(64, Math.min(65_495, windowClamp === 0 ? 65_495 : windowClamp));
  at(68, isConnected ? 25 : 0);
  at(72, isConnected ? 12 : 250_000);
  at(76, 0x7fff_ffff);
  at(80, 10);
  at(84, isConnected ? 65_483 : 0);
  at(88, 3);
  at(96, isConnected ? 65_495 : 0);
  long(104, 0);
  view.setBigUint64(112, 0xffff_ffff_ffff_ffffn, true);
  long(120, isConnected ? sent + 1 : 0);
  long(128, incoming.deliveredBytes);
  at(136, isConnected ? 2 + sentSegments + incoming.segments : 0);
  at(140, isConnected ? 1 + incoming.segments + sentSegments : 0);
  at(144, outgoing?.unsentBytes ?? 0);
  at(148, isConnected ? 8 : 0);
  at(152, incoming.segments);
  at(156, sentSegments);
  at(192, isConnected ? 1 + sentSegments : 0);
  long(200, sent);
  at(228, isConnected ? 65_536 : 0);
  return new Uint8Array(view.buffer);
}
