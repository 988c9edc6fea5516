// SPDX-License-Identifier: Apache-2.0
// A sorted set of disjoint address ranges, for the thousands of mappings of a JVM or a Go program.
// Two levels: sorted chunks of sorted items, each chunk remembering its largest free gap. Finding is a
// binary search; inserting and removing move at most one chunk; the search for free space skips every
// chunk without a gap that is large enough.

/** [start, end), start < end. */
export interface Range {
  start: number;
  end: number;
  /** Bytes below `start` that the search for free space must leave alone (stack guard gap). */
  readonly guardBytes: number;
}

interface Chunk<T> {
  readonly items: T[];
  /** The largest gap before one of the items; -1 when it must be counted again. */
  largestGap: number;
}

const CHUNK_LIMIT = 128;

export class RangeMap<T extends Range> {
  readonly #chunks: Chunk<T>[] = [];
  #size = 0;
  /**
   * The result of the last search from above: no gap in [#scannedFloor, #scannedHigh) has
   * #scannedLength bytes. It saves the next search the way down through thousands of mappings.
   */
  #scannedHigh = 0;
  #scannedFloor = 0;
  #scannedLength = 0;
  /** Where #locate found its answer. */
  #chunkIndex = 0;
  #itemIndex = 0;

  get size(): number {
    return this.#size;
  }

  /** The item that contains `addr`. */
  find(addr: number): T | undefined {
    const item = this.firstEndingAfter(addr);
    return item !== undefined && item.start <= addr ? item : undefined;
  }

  /** The lowest item whose end lies above `addr` (find_vma). */
  firstEndingAfter(addr: number): T | undefined {
    this.#locate(addr);
    return this.#chunks[this.#chunkIndex]?.items[this.#itemIndex];
  }

  /** The highest item whose end lies at or below `addr`. */
  lastEndingBy(addr: number): T | undefined {
    this.#locate(addr);
    return this.#stepBack() ? this.#here() : undefined;
  }

