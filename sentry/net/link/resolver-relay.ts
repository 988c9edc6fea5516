// SPDX-License-Identifier: Apache-2.0
// Docker's resolver for user-defined networks: it listens on 127.0.0.11 in the container's network
// namespace on the host, where no packet of the guest's gets. Queries to that address go by a socket
// that the launcher connected to it, under numbers of their own, and the answers back to who asked.
import { ECONNREFUSED, ENOBUFS, isErrno, type SysResult } from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { native } from '../../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import type { Endpoint } from '../inet/address.ts';
import type { DatagramOwner } from '../inet/way-out.ts';

export const resolver: Endpoint = { ip: '\x7f\0\0\x0b', port: 53 };
const HEADER_BYTES = 12;
const MOST_BYTES = 65_535;
/** Queries without an answer; the oldest is forgotten. */
const MOST_PENDING = 1024;
const ANSWERS_A_TURN = 64;

interface Pending {
  readonly owner: DatagramOwner;
  /** The number that the program gave its query. */
  readonly id: number;
}

const buffer = new Uint8Array(MOST_BYTES);

export class ResolverRelay implements HostFdWatcher {
  readonly #hostFd: number;
  readonly #randomFill: (bytes: Uint8Array) => void;
  /** By the number that the query has on the host, the oldest first. */
  readonly #pending = new Map<number, Pending>();

  constructor(hostFd: number, randomFill: (bytes: Uint8Array) => void) {
    this.#hostFd = hostFd;
    this.#randomFill = randomFill;
  }

  start(platform: Platform): SysResult {
    return platform.watch(this.#hostFd, POLLIN, this);
  }

  serves(to: Endpoint): boolean {
    return to.port === resolver.port && to.ip === resolver.ip;
  }

  ask(owner: DatagramOwner, query: Uint8Array): SysResult {
    if (query.length < HEADER_BYTES) return 0;
    const id = ((query[0] as number) << 8) | (query[1] as number);
    const number = this.#newNumber();
    const asked = query.slice();
    asked[0] = number >> 8;
    asked[1] = number & 0xff;
    const sent = native.write(this.#hostFd, asked, 0, asked.length);
    // An error that is told now is that of an earlier query: nobody listens.
    if (sent === ECONNREFUSED) return ECONNREFUSED;
    if (isErrno(sent)) return ENOBUFS;
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size < MOST_PENDING) break;
      this.#pending.delete(oldest);
    }
    this.#pending.set(number, { owner, id });
    return 0;
  }

  #newNumber(): number {
    const random = new Uint16Array(1);
    for (;;) {
      this.#randomFill(new Uint8Array(random.buffer));
      const number = random[0] as number;
      if (!this.#pending.has(number)) return number;
    }
  }

  forget(owner: DatagramOwner): void {
    for (const [number, pending] of this.#pending)
      if (pending.owner === owner) this.#pending.delete(number);
  }

  /** HostFdWatcher. */
  ready(_events: number): void {
    for (let count = 0; count < ANSWERS_A_TURN; count += 1) {
      const length = native.read(this.#hostFd, buffer, 0, buffer.length);
      if (length === ECONNREFUSED) {
        this.#refused();
        continue;
      }
      if (isErrno(length)) return;
      if (length >= HEADER_BYTES) this.#answered(buffer.slice(0, length));
    }
  }

  #answered(answer: Uint8Array): void {
    const number = ((answer[0] as number) << 8) | (answer[1] as number);
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    answer[0] = pending.id >> 8;
    answer[1] = pending.id & 0xff;
    pending.owner.deliver(answer, resolver);
  }

  /** Nobody listens there: all that ask are told. */
  #refused(): void {
    const owners = new Set(Array.from(this.#pending.values(), ({ owner }) => owner));
    this.#pending.clear();
    for (const owner of owners) owner.outsideFailed(ECONNREFUSED);
  }
}
