// `--memory` in force: the Sentry looks at the resident memory of its processes while any of them runs, and kills the
// largest when together they have more than the sandbox may (as the host's OOM killer would within a cgroup).
// The next look is due when what is left could have been touched: rarely far from the limit, often near it. Past it a guest
// gets by what it can touch in SHORTEST_NS.
import { SIGKILL } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { groupExit } from './exit.ts';
import type { Kernel } from './kernel.ts';
import type { ThreadGroup } from './thread-group.ts';

/** What all processors together make of new pages at the most. */
const BYTES_PER_NS = 8;
const SHORTEST_NS = 3_000_000;
const LONGEST_NS = 250_000_000;

export class MemoryGuard {
  readonly #kernel: Kernel;
  readonly #limitBytes: number;
  readonly #countsAnonymous: boolean;
  #nextNs = 0;

  constructor(kernel: Kernel, limitBytes: number, countsAnonymous = false) {
    this.#kernel = kernel;
    this.#countsAnonymous = countsAnonymous;
    this.#limitBytes = limitBytes;
  }

  /** When to look again: never while no guest code runs, for then nothing grows. */
  deadlineNs(): number {
    for (const task of this.#kernel.tasks) if (task.state === 'guest') return this.#nextNs;
    return Number.POSITIVE_INFINITY;
  }

  look(nowNs: number): void {
    if (nowNs < this.#nextNs) return;
    let total = 0;
    let largest: ThreadGroup | undefined;
    let most = -1;
    for (const group of this.#kernel.groups) {
      const task = group.anyTask;
      if (task === undefined || task.isDead) continue;
      const usage = task.mm.space.usage();
      const bytes = this.#countsAnonymous ? usage.anonymousBytes : usage.residentBytes;
      total += bytes;
      const badness = bytes + (group.oomScoreAdjustment / 1000) * this.#limitBytes;
      if (badness > most && group.oomScoreAdjustment > -1000) {
        most = badness;
        largest = group;
      }
    }
    const leftNs = (this.#limitBytes - total) / BYTES_PER_NS;
    this.#nextNs = nowNs + Math.min(Math.max(leftNs, SHORTEST_NS), LONGEST_NS);
    if (total <= this.#limitBytes || largest === undefined) return;
    const mib = (bytes: number): number => Math.ceil(bytes / 1_048_576);
    this.#kernel.log(
      'warn',
      `out of memory (${mib(total)} MiB of ${mib(this.#limitBytes)}): killed process ${largest.id} of ${largest.container.id} (${largest.anyTask?.comm ?? '?'})`,
    );
    groupExit(largest, signaledStatus(SIGKILL, false));
  }
}
