// SPDX-License-Identifier: Apache-2.0
// Sleeping without threads. A syscall that may sleep answers a generator: it yields a Sleep and
// the scheduler resumes it with a Wake. The scheduler joins the queues in the same turn as the
// yield, so no event is lost between "would block" and "asleep". Wakes may be spurious: every
// sleeper tests its own condition again.
import type { SysResult } from '../../abi/errno.ts';
import { finishLater } from './leftovers.ts';

/** Why a sleep ended. 'signal': a signal (or a fatal exit) is pending for the task. */
export type Wake = 'event' | 'signal' | 'deadline';

/** Something that can be told that events happened. `events` is a mask of POLL* bits. */
export interface Waker {
  wake(events: number): void;
}

/** A generator that sleeps yields this: where to listen, and until when. */
export interface Sleep {
  join(waker: Waker): void;
  leave(waker: Waker): void;
  /** Absolute CLOCK_MONOTONIC time of the sandbox in ns, Infinity for none. */
  readonly deadlineNs: number;
  /** True: only a fatal signal ends the sleep early (Linux: TASK_KILLABLE). */
  readonly killable?: boolean;
  /** True: the guest thread is at work for the kernel (fork, clone) and must not be told to sleep. */
  readonly threadIsBusy?: boolean;
  /** True: nothing is waited for. The call has much left to do and lets others run between its pieces. */
  readonly isPause?: boolean;
}

/** A call that may sleep. Returns its result through the generator's return value. */
export type Blocking<T> = Generator<Sleep, T, Wake>;

/** Handlers answer at once with a number where they can, and with a generator only to sleep. */
export type MaybeBlocking = SysResult | Blocking<SysResult>;

/** Wakers that the turn of an event tells, and those that each later turn does where there are more. */
const TOLD_AT_ONCE = 4096;
const TOLD_LATER = 1024;

/** The queues that have not told everybody yet. */
const telling = new Set<WaitQueue>();

/** Returns whether any queue has not told everybody of its last events yet. */
export function isAnyTelling(): boolean {
  return telling.size > 0;
}

/** A queue of wakers, each with the POLL* mask that it asked for. */
export class WaitQueue {
  readonly #masks = new Map<Waker, number>();
  /** Events that came while very many were being told of others. */
  #toTell = 0;

  /** Some of those who joined do not know of the last events yet. */
  get isTelling(): boolean {
    return telling.has(this);
  }

  get isEmpty(): boolean {
    return this.#masks.size === 0;
  }

  join(waker: Waker, mask: number): void {
    this.#masks.set(waker, mask);
  }

  leave(waker: Waker): void {
    this.#masks.delete(waker);
  }

  /**
   * Tells every waker that asked for one of `events`. Wakers only mark work as due: none runs here.
   * Where there are more than TOLD_AT_ONCE, the others are told in later turns (`isTelling`).
   */
  notify(events: number): void {
    if (this.#masks.size === 0) return;
    if (this.#masks.size > TOLD_AT_ONCE) {
      this.#notifyMany(events);
      return;
    }
    for (const [waker, mask] of this.#masks) {
      if ((mask & events) !== 0) waker.wake(mask & events);
    }
  }

  #notifyMany(events: number): void {
    this.#toTell |= events;
    if (telling.has(this)) return;
    telling.add(this);
    const rest = this.#tellAll();
    if (rest.next().done !== true) finishLater(rest);
  }

  *#tellAll(): Iterator<undefined> {
    let untilPause = TOLD_AT_ONCE;
    while (this.#toTell !== 0) {
      const events = this.#toTell;
      this.#toTell = 0;
      for (const [waker, mask] of this.#masks) {
        if ((mask & events) !== 0) waker.wake(mask & events);
        untilPause -= 1;
        if (untilPause > 0) continue;
        untilPause = TOLD_LATER;
        yield undefined;
      }
    }
    telling.delete(this);
  }
}

/** An object with one wait queue: an open file, a task's child list, a timer. */
export interface Waitable {
  readonly queue: WaitQueue;
}

/** A sleep on one queue. */
export function sleepOn(on: Waitable, mask: number, deadlineNs = Number.POSITIVE_INFINITY): Sleep {
  return {
    join: (waker) => on.queue.join(waker, mask),
    leave: (waker) => on.queue.leave(waker),
    deadlineNs,
  };
}

/** A sleep that only a deadline or a signal ends. */
export function sleepUntil(deadlineNs: number): Sleep {
  return { join: () => undefined, leave: () => undefined, deadlineNs };
}

const forever = {
  join: () => undefined,
  leave: () => undefined,
  deadlineNs: Number.POSITIVE_INFINITY,
};

/**
 * The sleep of a long call between two pieces of its work: the call goes on in a later turn, after
 * the tasks that wait have had theirs. The wake is 'signal' where one is pending, else 'event'.
 */
export const PAUSE: Sleep = { ...forever, isPause: true };

/** The same for work that Linux does not interrupt: only death ends it. */
export const KILLABLE_PAUSE: Sleep = { ...forever, isPause: true, killable: true };

/** Runs `call` up to its end or its first sleep, so that a call which need not sleep answers at once. */
export function begin(call: Blocking<SysResult>): MaybeBlocking {
  const step = call.next();
  return step.done === true ? step.value : goOn(step.value, call);
}

function* goOn(first: Sleep, call: Blocking<SysResult>): Blocking<SysResult> {
  try {
    let step = call.next(yield first);
    while (step.done !== true) step = call.next(yield step.value);
    return step.value;
  } finally {
    call.return(0);
  }
}
