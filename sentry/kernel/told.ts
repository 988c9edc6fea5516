// A task's wait for one word from elsewhere in the Sentry: the platform, that a host process has done something.
import { POLLIN } from '../../abi/poll.ts';
import type { Blocking, Sleep, Waker } from '../base/wait.ts';

export class Told<T> {
  #value: T | undefined = undefined;
  readonly #wakers: Set<Waker> = new Set();

  /** Once; nobody needs to wait any more. */
  tell(value: T): void {
    this.#value = value;
    for (const waker of this.#wakers) waker.wake(POLLIN);
  }

  /** Only a fatal signal ends it early. */
  *wait(): Blocking<T> {
    const sleep: Sleep = {
      join: (waker) => void this.#wakers.add(waker),
      leave: (waker) => void this.#wakers.delete(waker),
      deadlineNs: Number.POSITIVE_INFINITY,
      killable: true,
    };
    while (this.#value === undefined) yield sleep;
    return this.#value;
  }
}
