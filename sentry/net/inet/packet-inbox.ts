// SPDX-License-Identifier: Apache-2.0
// Datagrams that wait at a socket, each with what control messages tell of it (ip(7), ipv6(7)).
import type { WallTime } from '../../base/clock.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { MESSAGE_OVERHEAD } from '../socket-options.ts';
import type { Endpoint } from './address.ts';

/** The things that control messages tell of a packet. */
export interface PacketNotes {
  readonly to: Endpoint;
  /** TTL or hop limit; TOS byte or traffic class. */
  readonly hops: number;
  readonly tos: number;
  readonly arrival: WallTime;
}

export interface Packet extends PacketNotes {
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

interface Waiting {
  readonly packet: Packet;
  readonly payer: MemoryAccount;
}

export class PacketInbox {
  readonly #waiting: Waiting[] = [];
  #queuedBytes = 0;
  /** Packets for which there was no room (SO_RXQ_OVFL). */
  drops = 0;

  get count(): number {
    return this.#waiting.length;
  }

  /** The next packet; the inbox is not empty. */
  get next(): Packet {
    return (this.#waiting[0] as Waiting).packet;
  }

  get nextBytes(): number {
    return this.#waiting[0]?.packet.bytes.length ?? 0;
  }

  /** False where the caller may not send a packet of that length: ENOBUFS. */
  static hasRoom(lengthBytes: number): boolean {
    return currentAccount().hasRoom(lengthBytes + OBJECT_COST.message);
  }

  /** Takes the packet, unless what waits is more than `limitBytes` already, as in Linux. */
  put(packet: Packet, limitBytes: number): boolean {
    if (this.#queuedBytes > limitBytes || !PacketInbox.hasRoom(packet.bytes.length)) {
      this.drops += 1;
      return false;
    }
    const payer = currentAccount();
    payer.force(packet.bytes.length + OBJECT_COST.message);
    this.#queuedBytes += packet.bytes.length + MESSAGE_OVERHEAD;
    this.#waiting.push({ packet, payer });
    return true;
  }

  /** Forgets the next packet. */
  shift(): void {
    const first = this.#waiting.shift();
    if (first === undefined) return;
    this.#queuedBytes -= first.packet.bytes.length + MESSAGE_OVERHEAD;
    first.payer.uncharge(first.packet.bytes.length + OBJECT_COST.message);
  }

  clear(): void {
    while (this.#waiting.length > 0) this.shift();
  }
}
