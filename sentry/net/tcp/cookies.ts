// SPDX-License-Identifier: Apache-2.0
// Sequence numbers that nobody outside can guess (RFC 6528), and SYN cookies (RFC 4987 3.6): where
// too many connections are half open, all that is remembered of one is in the number that it gets.
import type { Endpoint } from '../inet/address.ts';

/** Segment sizes that a cookie can tell, in three bits. */
const segmentSizes = [536, 1300, 1440, 1460, 4312, 8960, 16_344, 32_728] as const;
/** A cookie is good for so many steps of 64 s. */
const STEP_MS = 64_000;
const MOST_STEPS = 2;

/** HalfSipHash-2-4 of a text of chars below 65536, with a key of 64 bits: 32 bits. */
export function keyedHash(key: Uint32Array, text: string): number {
  let v0 = key[0] as number;
  let v1 = key[1] as number;
  let v2 = 0x6c79_6765 ^ (key[0] as number);
  let v3 = 0x7465_6462 ^ (key[1] as number);
  const round = (): void => {
    v0 = (v0 + v1) | 0;
    v1 = (v1 << 5) | (v1 >>> 27);
    v1 ^= v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = (v3 << 8) | (v3 >>> 24);
    v3 ^= v2;
    v0 = (v0 + v3) | 0;
    v3 = (v3 << 7) | (v3 >>> 25);
    v3 ^= v0;
    v2 = (v2 + v1) | 0;
    v1 = (v1 << 13) | (v1 >>> 19);
    v1 ^= v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  };
  const absorb = (word: number): void => {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  };
  for (let at = 0; at < text.length; at += 2)
    absorb(text.charCodeAt(at) | ((at + 1 < text.length ? text.charCodeAt(at + 1) : 0) << 16));
  absorb(text.length);
  v2 ^= 0xff;
  for (let count = 0; count < 4; count += 1) round();
  return (v1 ^ v3) >>> 0;
}

/** Both ends, by which a connection is known, as a key. */
export function pairText(local: Endpoint, remote: Endpoint): string {
  return local.ip + remote.ip + String.fromCharCode(local.port, remote.port);
}

export class SequenceNumbers {
  readonly #numberKey = new Uint32Array(2);
  readonly #offsetKey = new Uint32Array(2);
  readonly #cookieKey = new Uint32Array(2);

  constructor(randomFill: (bytes: Uint8Array) => void) {
    for (const key of [this.#numberKey, this.#offsetKey, this.#cookieKey])
      randomFill(new Uint8Array(key.buffer));
  }

  /** For a SYN: a step every 4 µs, from a start that each pair of ends has for itself. */
  first(pair: string, nowMs: number): number {
    return (keyedHash(this.#numberKey, pair) + Math.floor(nowMs * 250)) >>> 0;
  }

  /** The number that timestamps of a connection begin with. */
  timestampOffset(pair: string): number {
    return keyedHash(this.#offsetKey, pair);
  }

  /** The number for a SYN-ACK of which nothing is remembered. `theirs`: of the SYN. */
  cookie(pair: string, theirs: number, segmentBytes: number, nowMs: number): number {
    let size = segmentSizes.length - 1;
    while (size > 0 && (segmentSizes[size] as number) > segmentBytes) size -= 1;
    const step = Math.floor(nowMs / STEP_MS);
    const told = ((step & 3) << 3) | size;
    return ((this.#mac(pair, theirs, step, told) & 0xffff_ffe0) | told) >>> 0;
  }

  /** The segment size in a cookie that came back, or undefined where it is none of ours. */
  check(pair: string, theirs: number, cookie: number, nowMs: number): number | undefined {
    const now = Math.floor(nowMs / STEP_MS);
    for (let age = 0; age < MOST_STEPS; age += 1) {
      const step = now - age;
      if ((step & 3) !== ((cookie >>> 3) & 3)) continue;
      if (((this.#mac(pair, theirs, step, cookie & 31) ^ cookie) & 0xffff_ffe0) === 0)
        return segmentSizes[cookie & 7];
    }
    return undefined;
  }

  #mac(pair: string, theirs: number, step: number, told: number): number {
    const words = [theirs & 0xffff, theirs >>> 16, step & 0xffff, step >>> 16, told];
    const number = String.fromCharCode(...words);
    return keyedHash(this.#cookieKey, pair + number);
  }
}
