// Host processes that a hostile guest forked with leave and then hid: children of the Sentry that no address
// space claims. They run no system calls, but they are nobody's, so they are found and killed. A child
// whose fork is just under way looks the same: suspects are judged once all forks of that time are settled.
import type { PendingClone } from './clones.ts';

export interface StrangerHost {
  /** Living children of the Sentry that no address space claims now. */
  unknownChildren(): number[];
  /** Kills those that still are nobody's. */
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

  /** There may be one now. `pending`: the forks under way. */
  suspect(pending: Iterable<PendingClone>): void {
    const pids = this.#host.unknownChildren();
    if (pids.length === 0) return;
    const waitsFor = new Set<PendingClone>();
    for (const clone of pending) if (clone.kind === 'process') waitsFor.add(clone);
    if (waitsFor.size === 0) this.#host.killUnknown(pids);
    else this.#suspicions.push({ pids, waitsFor });
  }

  /** A fork is over, well or badly. */
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
