// Limits of memory in force (`--memory`, and containers of a pod beside its first): the Sentry
// looks at the resident memory and the page tables of its processes while any of them runs, and
// kills the largest of a container that has more than it may (as the host's OOM killer would within
// a cgroup). The next look is due when what is left could have been touched: rarely far from the
// limit, often near it. Past it a guest gets by what it can touch in SHORTEST_NS.
import { SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { Container } from './container.ts';
import { groupExit } from './exit.ts';
import type { Kernel } from './kernel.ts';
import type { ThreadGroup } from './thread-group.ts';

/** The most new memory that all processors together can touch. */
const BYTES_PER_NS = 8;
const SHORTEST_NS = 3_000_000;
const LONGEST_NS = 250_000_000;

export class MemoryGuard {
  readonly #kernel: Kernel;
  readonly #guarded = new Set<Container>();
  #nextNs = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  add(container: Container): void {
    if (container.allowance.guardsMemory !== 'none') this.#guarded.add(container);
    this.#nextNs = 0;
  }

  remove(container: Container): void {
    this.#guarded.delete(container);
  }

  /** When to look again: never while no guest code runs, for then nothing grows. */
  deadlineNs(): number {
    if (this.#guarded.size === 0) return Number.POSITIVE_INFINITY;
    for (const task of this.#kernel.tasks)
      if (task.state === 'guest' && this.#guarded.has(task.group.container)) return this.#nextNs;
    return Number.POSITIVE_INFINITY;
  }

  look(nowNs: number): void {
    if (this.#guarded.size === 0 || nowNs < this.#nextNs) return;
    let leftBytes = Number.POSITIVE_INFINITY;
    for (const container of [...this.#guarded])
      leftBytes = Math.min(leftBytes, this.#judge(container));
    const leftNs = leftBytes / BYTES_PER_NS;
    this.#nextNs = nowNs + Math.min(Math.max(leftNs, SHORTEST_NS), LONGEST_NS);
  }

  /** Returns how much the container may still touch. */
  #judge(container: Container): number {
    const { allowance } = container;
    const limitBytes = allowance.limits.memoryBytes;
    if (limitBytes === Number.POSITIVE_INFINITY) return limitBytes;
    let total = 0;
    let largest: ThreadGroup | undefined;
    let most = -1;
    for (const { group, mm } of allowance.processes()) {
      const usage = mm.space.usage();
      const counts = allowance.guardsMemory === 'anonymous';
      const bytes = counts ? usage.chargedAnonymousBytes : usage.chargedBytes;
      total += bytes;
      const badness = bytes + (group.oomScoreAdjustment / 1000) * limitBytes;
      if (badness > most && group.oomScoreAdjustment > -1000) {
        most = badness;
        largest = group;
      }
    }
    if (total <= limitBytes || largest === undefined) return limitBytes - total;
    const mib = (bytes: number): number => Math.ceil(bytes / 1_048_576);
    this.#kernel.log(
      'warn',
      `out of memory (${mib(total)} MiB of ${mib(limitBytes)}): killed process ${largest.id} of ${container.id} (${largest.anyTask?.comm ?? '?'})`,
    );
    allowance.memoryKills += 1;
    groupExit(largest, signaledStatus(SIGKILL, false));
    return 0;
  }
}
