// SPDX-License-Identifier: Apache-2.0
// The queues of a listening TCP socket (listen(2)): connections to be accepted, those that wait for
// their first data (TCP_DEFER_ACCEPT), and clients for which there is no room yet.
import type { Timer } from '../../base/timer-queue.ts';

export class TcpListener<Connection> {
  backlog: number;
  readonly accepted: Connection[] = [];
  readonly #deferred = new Map<Connection, Timer>();
  readonly #waiting: Connection[] = [];

  constructor(backlog: number) {
    this.backlog = backlog;
  }

  get hasRoom(): boolean {
    return this.accepted.length <= this.backlog;
  }

  defer(connection: Connection, timer: Timer): void {
    this.#deferred.set(connection, timer);
  }

  /** The connection need not wait for data any more. False: it did not. */
  admit(connection: Connection): boolean {
    const timer = this.#deferred.get(connection);
    if (timer === undefined) return false;
    timer.cancel();
    this.#deferred.delete(connection);
    this.accepted.push(connection);
    return true;
  }

  waitForRoom(client: Connection): void {
    this.#waiting.push(client);
  }

  giveUp(client: Connection): void {
    const at = this.#waiting.indexOf(client);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  nextWaiting(): Connection | undefined {
    return this.#waiting.shift();
  }

  /** Empties all queues: connections that were made, and clients that waited. */
  close(): { readonly made: Connection[]; readonly waiting: Connection[] } {
    const made = [...this.accepted.splice(0), ...this.#deferred.keys()];
    for (const timer of this.#deferred.values()) timer.cancel();
    this.#deferred.clear();
    return { made, waiting: this.#waiting.splice(0) };
  }
}
