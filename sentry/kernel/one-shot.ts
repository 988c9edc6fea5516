// SPDX-License-Identifier: Apache-2.0
// One value that something else in the Sentry hands over once: the platform, when a host process
// has done its work, or a vfork(2) child that no longer uses its parent's memory. Tasks sleep until
// the value is there.
import { POLLIN } from '../../abi/poll.ts';
import type { Blocking, Sleep, Waker } from '../base/wait.ts';

export interface OneShotOptions {
  /** The waiting task's guest thread works for the kernel meanwhile, see `Sleep.threadIsBusy`. */
  readonly threadIsBusy?: boolean;
}

export class OneShot<T> {
  #value: T | undefined = undefined;
  readonly #wakers: Set<Waker> = new Set();
  readonly #threadIsBusy: boolean;

  constructor({ threadIsBusy = false }: OneShotOptions = {}) {
    this.#threadIsBusy = threadIsBusy;
  }

  /** Hands the value over: everybody who waits is woken, and a later `wait` returns at once. Called once. */
  set(value: T): void {
    this.#value = value;
    for (const waker of this.#wakers) waker.wake(POLLIN);
  }

  /** Sleeps until the value has been handed over. Only a fatal signal ends the sleep earlier. */
  *wait(): Blocking<T> {
    const sleep: Sleep = {
      join: (waker) => void this.#wakers.add(waker),
      leave: (waker) => void this.#wakers.delete(waker),
      deadlineNs: Number.POSITIVE_INFINITY,
      killable: true,
      threadIsBusy: this.#threadIsBusy,
    };
    while (this.#value === undefined) yield sleep;
    return this.#value;
  }
}
