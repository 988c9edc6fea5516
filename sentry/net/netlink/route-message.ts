// SPDX-License-Identifier: Apache-2.0
// Messages of netlink(7) and rtnetlink(7): what an answer is made of.
import * as nl from '../../../abi/netlink.ts';
import type { NetlinkRequest } from '../../kernel/network.ts';

/** Also the acknowledgement, with error 0. */
export function errorMessage(request: NetlinkRequest, portId: number, error: number): Uint8Array {
  // An acknowledgement repeats the header only.
  const echoed = error === 0 ? request.bytes.subarray(0, nl.nlmsghdr.size) : request.bytes;
  const body = new Uint8Array(4 + echoed.length);
  new DataView(body.buffer).setInt32(0, error, true);
  body.set(echoed, 4);
  return message(nl.NLMSG_ERROR, 0, request.sequence, portId, body);
}

/** All parts in one datagram, and the end of the dump in another. */
export function dump(
  request: NetlinkRequest,
  portId: number,
  bodies: readonly Uint8Array[],
  type: number,
): Uint8Array[] {
  const parts = bodies.map((body) => message(type, nl.NLM_F_MULTI, request.sequence, portId, body));
  const done = message(nl.NLMSG_DONE, nl.NLM_F_MULTI, request.sequence, portId, new Uint8Array(4));
  return parts.length === 0 ? [done] : [joined(parts), done];
}

export function message(
  type: number,
  flags: number,
  sequence: number,
  portId: number,
  body: Uint8Array,
): Uint8Array {
  const lengthBytes = nl.nlmsghdr.size + body.length;
  const bytes = new Uint8Array(Math.ceil(lengthBytes / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(nl.nlmsghdr.length, lengthBytes, true);
  view.setUint16(nl.nlmsghdr.type, type, true);
  view.setUint16(nl.nlmsghdr.flags, flags, true);
  view.setUint32(nl.nlmsghdr.sequence, sequence, true);
  view.setUint32(nl.nlmsghdr.pid, portId, true);
  bytes.set(body, nl.nlmsghdr.size);
  return bytes;
}

/** struct rtattr: u16 length, u16 type, data; padded to four bytes. */
export function attribute(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((4 + data.length) / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + data.length, true);
  view.setUint16(2, type, true);
  bytes.set(data, 4);
  return bytes;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export const text = (latin1: string): Uint8Array =>
  Uint8Array.from(latin1, (char) => char.charCodeAt(0));
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
