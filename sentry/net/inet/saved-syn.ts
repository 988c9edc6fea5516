// SPDX-License-Identifier: Apache-2.0
// The headers of a SYN as they would have travelled over lo (TCP_SAVED_SYN).
import { type Endpoint, isV4 } from './address.ts';

/** Both headers: 20 or 40 bytes of IP, 40 bytes of TCP with the options that Linux sends. */
export function synHeaders(from: Endpoint, to: Endpoint, sequence: number): Uint8Array {
  const ipBytes = isV4(to.ip) ? 20 : 40;
  const view = new DataView(new ArrayBuffer(ipBytes + 40));
  if (isV4(to.ip)) {
    view.setUint8(0, 0x45);
    view.setUint16(2, 60);
    view.setUint16(6, 0x4000);
    view.setUint8(8, 64);
    view.setUint8(9, 6);
    setText(view, 12, from.ip + to.ip);
    view.setUint16(10, checksum(view, 20));
  } else {
    view.setUint8(0, 0x60);
    view.setUint16(4, 40);
    view.setUint8(6, 6);
    view.setUint8(7, 64);
    setText(view, 8, from.ip + to.ip);
  }
  view.setUint16(ipBytes, from.port);
  view.setUint16(ipBytes + 2, to.port);
  view.setUint32(ipBytes + 4, sequence);
  // Length of the header in words, SYN, window.
  view.setUint16(ipBytes + 12, 0xa002);
  view.setUint16(ipBytes + 14, 65_495);
  // MSS, SACK permitted, no timestamps told, no-operation, window scale of 10.
  const options = [2, 4, 0xff, 0xd7, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 10];
  new Uint8Array(view.buffer).set(options, ipBytes + 20);
  return new Uint8Array(view.buffer);
}

function setText(view: DataView, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1)
    view.setUint8(at + index, text.charCodeAt(index));
}

/** The Internet checksum of the first `length` bytes (RFC 1071). */
function checksum(view: DataView, length: number): number {
  let sum = 0;
  for (let at = 0; at < length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
