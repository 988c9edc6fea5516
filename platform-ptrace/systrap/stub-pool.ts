// SPDX-License-Identifier: Apache-2.0
// A pool of stubs for new programs: one zygote (a stub that only forks) and a few of its children
// that are ready to be used by exec. The host starts a child in the cgroups of its parent. A
// container with cgroups of its own therefore has a pool of its own, whose zygote was moved there
// once: all host processes of the container, the forked ones too, are in its cgroups from their
// first instruction, and none has to be moved.
import { ESRCH, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import type { AddressSpace } from '../../sentry/platform/address-space.ts';
import type { FreshAddressSpace, ProcessPool } from '../../sentry/platform/platform.ts';
import type { SystrapThread } from './guest-thread.ts';

/** The number of prepared address spaces that a pool keeps ready for exec. */
const POOL_SIZE = 2;

export class StubPool implements ProcessPool {
  readonly #newZygote: () => Result<SystrapThread>;
  readonly #ended: (pool: StubPool) => void;
  #zygote: SystrapThread | undefined;
  readonly #ready: FreshAddressSpace[] = [];
  readonly #waiting: ((isThere: boolean) => void)[] = [];
  #spawning = false;
  #hasEnded = false;
  #isShort = false;

  /** `newZygote` is called again after the zygote was lost: the host's OOM killer may kill a zygote too. */
  constructor(newZygote: () => Result<SystrapThread>, ended: (pool: StubPool) => void) {
    this.#newZygote = newZygote;
    this.#ended = ended;
  }

  get zygote(): SystrapThread | undefined {
    return this.#zygote;
  }

  /**
   * Takes an address space that is ready. The next one is made when the Sentry has nothing else to
   * do (`isShort`), or when somebody has to wait for it.
   */
  take(): FreshAddressSpace | undefined {
    const fresh = this.#ready.shift();
    this.#isShort = true;
    return fresh;
  }

  /** One was taken since the pool was last filled. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /**
   * Makes a zygote where there is none, and fills the pool. Returns 0, or the errno that kept it
   * from having a zygote.
   */
  fill(): SysResult {
    this.#isShort = false;
    if (this.#hasEnded) return ESRCH;
    if (this.#spawning || this.#ready.length >= POOL_SIZE) return 0;
    if (this.#zygote === undefined) {
      const made = this.#newZygote();
      if (isErrno(made)) return made;
      this.#zygote = made;
    }
    this.#spawn(this.#zygote);
    return 0;
  }

  /**
   * Calls `settled` once, when the fork that is under way has succeeded or failed. Returns false
   * where no fork is under way.
   */
  whenNext(settled: (isThere: boolean) => void): boolean {
    if (this.#spawning) this.#waiting.push(settled);
    return this.#spawning;
  }

  #tell(isThere: boolean): void {
    for (const settled of this.#waiting.splice(0)) settled(isThere);
  }

  /**
   * The host process of `space` has died. Returns true where it belonged to this pool, so that no
   * task has to be told.
   */
  lost(space: AddressSpace): boolean {
    if (this.#zygote?.space === space) {
      this.#zygote = undefined;
      this.#spawning = false;
      this.#tell(true); // The waiting task asks again, and `fill` makes another zygote for it.
      return true;
    }
    const pooled = this.#ready.findIndex((fresh) => fresh.space === space);
    if (pooled >= 0) this.#ready.splice(pooled, 1);
    return pooled >= 0;
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#ended(this);
    for (const fresh of this.#ready.splice(0)) fresh.space.destroy();
    this.#zygote?.space.destroy();
    this.#zygote = undefined;
    this.#tell(false);
  }

  #spawn(zygote: SystrapThread): void {
    this.#spawning = true;
    zygote.space.fork(zygote, (fresh) => {
      const isCurrent = zygote === this.#zygote;
      if (isCurrent) this.#spawning = false;
      if (isErrno(fresh)) {
        this.#tell(false);
        return;
      }
      if (!isCurrent) {
        fresh.space.destroy();
        return;
      }
      (fresh.thread as SystrapThread).clearRegisters();
      this.#ready.push(fresh);
      this.#tell(true);
      this.fill();
    });
  }
}
