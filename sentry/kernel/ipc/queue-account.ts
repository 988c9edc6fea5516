// SPDX-License-Identifier: Apache-2.0
// What the POSIX message queues of each user take (mq_overview(7)).

/** RLIMIT_MSGQUEUE: what the queues of each user count for, across namespaces. */
export class QueueAccount {
  readonly #bytes = new Map<number, number>();

  /** False past the limit: nothing is taken then. */
  take(uid: number, bytes: number, limit: number): boolean {
    const used = (this.#bytes.get(uid) ?? 0) + bytes;
    if (used > limit) return false;
    this.#bytes.set(uid, used);
    return true;
  }

  give(uid: number, bytes: number): void {
    const left = (this.#bytes.get(uid) ?? 0) - bytes;
    if (left > 0) this.#bytes.set(uid, left);
    else this.#bytes.delete(uid);
  }
}
