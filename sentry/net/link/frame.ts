// SPDX-License-Identifier: Apache-2.0
// The layout of a buffer that a frame is built in or was received into: the header of virtio-net
// (linux/virtio_net.h, as PACKET_VNET_HDR of packet(7) has it), the Ethernet header, the packet.
// The offsets are constants, so that no layer copies what the one above has written.

export const VNET_BYTES = 10;
const ETHERNET_AT = VNET_BYTES;
export const ETHERNET_BYTES = 14;
export const NETWORK_AT: number = ETHERNET_AT + ETHERNET_BYTES;
/** The longest packet of IPv4 or IPv6 (without jumbograms), and its headers. */
export const FRAME_BYTES: number = NETWORK_AT + 40 + 65_535;

export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;

/** Flags and types of struct virtio_net_hdr. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;
export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;

/** Work that the interface or the host's kernel does on a frame on its way out. */
export interface Offload {
  /** Where the bytes begin that the checksum is of, from the start of the packet. */
  readonly checksumStart: number;
  /** Where the checksum goes, from there; it has the sum of the pseudo-header. */
  readonly checksumOffset: number;
  /** VIRTIO_NET_HDR_GSO_*. */
  readonly segmentation: number;
  /** Bytes of payload of each packet that the frame is cut into. */
  readonly segmentBytes: number;
  /** Bytes of all headers from the start of the packet. */
  readonly headerBytes: number;
}

/** An Ethernet interface: what the stack sends frames by. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Six bytes. */
  readonly address: Uint8Array;
  readonly mtu: number;
  /** Sends bytes[0..length), which begin with the virtio header. False where there is no room now. */
  transmit(bytes: Uint8Array, length: number): boolean;
}

/** Takes frames that have come. */
export interface FrameReceiver {
  /** bytes[0..length) is lent until this returns. */
  receiveFrame(link: Link, bytes: Uint8Array, length: number): void;
  /** No frame waits any more, or enough were taken for this turn. */
  endBatch(): void;
}

/** Writes the virtio header: no work where `offload` is undefined. Little-endian, as the host is. */
export function writeOffload(bytes: Uint8Array, offload: Offload | undefined): void {
  bytes.fill(0, 0, VNET_BYTES);
  if (offload === undefined) return;
  const start = ETHERNET_BYTES + offload.checksumStart;
  bytes[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  bytes[6] = start & 0xff;
  bytes[7] = start >> 8;
  bytes[8] = offload.checksumOffset & 0xff;
  if (offload.segmentation === VIRTIO_NET_HDR_GSO_NONE) return;
  const headers = ETHERNET_BYTES + offload.headerBytes;
  bytes[1] = offload.segmentation;
  bytes[2] = headers & 0xff;
  bytes[3] = headers >> 8;
  bytes[4] = offload.segmentBytes & 0xff;
  bytes[5] = offload.segmentBytes >> 8;
}

/** Whether nobody has to look at checksums of transports: the frame never was on a wire, or was looked at. */
export function isChecksumKnown(bytes: Uint8Array): boolean {
  const known = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
  return ((bytes[0] as number) & known) !== 0;
}

export function writeEthernet(
  bytes: Uint8Array,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  bytes.set(destination, ETHERNET_AT);
  bytes.set(source, ETHERNET_AT + 6);
  bytes[ETHERNET_AT + 12] = type >> 8;
  bytes[ETHERNET_AT + 13] = type & 0xff;
}

export function etherType(bytes: Uint8Array): number {
  return ((bytes[ETHERNET_AT + 12] as number) << 8) | (bytes[ETHERNET_AT + 13] as number);
}
