// SPDX-License-Identifier: Apache-2.0
// Putting fragments of packets together. Fragments that overlap are never believed (RFC 5722, and
// RFC 8200 for IPv6): the whole packet goes. Packets in the making, their fragments, their bytes and
// their time are bounded.
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { Packet } from './packet.ts';

/** net.ipv4.ipfrag_time and net.ipv6.ip6frag_time are 30 s and 60 s. */
const LIFETIME_NS = 30e9;
const MOST_PACKETS = 64;
const MOST_FRAGMENTS = 64;
/** All that wait; the oldest packet goes where there is no room. */
const MOST_BYTES = 1 << 20;
const MOST_PAYLOAD_BYTES = 65_535;
const OVERHEAD_BYTES = 128;

interface Part {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Partial {
  readonly expiresNs: number;
  readonly parts: Part[];
  /** The length of the whole payload; undefined until the last fragment is there. */
  lengthBytes: number | undefined;
  haveBytes: number;
  chargedBytes: number;
  /** A fragment overlapped: nothing of it is believed, whatever comes. */
  isSpoilt: boolean;
}

export class Reassembly {
  readonly #packets = new Map<string, Partial>();
  readonly #account: MemoryAccount;
  #bytes = 0;

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  /** Takes a fragment. The payload of the packet that it completes, or undefined. */
  add(packet: Packet, bytes: Uint8Array, nowNs: number): Uint8Array | undefined {
    const { fragment } = packet;
    if (fragment === undefined) return undefined;
    this.#expire(nowNs);
    const payload = bytes.subarray(packet.payloadAt, packet.end);
    const end = fragment.offset + payload.length;
    const isBroken = fragment.hasMore && payload.length % 8 !== 0;
    if (payload.length === 0 || end > MOST_PAYLOAD_BYTES || isBroken) return undefined;
    const key = `${packet.source}${packet.destination}${packet.protocol}:${fragment.id}`;
    const partial = this.#partial(key, nowNs);
    if (partial.isSpoilt) return undefined;
    if (!this.#fits(partial, fragment.offset, end, fragment.hasMore)) {
      this.#spoil(partial);
      return undefined;
    }
    if (!fragment.hasMore) partial.lengthBytes = end;
    const cost = payload.length + OVERHEAD_BYTES;
    if (!this.#makeRoom(key, cost)) return undefined;
    partial.parts.push({ offset: fragment.offset, bytes: payload.slice() });
    partial.haveBytes += payload.length;
    partial.chargedBytes += cost;
    if (partial.haveBytes !== partial.lengthBytes) return undefined;
    this.#forget(key, partial);
    const whole = new Uint8Array(partial.lengthBytes);
    for (const part of partial.parts) whole.set(part.bytes, part.offset);
    return whole;
  }

  #partial(key: string, nowNs: number): Partial {
    const found = this.#packets.get(key);
    if (found !== undefined) return found;
    if (this.#packets.size >= MOST_PACKETS) this.#forgetOldest(undefined);
    const made: Partial = {
      expiresNs: nowNs + LIFETIME_NS,
      parts: [],
      lengthBytes: undefined,
      haveBytes: 0,
      chargedBytes: 0,
      isSpoilt: false,
    };
    this.#packets.set(key, made);
    return made;
  }

  #fits(partial: Partial, start: number, end: number, hasMore: boolean): boolean {
    if (partial.parts.length >= MOST_FRAGMENTS) return false;
    const known = partial.lengthBytes;
    if (known !== undefined && (end > known || !hasMore)) return false;
    return partial.parts.every(
      ({ offset, bytes }) =>
        (end <= offset || start >= offset + bytes.length) &&
        (hasMore || offset + bytes.length <= end),
    );
  }

  #spoil(partial: Partial): void {
    this.#uncharge(partial);
    partial.parts.length = 0;
    partial.isSpoilt = true;
  }

  /** Charges `cost` for `key`; others go where there is no room. */
  #makeRoom(key: string, cost: number): boolean {
    while (this.#bytes + cost > MOST_BYTES) if (!this.#forgetOldest(key)) return false;
    if (!this.#account.charge(cost)) return false;
    this.#bytes += cost;
    return true;
  }

  #forgetOldest(but: string | undefined): boolean {
    for (const [key, partial] of this.#packets) {
      if (key === but) continue;
      this.#forget(key, partial);
      return true;
    }
    return false;
  }

  #expire(nowNs: number): void {
    // In the order of their beginnings.
    for (const [key, partial] of this.#packets) {
      if (partial.expiresNs > nowNs) return;
      this.#forget(key, partial);
    }
  }

  #forget(key: string, partial: Partial): void {
    this.#packets.delete(key);
    this.#uncharge(partial);
  }

  #uncharge(partial: Partial): void {
    this.#account.uncharge(partial.chargedBytes);
    this.#bytes -= partial.chargedBytes;
    partial.chargedBytes = 0;
  }
}
