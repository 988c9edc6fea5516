// SPDX-License-Identifier: Apache-2.0
// Which hardware address an address on the link has: the states of RFC 4861 7.3, which Linux uses
// for ARP too. Frames wait here while an address is asked for.
import type { Timer, TimerQueue } from '../../base/timer-queue.ts';
import type { IpAddress } from '../inet/address.ts';

/** RFC 4861 10: RETRANS_TIMER, MAX_MULTICAST_SOLICIT, REACHABLE_TIME, DELAY_FIRST_PROBE_TIME. */
const RETRY_NS = 1e9;
const MOST_TRIES = 3;
const REACHABLE_NS = 30e9;
const DELAY_NS = 5e9;
/** The value of net.ipv4.neigh.default.gc_thresh3. */
const MOST_NEIGHBOURS = 1024;
/** Frames that wait for one address, and their bytes. */
const MOST_WAITING = 16;
const MOST_WAITING_BYTES = 128 * 1024;
/** A neighbour that did not answer is asked again only so much later. */
const FAILED_NS = 1e9;

/** NUD_* of rtnetlink. */
export type NeighbourState =
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'permanent';

/** Sends what waited for an address once it is known; `failed` where nobody answered. */
export interface Waiting {
  readonly lengthBytes: number;
  send(address: Uint8Array): void;
  failed(): void;
}

export interface Neighbour {
  readonly ip: IpAddress;
  address: Uint8Array | undefined;
  state: NeighbourState;
  changedNs: number;
  tries: number;
  timer: Timer | undefined;
  readonly waiting: Waiting[];
  waitingBytes: number;
}

export interface NeighbourHost {
  readonly timers: Pick<TimerQueue, 'add'>;
  nowNs(): number;
  /** Asks on the link who has `ip`: everybody, or the one at `at`. */
  solicit(ip: IpAddress, at: Uint8Array | undefined): void;
}

export class NeighbourTable {
  readonly #neighbours = new Map<IpAddress, Neighbour>();
  readonly #host: NeighbourHost;

  constructor(host: NeighbourHost) {
    this.#host = host;
  }

  all(): Iterable<Neighbour> {
    return this.#neighbours.values();
  }

  /** Takes over what the host knew. */
  preset(ip: IpAddress, address: Uint8Array, isPermanent: boolean): void {
    const neighbour = this.#entry(ip);
    neighbour.address = address.slice();
    neighbour.state = isPermanent ? 'permanent' : 'stale';
  }

  /** The hardware address of `ip` where a frame may be sent at once; else `resolve` is to be asked. */
  known(ip: IpAddress): Uint8Array | undefined {
    const found = this.#neighbours.get(ip);
    if (found?.address === undefined) return undefined;
    if (found.state === 'reachable' && this.#host.nowNs() - found.changedNs > REACHABLE_NS)
      found.state = 'stale';
    if (found.state === 'stale') {
      found.state = 'delay';
      this.#arm(found, DELAY_NS);
    }
    return found.address;
  }

  /** Asks for the address of `ip`; `waiting` goes when it is known. */
  resolve(ip: IpAddress, waiting: Waiting): void {
    const neighbour = this.#entry(ip);
    if (neighbour.address !== undefined) {
      waiting.send(neighbour.address);
      return;
    }
    const now = this.#host.nowNs();
    if (neighbour.state === 'failed' && now - neighbour.changedNs < FAILED_NS) {
      waiting.failed();
      return;
    }
    // As Linux: the oldest frames are lost first.
    while (
      neighbour.waiting.length > 0 &&
      (neighbour.waiting.length >= MOST_WAITING ||
        neighbour.waitingBytes + waiting.lengthBytes > MOST_WAITING_BYTES)
    )
      neighbour.waitingBytes -= neighbour.waiting.shift()?.lengthBytes ?? 0;
    neighbour.waiting.push(waiting);
    neighbour.waitingBytes += waiting.lengthBytes;
    if (neighbour.timer !== undefined) return;
    neighbour.state = 'incomplete';
    neighbour.tries = 0;
    this.#ask(neighbour);
  }

  /**
   * Somebody said that `ip` is at `address`. `isAnswer`: to a question of ours. Who was never
   * asked for is kept only with `creates`, which is so for whoever asks for us.
   */
  learn(ip: IpAddress, address: Uint8Array, isAnswer: boolean, creates: boolean): void {
    const found = this.#neighbours.get(ip);
    if (found === undefined && !creates) return;
    const neighbour = found ?? this.#entry(ip);
    if (neighbour.state === 'permanent') return;
    const isNew = neighbour.address === undefined || !isSame(neighbour.address, address);
    // An unasked claim does not take the place of an address that was confirmed just now.
    const isFresh = neighbour.state === 'reachable' && this.#ageNs(neighbour) < RETRY_NS;
    if (isNew && !isAnswer && neighbour.address !== undefined && isFresh) return;
    if (isNew) neighbour.address = address.slice();
    if (isAnswer || isNew || neighbour.state === 'failed')
      this.#setState(neighbour, isAnswer ? 'reachable' : 'stale');
    this.#sendWaiting(neighbour);
  }

  /** A connection went on: the neighbour is there. */
  confirm(ip: IpAddress): void {
    const found = this.#neighbours.get(ip);
    if (found?.address === undefined || found.state === 'permanent') return;
    if (found.state === 'reachable') found.changedNs = this.#host.nowNs();
    else this.#setState(found, 'reachable');
  }

  #ageNs(neighbour: Neighbour): number {
    return this.#host.nowNs() - neighbour.changedNs;
  }

