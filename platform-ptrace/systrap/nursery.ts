// Where the stubs of new programs come from: a zygote, and a few children of it that are ready. A child is born in the cgroups
// of its parent, so a container with cgroups of its own has a nursery of its own, whose zygote was put there: then all
// its host processes are there from their first instruction, forked ones too, and nobody has to move them.
import { ESRCH, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import type { AddressSpace } from '../../sentry/platform/address-space.ts';
import type { FreshAddressSpace, ProcessHome } from '../../sentry/platform/platform.ts';
import type { SystrapThread } from './guest-thread.ts';

/** Prepared address spaces kept for exec. */
const POOL_SIZE = 2;

export class Nursery implements ProcessHome {
  readonly #newZygote: () => Result<SystrapThread>;
  readonly #ended: (nursery: Nursery) => void;
  #zygote: SystrapThread | undefined;
  readonly #pool: FreshAddressSpace[] = [];
  readonly #waiting: ((isThere: boolean) => void)[] = [];
  #spawning = false;
  #hasEnded = false;

  /** `newZygote` is asked again where a zygote was lost: the host kills for want of memory as well. */
  constructor(newZygote: () => Result<SystrapThread>, ended: (nursery: Nursery) => void) {
    this.#newZygote = newZygote;
    this.#ended = ended;
  }

  get zygote(): SystrapThread | undefined {
    return this.#zygote;
  }

  /** One that is ready. */
  take(): FreshAddressSpace | undefined {
    const fresh = this.#pool.shift();
    this.fill();
    return fresh;
  }

  /** Sees to a zygote and to a full pool. 0, or why there is no zygote. */
  fill(): SysResult {
    if (this.#hasEnded) return ESRCH;
    if (this.#spawning || this.#pool.length >= POOL_SIZE) return 0;
    if (this.#zygote === undefined) {
      const made = this.#newZygote();
      if (isErrno(made)) return made;
      this.#zygote = made;
    }
    this.#spawn(this.#zygote);
    return 0;
  }

  /** Told once, of what comes of the fork that is under way. False: there is none. */
  whenNext(told: (isThere: boolean) => void): boolean {
    if (this.#spawning) this.#waiting.push(told);
    return this.#spawning;
  }

  #tell(isThere: boolean): void {
    for (const told of this.#waiting.splice(0)) told(isThere);
  }

  /** The host process of `space` has died. True: it was the nursery's, and nobody else has to hear of it. */
  lost(space: AddressSpace): boolean {
    if (this.#zygote?.space === space) {
      this.#zygote = undefined;
      this.#spawning = false;
      this.#tell(true); // Another zygote is made for who asks again.
      return true;
    }
    const pooled = this.#pool.findIndex((fresh) => fresh.space === space);
    if (pooled >= 0) this.#pool.splice(pooled, 1);
    return pooled >= 0;
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#ended(this);
    for (const fresh of this.#pool.splice(0)) fresh.space.destroy();
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
      this.#pool.push(fresh);
      this.#tell(true);
      this.fill();
    });
  }
}
