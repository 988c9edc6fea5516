// SPDX-License-Identifier: Apache-2.0
// Strangers: children of the Sentry that no address space claims, because a hostile guest forked
// them with leave and then hid them. Their system calls reach nobody, but they use up memory and
// processor time, so they are found and killed. A child whose fork is under way looks like a
// stranger. Suspects are therefore judged once all forks that were under way when they were noticed
// have been settled.
import type { PendingClone } from './clones.ts';

export interface StrangerHost {
  /** Returns the living children of the Sentry that no address space claims now. */
  unknownChildren(): number[];
  /** Kills those of `pids` that still no address space claims. */
  killUnknown(pids: readonly number[]): void;
}

interface Suspicion {
  readonly pids: readonly number[];
  readonly waitsFor: Set<PendingClone>;
}

export class Strangers {
  readonly #host: StrangerHost;
  #suspicions: Suspicion[] = [];

  constructor(host: StrangerHost) {
    this.#host = host;
  }

  /** Looks for strangers. `pending` are the forks under way. */
  suspect(pending: Iterable<PendingClone>): void {
    const pids = this.#host.unknownChildren();
    if (pids.length === 0) return;
    const waitsFor = new Set<PendingClone>();
    for (const clone of pending) if (clone.kind === 'process') waitsFor.add(clone);
    if (waitsFor.size === 0) this.#host.killUnknown(pids);
    else this.#suspicions.push({ pids, waitsFor });
  }

  /**
   * Takes note that a fork has succeeded or failed, and judges the suspects that waited for it
   * alone.
   */
  settled(clone: PendingClone): void {
    if (this.#suspicions.length === 0) return;
    this.#suspicions = this.#suspicions.filter(({ pids, waitsFor }) => {
      waitsFor.delete(clone);
      if (waitsFor.size > 0) return true;
      this.#host.killUnknown(pids);
      return false;
    });
  }
}