  #entry(ip: IpAddress): Neighbour {
    const found = this.#neighbours.get(ip);
    if (found !== undefined) return found;
    if (this.#neighbours.size >= MOST_NEIGHBOURS) this.#forgetOne();
    const made: Neighbour = {
      ip,
      address: undefined,
      state: 'stale',
      changedNs: this.#host.nowNs(),
      tries: 0,
      timer: undefined,
      waiting: [],
      waitingBytes: 0,
    };
    this.#neighbours.set(ip, made);
    return made;
  }

  /** The oldest goes; one that is in use, or permanent, only where all are. */
  #forgetOne(): void {
    let victim: Neighbour | undefined;
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.state === 'permanent') continue;
      victim ??= neighbour;
      if (neighbour.state === 'stale' || neighbour.state === 'failed') {
        victim = neighbour;
        break;
      }
    }
    if (victim === undefined) return;
    victim.timer?.cancel();
    this.#neighbours.delete(victim.ip);
  }

  #setState(neighbour: Neighbour, state: NeighbourState): void {
    neighbour.timer?.cancel();
    neighbour.timer = undefined;
    neighbour.state = state;
    neighbour.changedNs = this.#host.nowNs();
  }

  #sendWaiting(neighbour: Neighbour): void {
    const { address } = neighbour;
    if (address === undefined) return;
    neighbour.waitingBytes = 0;
    for (const waiting of neighbour.waiting.splice(0)) waiting.send(address);
  }

  #arm(neighbour: Neighbour, delayNs: number): void {
    neighbour.timer?.cancel();
    neighbour.timer = this.#host.timers.add(this.#host.nowNs() + delayNs, () =>
      this.#expired(neighbour),
    );
  }

  #ask(neighbour: Neighbour): void {
    neighbour.tries += 1;
    this.#arm(neighbour, RETRY_NS);
    this.#host.solicit(neighbour.ip, neighbour.state === 'probe' ? neighbour.address : undefined);
  }

  #expired(neighbour: Neighbour): void {
    neighbour.timer = undefined;
    if (neighbour.state === 'delay') {
      neighbour.state = 'probe';
      neighbour.tries = 0;
    }
    if (neighbour.tries < MOST_TRIES) {
      this.#ask(neighbour);
      return;
    }
    this.#setState(neighbour, 'failed');
    neighbour.address = undefined;
    neighbour.waitingBytes = 0;
    for (const waiting of neighbour.waiting.splice(0)) waiting.failed();
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, at) => byte === b[at]);
}
