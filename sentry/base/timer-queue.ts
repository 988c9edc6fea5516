// SPDX-License-Identifier: Apache-2.0
// Deadlines in order: a binary heap. Callbacks run from the kernel's main loop. A cancelled timer
// leaves at once: most are time-outs of calls that end early, and would pile up until they are due.
export interface Timer {
  readonly deadlineNs: number;
  cancel(): void;
}

class Entry implements Timer {
  readonly deadlineNs: number;
  readonly sequence: number;
  readonly callback: () => void;
  readonly #queue: TimerQueue;
  /** Place in the heap; -1 when it has left. */
  index = -1;

  constructor(queue: TimerQueue, deadlineNs: number, sequence: number, callback: () => void) {
    this.#queue = queue;
    this.deadlineNs = deadlineNs;
    this.sequence = sequence;
    this.callback = callback;
  }

  cancel(): void {
    if (this.index >= 0) this.#queue.remove(this);
  }
}

const before = (a: Entry, b: Entry): boolean =>
  a.deadlineNs < b.deadlineNs || (a.deadlineNs === b.deadlineNs && a.sequence < b.sequence);

/** Callbacks between two questions whether the time is over. */
const RUN_AT_ONCE = 16;

export class TimerQueue {
  readonly #heap: Entry[] = [];
  #sequence = 0;

  /** Calls `callback` once when Clock.monotonicNs reaches `deadlineNs`. */
  add(deadlineNs: number, callback: () => void): Timer {
    this.#sequence += 1;
    const entry = new Entry(this, deadlineNs, this.#sequence, callback);
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The next deadline, or Infinity. */
  nextDeadlineNs(): number {
    return this.#heap[0]?.deadlineNs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Runs what is due at `nowNs`. Callbacks may add timers: those due run in the same call. Where
   * very many are due, `isOver` is asked now and then whether the rest is to wait for the next call.
   */
  runDue(nowNs: number, isOver: () => boolean = () => false): void {
    for (let count = 1; ; count += 1) {
      const first = this.#heap[0];
      if (first === undefined || first.deadlineNs > nowNs) return;
      this.remove(first);
      first.callback();
      if (count % RUN_AT_ONCE === 0 && isOver()) return;
    }
  }

  /** Only Timer.cancel calls this. */
  remove(entry: Entry): void {
    const { index } = entry;
    const last = this.#heap.pop() as Entry;
    entry.index = -1;
    if (last === entry) return;
    this.#heap[index] = last;
    this.#up(index);
    this.#down(last.index);
  }

  #up(start: number): void {
    const heap = this.#heap;
    let index = start;
    const entry = heap[index] as Entry;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[index] = above;
      above.index = index;
      index = parent;
    }
    heap[index] = entry;
    entry.index = index;
  }

  #down(start: number): void {
    const heap = this.#heap;
    let index = start;
    const entry = heap[index] as Entry;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry))
        child += 1;
      const below = heap[child] as Entry;
      if (!before(below, entry)) break;
      heap[index] = below;
      below.index = index;
      index = child;
    }
    heap[index] = entry;
    entry.index = index;
  }
}
