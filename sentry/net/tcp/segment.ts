// SPDX-License-Identifier: Apache-2.0
// The header of TCP and its options (RFC 9293 3.1, RFC 7323, RFC 2018).
import { getU16, getU32, putU16, putU32 } from '../ip/checksum.ts';

export const TCP_BYTES = 20;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;
/** The largest shift that RFC 7323 2.3 has. */
export const MOST_WINDOW_SCALE = 14;
export const MOST_SACK_BLOCKS = 4;

/** A segment that has come. One object serves all. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgement = 0;
  flags = 0;
  /** The field of the header, not scaled. */
  window = 0;
  urgent = 0;
  /** 0: not said. */
  mss = 0;
  /** -1: not said. */
  windowScale = -1;
  isSackPermitted = false;
  hasTimestamps = false;
  timestamp = 0;
  echo = 0;
  /** Pairs of sequence numbers. */
  readonly sacks: number[] = [];
  /** Lies in the buffer of the frame. */
  payload: Uint8Array = new Uint8Array(0);

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** The sequence numbers that it takes: its payload, SYN and FIN. */
  get length(): number {
    return this.payload.length + (this.has(SYN) ? 1 : 0) + (this.has(FIN) ? 1 : 0);
  }

  /** Takes bytes[at..end). False for what is no segment. */
  parse(bytes: Uint8Array, at: number, end: number): boolean {
    if (end - at < TCP_BYTES) return false;
    const headerBytes = ((bytes[at + 12] as number) >> 4) * 4;
    if (headerBytes < TCP_BYTES || at + headerBytes > end) return false;
    this.sourcePort = getU16(bytes, at);
    this.destinationPort = getU16(bytes, at + 2);
    this.sequence = getU32(bytes, at + 4);
    this.acknowledgement = getU32(bytes, at + 8);
    this.flags = bytes[at + 13] as number;
    this.window = getU16(bytes, at + 14);
    this.urgent = getU16(bytes, at + 18);
    this.payload = bytes.subarray(at + headerBytes, end);
    this.#clearOptions();
    this.#parseOptions(bytes, at + TCP_BYTES, at + headerBytes);
    return true;
  }

  #clearOptions(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.isSackPermitted = false;
    this.hasTimestamps = false;
    this.sacks.length = 0;
  }

  /** An option that cannot be read ends them, as with Linux. */
  #parseOptions(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const kind = bytes[at] as number;
      if (kind === END) return;
      if (kind === NOP) {
        at += 1;
        continue;
      }
      const length = at + 1 < to ? (bytes[at + 1] as number) : 0;
      if (length < 2 || at + length > to) return;
      this.#parseOption(kind, bytes, at + 2, length - 2);
      at += length;
    }
  }

  #parseOption(kind: number, bytes: Uint8Array, at: number, length: number): void {
    const isSyn = this.has(SYN);
    if (kind === TIMESTAMPS && length === 8) {
      this.hasTimestamps = true;
      this.timestamp = getU32(bytes, at);
      this.echo = getU32(bytes, at + 4);
    } else if (kind === SACK && length % 8 === 0 && length <= 8 * MOST_SACK_BLOCKS) {
      for (let place = 0; place < length; place += 4) this.sacks.push(getU32(bytes, at + place));
    } else if (kind === MSS && length === 2 && isSyn) this.mss = getU16(bytes, at);
    else if (kind === WINDOW_SCALE && length === 1 && isSyn)
      this.windowScale = Math.min(bytes[at] as number, MOST_WINDOW_SCALE);
    else if (kind === SACK_PERMITTED && length === 0 && isSyn) this.isSackPermitted = true;
  }
}

/** A segment that goes. One object of a connection serves all of its segments. */
export interface Header {
  sourcePort: number;
  destinationPort: number;
  sequence: number;
  acknowledgement: number;
  flags: number;
  window: number;
  urgent: number;
  /** With SYN only: 0 leaves the option out. */
  mss: number;
  /** With SYN only: -1 leaves the option out. */
  windowScale: number;
  isSackPermitted: boolean;
  hasTimestamps: boolean;
  timestamp: number;
  echo: number;
  /** Pairs of sequence numbers. */
  sacks: readonly number[];
}

/** A header without numbers and options. */
export function bareHeader(sourcePort: number, destinationPort: number, flags: number): Header {
  return {
    sourcePort,
    destinationPort,
    sequence: 0,
    acknowledgement: 0,
    flags,
    window: 0,
    urgent: 0,
    mss: 0,
    windowScale: -1,
    isSackPermitted: false,
    hasTimestamps: false,
    timestamp: 0,
    echo: 0,
    sacks: [],
  };
}

/** Writes the header with options at `at`; the checksum is 0. Its length. */
export function writeSegment(bytes: Uint8Array, at: number, header: Header): number {
  putU16(bytes, at, header.sourcePort);
  putU16(bytes, at + 2, header.destinationPort);
  putU32(bytes, at + 4, header.sequence);
  putU32(bytes, at + 8, header.acknowledgement);
  bytes[at + 13] = header.flags;
  putU16(bytes, at + 14, header.window);
  putU16(bytes, at + 16, 0);
  putU16(bytes, at + 18, header.urgent);
  const length = writeOptions(bytes, at + TCP_BYTES, header) - at;
  bytes[at + 12] = (length / 4) << 4;
  return length;
}

/** Answers where they end: a multiple of four bytes from where they began. */
function writeOptions(bytes: Uint8Array, from: number, header: Header): number {
  let at = from;
  const isSyn = (header.flags & SYN) !== 0;
  if (isSyn && header.mss > 0) {
    bytes[at] = MSS;
    bytes[at + 1] = 4;
    putU16(bytes, at + 2, header.mss);
    at += 4;
  }
  if (isSyn && header.isSackPermitted) at = putSmall(bytes, at, [NOP, NOP, SACK_PERMITTED, 2]);
  if (header.hasTimestamps) {
    at = putSmall(bytes, at, [NOP, NOP, TIMESTAMPS, 10]);
    putU32(bytes, at, header.timestamp);
    putU32(bytes, at + 4, header.echo);
    at += 8;
  }
  if (isSyn && header.windowScale >= 0)
    at = putSmall(bytes, at, [NOP, WINDOW_SCALE, 3, header.windowScale]);
  if (!isSyn && header.sacks.length > 0) {
    at = putSmall(bytes, at, [NOP, NOP, SACK, 2 + 4 * header.sacks.length]);
    for (const edge of header.sacks) {
      putU32(bytes, at, edge);
      at += 4;
    }
  }
  return at;
}

function putSmall(bytes: Uint8Array, at: number, values: readonly number[]): number {
  for (let index = 0; index < values.length; index += 1)
    bytes[at + index] = values[index] as number;
  return at + values.length;
}
