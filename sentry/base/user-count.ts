// SPDX-License-Identifier: Apache-2.0
// What each user has of one kind of object (ucounts of Linux): bytes of POSIX message queues,
// instances and watches of inotify, entries of epoll.

export class UserCount {
  readonly #counts = new Map<number, number>();

  /** Counts `amount` more for `uid`. False past `limit`: nothing is counted then. */
  take(uid: number, amount: number, limit: number): boolean {
    const count = (this.#counts.get(uid) ?? 0) + amount;
    if (count > limit) return false;
    this.#counts.set(uid, count);
    return true;
  }

  give(uid: number, amount: number): void {
    const left = (this.#counts.get(uid) ?? 0) - amount;
    if (left > 0) this.#counts.set(uid, left);
    else this.#counts.delete(uid);
  }
}
