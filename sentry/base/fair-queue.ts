// SPDX-License-Identifier: Apache-2.0
// Who comes next where more wait than there is time for: of the owner that has had the least time,
// what has waited longest. A process with thousands of threads gets no more than one with a single
// thread, as long as both want something (the idea of Linux's fair schedulers).

/**
 * How far an owner that wanted nothing for a while may be ahead of the others: who sleeps mostly is
 * served at once, but saves no time up.
 */
const CREDIT_NS = 4e6;

/** The part of one owner, which keeps it: what it waits for in one queue, and the time that it has had. */
export class FairShare<Item> {
  spentNs = 0;
  #items: Item[] = [];
  /** The first of `#items` that has not been taken. */
  #first = 0;

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Only where there is one. */
  shift(): Item {
    const item = this.#items[this.#first] as Item;
    this.#first += 1;
    const isLast = this.#first === this.#items.length;
    if (isLast || (this.#first >= 1024 && this.#first * 2 > this.#items.length)) {
      this.#items = isLast ? [] : this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}

export class FairQueue<Item> {
  /** The shares with items. */
  readonly #waiting: Set<FairShare<Item>> = new Set();
  #served: FairShare<Item> | undefined = undefined;
  /** The time that the owner which was served last had had by then. */
  #floorNs = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(share: FairShare<Item>, item: Item): void {
    if (share.isEmpty) {
      share.spentNs = Math.max(share.spentNs, this.#floorNs - CREDIT_NS);
      this.#waiting.add(share);
    }
    share.push(item);
    this.#size += 1;
  }

  /** Takes the next item out. The caller says afterwards how long it was busy with it (`charge`). */
  take(): Item | undefined {
    let least: FairShare<Item> | undefined;
    for (const share of this.#waiting)
      if (least === undefined || share.spentNs < least.spentNs) least = share;
    if (least === undefined) return undefined;
    this.#served = least;
    this.#floorNs = Math.max(this.#floorNs, least.spentNs);
    this.#size -= 1;
    const item = least.shift();
    if (least.isEmpty) this.#waiting.delete(least);
    return item;
  }

  /** The owner of what was taken last has had `ns`. */
  charge(ns: number): void {
    if (this.#served !== undefined) this.#served.spentNs += ns;
  }
}
