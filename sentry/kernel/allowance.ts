// What the processes of one container may have together, and what they have had: the kernel's side of cgroups(7).
import type { Container } from './container.ts';
import type { Task } from './task.ts';

/** Without limits of its own a container may have what there is. */
export interface AllowanceOptions {
  /** What it sees as its memory. */
  readonly memoryBytes: number;
  /** The kernel holds it to `memoryBytes` (memory-guard.ts); else somebody outside does, or nobody. */
  readonly guardsMemory: boolean;
  /** Threads that may exist at once; Infinity for no limit. */
  readonly pidLimit: number;
}

export class Allowance {
  readonly memoryBytes: number;
  readonly guardsMemory: boolean;
  readonly pidLimit: number;
  /** Processes that were killed for want of memory. */
  memoryKills = 0;
  /** Forks that the limit refused. */
  pidRefusals = 0;
  readonly #container: Container;
  #tasks = 0;

  constructor(container: Container, options: AllowanceOptions) {
    this.#container = container;
    this.memoryBytes = options.memoryBytes;
    this.guardsMemory = options.guardsMemory;
    this.pidLimit = options.pidLimit;
  }

  taskAdded(): void {
    this.#tasks += 1;
  }

  taskRemoved(): void {
    this.#tasks -= 1;
  }

  /** pids.current: threads that live and processes that nobody has waited for. */
  get pidsInUse(): number {
    let zombies = 0;
    for (const group of this.#container.pids.groups.values())
      if (group.container === this.#container && group.state === 'zombie') zombies += 1;
    return this.#tasks + zombies;
  }

  /** Whether there may be one more task. */
  hasRoomForTask(): boolean {
    // Most often far away: nothing is counted then.
    if (this.#tasks + this.#container.pids.groups.size < this.pidLimit) return true;
    return this.pidsInUse < this.pidLimit;
  }

  /** By the host's count of resident memory. */
  get memoryInUseBytes(): number {
    let used = 0;
    for (const task of this.processes()) used += task.mm.space.usage().residentBytes;
    return used;
  }

  get freeMemoryBytes(): number {
    return Math.max(0, this.memoryBytes - this.memoryInUseBytes);
  }

  /** A thread of each living process. */
  *processes(): Generator<Task> {
    for (const group of this.#container.kernel.groups) {
      const task = group.container === this.#container ? group.anyTask : undefined;
      if (task !== undefined && !task.isDead) yield task;
    }
  }
}