  /** All items that overlap [start, end), in order. A copy: the map may change while it is used. */
  overlapping(start: number, end: number): T[] {
    const found: T[] = [];
    this.#locate(start);
    for (let c = this.#chunkIndex, i = this.#itemIndex; c < this.#chunks.length; c += 1, i = 0) {
      const items = (this.#chunks[c] as Chunk<T>).items;
      for (; i < items.length; i += 1) {
        const item = items[i] as T;
        if (item.start >= end) return found;
        found.push(item);
      }
    }
    return found;
  }

  /** The end of the `count`th item that ends above `addr`; undefined where there are fewer. */
  endOfNth(addr: number, count: number): number | undefined {
    this.#locate(addr);
    let left = count - 1;
    for (let c = this.#chunkIndex, i = this.#itemIndex; c < this.#chunks.length; c += 1, i = 0) {
      const { items } = this.#chunks[c] as Chunk<T>;
      if (i + left < items.length) return (items[i + left] as T).end;
      left -= items.length - i;
    }
    return undefined;
  }

  overlaps(start: number, end: number): boolean {
    const item = this.firstEndingAfter(start);
    return item !== undefined && item.start < end;
  }

  /** Adds an item that overlaps no other. */
  insert(item: T): void {
    this.#size += 1;
    if (this.#chunks.length === 0) {
      this.#chunks.push({ items: [item], largestGap: -1 });
      return;
    }
    this.#locate(item.start);
    if (this.#chunkIndex === this.#chunks.length) {
      this.#chunkIndex -= 1;
      this.#itemIndex = (this.#chunks[this.#chunkIndex] as Chunk<T>).items.length;
    }
    const { items } = this.#chunks[this.#chunkIndex] as Chunk<T>;
    items.splice(this.#itemIndex, 0, item);
    this.#gapsChanged(this.#chunkIndex);
    if (items.length > CHUNK_LIMIT) this.#split(this.#chunkIndex);
  }

  /** Removes an item that is in the map. */
  remove(item: T): void {
    this.#locate(item.start);
    const { items } = this.#chunks[this.#chunkIndex] as Chunk<T>;
    items.splice(this.#itemIndex, 1);
    this.#size -= 1;
    if (items.length === 0) {
      this.#chunks.splice(this.#chunkIndex, 1);
      this.#itemIndex = 0;
      this.#gapsChanged(this.#chunkIndex - 1);
    } else if (this.#itemIndex === items.length) {
      this.#itemIndex = 0;
      this.#chunkIndex += 1;
      this.#gapsChanged(this.#chunkIndex - 1);
    }
    this.#gapsChanged(this.#chunkIndex);
    this.#gapGrewBelow(this.#here());
  }

  /**
   * Puts `items` (in order) in the place of all that lie in [start, end), where none may reach
   * across an end. It costs little more than looking at each once, where `remove` and `insert`
   * would search for each.
   */
  replace(start: number, end: number, items: readonly T[]): void {
    this.#locate(start);
    const first = this.#chunkIndex;
    const before = this.#chunks[first]?.items.slice(0, this.#itemIndex) ?? [];
    this.#locate(end);
    const last = this.#chunkIndex;
    const after = this.#chunks[last]?.items.slice(this.#itemIndex) ?? [];
    let removed = -before.length - after.length;
    for (let c = first; c <= last; c += 1) removed += this.#chunks[c]?.items.length ?? 0;
    const all = [...before, ...items, ...after];
    const chunks: Chunk<T>[] = [];
    for (let at = 0; at < all.length; at += CHUNK_LIMIT)
      chunks.push({ items: all.slice(at, at + CHUNK_LIMIT), largestGap: -1 });
    const behind = this.#chunks.slice(last + 1);
    this.#chunks.length = first;
    for (const chunk of chunks) this.#chunks.push(chunk);
    for (const chunk of behind) this.#chunks.push(chunk);
    this.#size += items.length - removed;
    this.#gapsChanged(first + chunks.length - 1);
    this.#gapGrewBelow(this.firstEndingAfter(end));
  }

  /** Changes the bounds of an item that is in the map, without passing or touching its neighbours. */
  setBounds(item: T, start: number, end: number): void {
    this.#locate(item.start);
    item.start = start;
    item.end = end;
    this.#gapsChanged(this.#chunkIndex);
    this.#stepForward();
    this.#gapGrewBelow(this.#here());
  }

  /** The highest free place for `length` bytes in [low, high), or -1. */
  findGapTopDown(length: number, low: number, high: number): number {
    const isKnown = high === this.#scannedHigh && length >= this.#scannedLength;
    const top = isKnown ? Math.max(this.#scannedFloor, low) : high;
    this.#locate(top);
    for (;;) {
      const item = this.#here();
      const gapEnd = item === undefined ? top : Math.min(top, item.start - item.guardBytes);
      const gapStart = Math.max(this.#endOfPrevious(), low);
      if (gapEnd - gapStart >= length) {
        this.#scannedHigh = high;
        this.#scannedFloor = gapEnd;
        this.#scannedLength = length;
        return gapEnd - length;
      }
      if (gapStart <= low || !this.#stepBack()) return -1;
      while (this.#atEndOfChunk() && this.#largestGap(this.#chunkIndex) < length) {
        // Stay on the chunk's first item: its own gap is too small too, so the next step leaves the chunk.
        this.#itemIndex = 0;
        if (this.#endOfPrevious() <= low || !this.#stepBack()) return -1;
      }
    }
  }

  /** The lowest free place for `length` bytes in [low, high), or -1. */
  findGapBottomUp(length: number, low: number, high: number): number {
    this.#locate(low);
    while (this.#chunkIndex < this.#chunks.length) {
      const item = this.#here() as T;
      const gapStart = Math.max(this.#endOfPrevious(), low);
      const gapEnd = Math.min(high, item.start - item.guardBytes);
      if (gapEnd - gapStart >= length) return gapStart;
      if (item.end >= high) return -1;
      this.#stepForward();
      while (
        this.#itemIndex === 0 &&
        this.#chunkIndex < this.#chunks.length &&
        this.#largestGap(this.#chunkIndex) < length
      ) {
        this.#chunkIndex += 1;
      }
    }
    const gapStart = Math.max(this.#endOfPrevious(), low);
    return high - gapStart >= length ? gapStart : -1;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const chunk of this.#chunks) yield* chunk.items;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
    this.#scannedHigh = 0;
  }

  /** Finds the first item with end > addr; past all items the place is (chunks.length, 0). */
  #locate(addr: number): void {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { items } = chunks[middle] as Chunk<T>;
      if ((items[items.length - 1] as T).end > addr) high = middle;
      else low = middle + 1;
    }
    this.#chunkIndex = low;
    this.#itemIndex = 0;
    if (low === chunks.length) return;
    const { items } = chunks[low] as Chunk<T>;
    low = 0;
    high = items.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((items[middle] as T).end > addr) high = middle;
      else low = middle + 1;
    }
    this.#itemIndex = low;
  }

  #here(): T | undefined {
    return this.#chunks[this.#chunkIndex]?.items[this.#itemIndex];
  }

  #atEndOfChunk(): boolean {
    return this.#itemIndex === (this.#chunks[this.#chunkIndex] as Chunk<T>).items.length - 1;
  }

  /** Moves to the item before; false at the first. */
  #stepBack(): boolean {
    if (this.#itemIndex > 0) {
      this.#itemIndex -= 1;
      return true;
    }
    if (this.#chunkIndex === 0) return false;
    this.#chunkIndex -= 1;
    this.#itemIndex = (this.#chunks[this.#chunkIndex] as Chunk<T>).items.length - 1;
    return true;
  }

  #stepForward(): void {
    this.#itemIndex += 1;
    if (this.#itemIndex < (this.#chunks[this.#chunkIndex] as Chunk<T>).items.length) return;
    this.#chunkIndex += 1;
    this.#itemIndex = 0;
  }

  /** The end of the item before the current place, 0 where there is none. */
  #endOfPrevious(): number {
    if (this.#itemIndex > 0) {
      return ((this.#chunks[this.#chunkIndex] as Chunk<T>).items[this.#itemIndex - 1] as T).end;
    }
    return this.#chunks[this.#chunkIndex - 1]?.items.at(-1)?.end ?? 0;
  }

  #gapsChanged(chunkIndex: number): void {
    const chunk = this.#chunks[chunkIndex];
    if (chunk !== undefined) chunk.largestGap = -1;
    const next = this.#chunks[chunkIndex + 1];
    if (next !== undefined) next.largestGap = -1;
  }

  /** The gap below `item` (undefined: above all items) may be larger than it was. */
  #gapGrewBelow(item: T | undefined): void {
    const top = item === undefined ? this.#scannedHigh : Math.min(item.start, this.#scannedHigh);
    if (top > this.#scannedFloor) this.#scannedFloor = top;
  }

  #largestGap(chunkIndex: number): number {
    const chunk = this.#chunks[chunkIndex] as Chunk<T>;
    if (chunk.largestGap >= 0) return chunk.largestGap;
    let previousEnd = this.#chunks[chunkIndex - 1]?.items.at(-1)?.end ?? 0;
    let largest = 0;
    for (const item of chunk.items) {
      largest = Math.max(largest, item.start - item.guardBytes - previousEnd);
      previousEnd = item.end;
    }
    chunk.largestGap = largest;
    return largest;
  }

  #split(chunkIndex: number): void {
    const chunk = this.#chunks[chunkIndex] as Chunk<T>;
    const upper = chunk.items.splice(chunk.items.length >> 1);
    chunk.largestGap = -1;
    this.#chunks.splice(chunkIndex + 1, 0, { items: upper, largestGap: -1 });
  }
}
