// SPDX-License-Identifier: Apache-2.0
// The address resolution protocol over Ethernet (RFC 826).

import type { IpAddress } from '../inet/address.ts';
import { ETHERNET_BYTES, NETWORK_AT, VNET_BYTES } from '../link/frame.ts';
import { addressAt, getU16, putAddress, putU16 } from './checksum.ts';

const ARP_BYTES = 28;
const ARPHRD_ETHER = 1;
const ETH_P_IP = 0x0800;
export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;
/** Length of a frame that carries one. */
export const ARP_FRAME_BYTES: number = VNET_BYTES + ETHERNET_BYTES + ARP_BYTES;

export interface ArpMessage {
  readonly operation: number;
  readonly senderAddress: Uint8Array;
  readonly senderIp: IpAddress;
  readonly targetIp: IpAddress;
}

/** Undefined for what is no ARP of IPv4 over Ethernet. `senderAddress` lies in `bytes`. */
export function parseArp(bytes: Uint8Array, limit: number): ArpMessage | undefined {
  const at = NETWORK_AT;
  if (limit - at < ARP_BYTES) return undefined;
  if (getU16(bytes, at) !== ARPHRD_ETHER || getU16(bytes, at + 2) !== ETH_P_IP) return undefined;
  if (bytes[at + 4] !== 6 || bytes[at + 5] !== 4) return undefined;
  return {
    operation: getU16(bytes, at + 6),
    senderAddress: bytes.subarray(at + 8, at + 14),
    senderIp: addressAt(bytes, at + 14, 4),
    targetIp: addressAt(bytes, at + 24, 4),
  };
}

/** Writes a message at NETWORK_AT. `targetAddress` undefined: not known. */
export function writeArp(
  bytes: Uint8Array,
  operation: number,
  [senderAddress, senderIp]: readonly [Uint8Array, IpAddress],
  [targetAddress, targetIp]: readonly [Uint8Array | undefined, IpAddress],
): void {
  const at = NETWORK_AT;
  putU16(bytes, at, ARPHRD_ETHER);
  putU16(bytes, at + 2, ETH_P_IP);
  bytes[at + 4] = 6;
  bytes[at + 5] = 4;
  putU16(bytes, at + 6, operation);
  bytes.set(senderAddress, at + 8);
  putAddress(bytes, at + 14, senderIp);
  bytes.fill(0, at + 18, at + 24);
  if (targetAddress !== undefined) bytes.set(targetAddress, at + 18);
  putAddress(bytes, at + 24, targetIp);
}
