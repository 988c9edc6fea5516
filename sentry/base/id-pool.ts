// SPDX-License-Identifier: Apache-2.0
// Small numbers that are given again once they are free: Linux's IDA.
export class IdPool {
  readonly #taken = new Set<number>();
  /** No number below this one is free. */
  #lowestFree = 0;

  /** The lowest number that is free. */
  take(): number {
    let id = this.#lowestFree;
    while (this.#taken.has(id)) id += 1;
    this.#taken.add(id);
    this.#lowestFree = id + 1;
    return id;
  }

  release(id: number): void {
    if (this.#taken.delete(id)) this.#lowestFree = Math.min(this.#lowestFree, id);
  }
}
