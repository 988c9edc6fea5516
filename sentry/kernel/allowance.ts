// SPDX-License-Identifier: Apache-2.0
// What the processes of one container may have together, and what they have had: the kernel's side
// of cgroups(7).
import type { MemoryGuarding } from '../../protocol/boot-config.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import type { Container } from './container.ts';
import type { Task } from './task.ts';

/** The limits of the container's cgroup on the host, which its guests see. Infinity: no limit. */
export interface GroupLimits {
  readonly memoryBytes: number;
  /** Threads that may exist at once. */
  readonly pids: number;
  readonly cpuQuotaUs: number;
  readonly cpuPeriodUs: number;
  /** 1 to 10000. */
  readonly cpuWeight: number;
}

export const noLimits: GroupLimits = {
  memoryBytes: Number.POSITIVE_INFINITY,
  pids: Number.POSITIVE_INFINITY,
  cpuQuotaUs: Number.POSITIVE_INFINITY,
  cpuPeriodUs: 100_000,
  cpuWeight: 100,
};

export interface AllowanceOptions {
  readonly limits: GroupLimits;
  /** The memory of the machine, all of which a container without a limit sees. */
  readonly machineBytes: number;
  /** The kernel holds it to its limit of memory (memory-guard.ts); else somebody outside does, or nobody. */
  readonly guardsMemory: MemoryGuarding;
  /** The account that pays for the container's files and kernel objects. */
  readonly account: MemoryAccount;
}

/** The part of a limit that is left to the guests' own memory when the account is full. */
const RESERVED_PART = 1 / 32;
const MOST_RESERVED_BYTES = 16 * 2 ** 20;

/**
 * Returns how much the account of a container may have. Without a reserve the page that a guest
 * touches next, after a call was refused for want of memory, would bring the OOM killer.
 */
export function accountLimit({ memoryBytes }: GroupLimits): number {
  if (memoryBytes === Number.POSITIVE_INFINITY) return memoryBytes;
  return memoryBytes - Math.min(memoryBytes * RESERVED_PART, MOST_RESERVED_BYTES);
}

export class Allowance {
  #limits: GroupLimits;
  readonly account: MemoryAccount;
  readonly guardsMemory: MemoryGuarding;
  /** Processes that were killed for want of memory. */
  memoryKills = 0;
  /** Forks that the limit refused. */
  pidRefusals = 0;
  readonly #container: Container;
  readonly #machineBytes: number;
  #tasks = 0;

  constructor(container: Container, options: AllowanceOptions) {
    this.#container = container;
    this.#limits = options.limits;
    this.account = options.account;
    this.account.limitBytes = accountLimit(options.limits);
    this.#machineBytes = options.machineBytes;
    this.guardsMemory = options.guardsMemory;
  }

  get limits(): GroupLimits {
    return this.#limits;
  }

  /** The limits may change while the container runs. */
  set limits(limits: GroupLimits) {
    this.#limits = limits;
    this.account.limitBytes = accountLimit(limits);
  }

  /** The amount that the container sees as its memory. */
  get memoryBytes(): number {
    return Math.min(this.limits.memoryBytes, this.#machineBytes);
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
    if (this.#tasks + this.#container.pids.groups.size < this.limits.pids) return true;
    return this.pidsInUse < this.limits.pids;
  }

  /** The sum of what the account has and what the guests' processes hold on the host right now. */
  get memoryInUseBytes(): number {
    return this.anonymousBytes + this.account.usedBytes;
  }

  get anonymousBytes(): number {
    let used = 0;
    for (const task of this.processes()) used += task.mm.space.usage().chargedBytes;
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
