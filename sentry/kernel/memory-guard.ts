// SPDX-License-Identifier: Apache-2.0
// Limits of memory in force. What the kernel itself makes for guests is charged to accounts and
// refused there (base/memory-account.ts). What guests touch in their own memory nobody announces:
// so the Sentry looks at it while any of them runs, and kills the largest process of a container
// that has more than it may, as the OOM killer of a cgroup would. The next look is due when what is
// left could have been touched: rarely far from the limit, often near it. Past it a guest gets by
// what it can touch in SHORTEST_NS.
import { SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import type { Kernel, OwnMemory } from './kernel.ts';
import { SentryMemory } from './sentry-memory.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

/** The most new memory that all processors together can touch. */
const BYTES_PER_NS = 8;
const SHORTEST_NS = 3_000_000;
const LONGEST_NS = 250_000_000;
/** The memory of Sentry and Gofer before guests have anything, with some garbage. */
const RUNTIME_BYTES = 48 * 2 ** 20;
/** Where a cgroup holds the guests, the Sentry looks only once the account has this part of the limit. */
const WORTH_A_LOOK = 1 / 8;
/** Garbage of the Sentry is no matter before it would fill this part of the limit. */
const TIGHT = 1 / 4;

export class MemoryGuard {
  readonly #kernel: Kernel;
  readonly #guarded = new Set<Container>();
  #nextNs = 0;
  #wasQuiet = false;
  /** No guest ran at the last two looks, and nothing has happened since. */
  #isSettled = false;
  readonly #sentry: SentryMemory;

  constructor(kernel: Kernel, ownMemory: OwnMemory) {
    this.#kernel = kernel;
    this.#sentry = new SentryMemory(kernel, ownMemory);
  }

  /** Guards `container` from now on, if it has a limit; asked again when that changes. */
  add(container: Container): void {
    const { limits } = container.allowance;
    if (limits.memoryBytes === Number.POSITIVE_INFINITY) this.#guarded.delete(container);
    else this.#guarded.add(container);
    container.allowance.account.outsideBytes = this.#runtimeBytes(container);
    this.#nextNs = 0;
  }

  remove(container: Container): void {
    this.#guarded.delete(container);
  }

  /**
   * When to look again: never where no guest code has run since the last looks, for then nothing has
   * grown.
   */
  deadlineNs(): number {
    return this.#guarded.size === 0 || this.#isSettled ? Number.POSITIVE_INFINITY : this.#nextNs;
  }

  #hasRunning(): boolean {
    for (const task of this.#kernel.tasks)
      if (task.state === 'guest' && this.#guarded.has(task.group.container)) return true;
    return false;
  }

  /** Looks if it is time. Called whenever something has happened, so guests may have run until now. */
  look(nowNs: number): void {
    this.#isSettled = false;
    if (this.#guarded.size === 0 || nowNs < this.#nextNs) return;
    const isQuiet = !this.#hasRunning();
    // The second look finds processes at rest, which are measured once more.
    this.#isSettled = isQuiet && this.#wasQuiet;
    this.#wasQuiet = isQuiet;
    this.#kernel.memory.settleUnseen();
    this.#sentry.look(nowNs, (bytes) => this.#isTight(bytes));
    let leftBytes = Number.POSITIVE_INFINITY;
    for (const container of [...this.#guarded])
      leftBytes = Math.min(leftBytes, this.#judge(container));
    const leftNs = leftBytes / BYTES_PER_NS;
    this.#nextNs = nowNs + Math.min(Math.max(leftNs, SHORTEST_NS), LONGEST_NS);
  }

  /** Returns whether `bytes` more would bring a container near its limit. */
  #isTight(bytes: number): boolean {
    for (const { allowance } of this.#guarded) {
      const { usedBytes, outsideBytes } = allowance.account;
      const limitBytes = allowance.limits.memoryBytes;
      if (usedBytes + outsideBytes + bytes > limitBytes * TIGHT) return true;
    }
    return false;
  }

  /** Returns how much the container may still touch. */
  #judge(container: Container): number {
    const { account, limits, guardsMemory } = container.allowance;
    const limitBytes = limits.memoryBytes;
    if (guardsMemory === 'late' && account.usedBytes < limitBytes * WORTH_A_LOOK)
      return Number.POSITIVE_INFINITY;
    let outside = this.#runtimeBytes(container);
    let largest: ThreadGroup | undefined;
    let largestBytes = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (const task of container.allowance.processes()) {
      const { group } = task;
      const bytes = guestBytes(task);
      outside += bytes;
      const badness =
        bytes + group.account.usedBytes + (group.oomScoreAdjustment / 1000) * limitBytes;
      if (badness > most && group.oomScoreAdjustment > -1000) {
        most = badness;
        largest = group;
        largestBytes = bytes;
      }
    }
    account.outsideBytes = outside;
    const total = account.usedBytes + outside;
    if (total > limitBytes && largest !== undefined) {
      account.outsideBytes -= largestBytes;
      this.#kill(largest, total);
    }
    return Math.max(0, limitBytes - total);
  }

  /** Returns what runts itself takes of the memory of `container`. */
  #runtimeBytes(container: Container): number {
    if (container !== this.#kernel.mainContainer) return 0;
    const { guardsMemory, limits } = container.allowance;
    // A cgroup holds the Sentry and the Gofer as well. They must not be in want of a small limit.
    const runtimeBytes = guardsMemory === 'late' ? RUNTIME_BYTES : 0;
    return Math.min(runtimeBytes, limits.memoryBytes / 4) + this.#sentry.unpaidBytes;
  }

  #kill(victim: ThreadGroup, totalBytes: number): void {
    const { container } = victim;
    const { allowance } = container;
    const mib = (bytes: number): number => Math.ceil(bytes / 1_048_576);
    const text =
      `out of memory (${mib(totalBytes)} MiB of ${mib(allowance.limits.memoryBytes)}): ` +
      `killed process ${victim.id} (${victim.anyTask?.comm ?? '?'})`;
    this.#kernel.log('warn', `container ${container.id}: ${text}`);
    this.#kernel.tell(text);
    allowance.memoryKills += 1;
    groupExit(victim, signaledStatus(SIGKILL, false));
  }
}

/**
 * Returns what a process holds that no account has: its own pages on the host, and the Sentry's map
 * of them.
 */
function guestBytes({ mm }: Task): number {
  return mm.space.usage().chargedBytes + mm.map.vmas.size * OBJECT_COST.vma;
}
