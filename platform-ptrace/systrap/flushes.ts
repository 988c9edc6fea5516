// SPDX-License-Identifier: Apache-2.0
// Memory operations that a stopped thread does at once, not only when it is resumed: how long the
// Sentry waits for it, and what happens where that is too long.
import { EIO, isErrno, type SysResult } from '../../abi/errno.ts';
import { POLLHUP } from '../../abi/poll.ts';
import { native } from '../../native/addon.ts';
import {
  EVENT_OPERATION_FAILED,
  EVENT_OPERATIONS_DONE,
  ORDER_STOP,
  SLOT,
  STATE_ANSWERED,
  STATE_POSTED,
  STATE_RUNNING,
  STATE_SLEEPING,
} from '../../protocol/mailbox.ts';
import type { Clock } from '../../sentry/base/clock.ts';
import type { SystrapSpace } from './address-space.ts';
import type { SystrapThread } from './guest-thread.ts';
import { Patience } from './patience.ts';
import type { Waiter } from './waiter.ts';

/**
 * How long `tryFlush` and `tryNewAddressSpace` wait before they call back later instead. The host
 * may keep one container's processes from running (CPU limits, the freezer), and the Sentry's only
 * thread must go on with the other containers.
 */
export const TRY_NS = 2e6;
/** How long nobody is waited for after a wait that was in vain. */
const TRY_PAUSE_NS = 20e6;

/** The parts of the platform that flushing uses. */
export interface FlushHost {
  readonly words: Int32Array;
  threadRuns(thread: SystrapThread): void;
  deliverLater(thread: SystrapThread): void;
  spaceBroke(space: SystrapSpace, reason: string): void;
}

export class Flushes {
  readonly #host: FlushHost;
  readonly #waiter: Waiter;
  readonly #clock: Clock;
  /** When `tryFlush` may wait again. */
  #nextTryNs = 0;

  constructor(host: FlushHost, waiter: Waiter, clock: Clock) {
    this.#host = host;
    this.#waiter = waiter;
    this.#clock = clock;
  }

  /** For stubs that no guest had yet: the Sentry waits as long as it takes. */
  flush(thread: SystrapThread): SysResult {
    return this.#flushAll(thread, () => this.#awaitPost(thread)) ?? this.#silent(thread);
  }

  #silent(thread: SystrapThread): SysResult {
    this.#host.spaceBroke(thread.space, 'did not do a memory operation in time');
    return EIO;
  }

  tryFlush(thread: SystrapThread, done: (result: SysResult) => void): SysResult | undefined {
    // Whoever is slow again and again costs others no more than a part of the time.
    const mayWait = this.#clock.monotonicNs() >= this.#nextTryNs;
    const result = this.#flushAll(thread, () =>
      mayWait ? this.#awaitPost(thread, TRY_NS) : this.#hasPosted(thread),
    );
    if (result !== undefined) return result;
    if (mayWait) this.#nextTryNs = this.#clock.monotonicNs() + TRY_PAUSE_NS;
    this.#flushLater(thread, done);
    return undefined;
  }

  flushFirst(thread: SystrapThread, then: () => void): void {
    thread.answer(ORDER_STOP);
    this.#flushLater(thread, (result) => {
      if (thread.state !== 'stopped' || thread.leavesAtStop) return;
      if (isErrno(result)) this.#host.deliverLater(thread);
      else then();
    });
  }

  /** Returns undefined where `posted` gives up: the thread is at work then. */
  #flushAll(thread: SystrapThread, posted: () => boolean): SysResult | undefined {
    const failed = thread.takeFailure();
    if (failed !== 0) return failed;
    if (!thread.hasOperations) return 0;
    do {
      thread.answer(ORDER_STOP);
      if (!posted()) return undefined;
      const result = this.resultOf(thread);
      if (isErrno(result)) return result;
    } while (thread.loadMore());
    return 0;
  }

  /** The thread is at work: `poll` goes on with it. */
  #flushLater(thread: SystrapThread, done: (result: SysResult) => void): void {
    thread.flushed = (result) => {
      if (isErrno(result) || thread.state !== 'stopped' || !thread.loadMore()) {
        done(result);
        return;
      }
      thread.answer(ORDER_STOP);
      this.#flushLater(thread, done);
    };
    this.#host.threadRuns(thread);
  }

  #hasPosted(thread: SystrapThread): boolean {
    const state = Atomics.load(this.#host.words, thread.base);
    return state === STATE_POSTED || state === STATE_SLEEPING;
  }

  /** The answer of a thread that was ordered to do its operations: 0 or the errno. */
  resultOf(thread: SystrapThread): SysResult {
    const kind = this.#host.words[thread.base + SLOT.kind] as number;
    if (kind === EVENT_OPERATIONS_DONE) return 0;
    thread.dropOperations();
    if (kind === EVENT_OPERATION_FAILED && thread.readStop(kind)) return thread.outcome.errno;
    this.#host.spaceBroke(thread.space, `event ${kind} instead of memory operations`);
    return EIO;
  }

  /**
   * Waits for a thread whose order ends in a post. Returns false where the stub did not post in
   * time, or posted nonsense.
   */
  #awaitPost(thread: SystrapThread, patienceNs?: number): boolean {
    const patience = new Patience(this.#clock, patienceNs);
    return this.#awaitWhile(thread, () => patience.isLeft(), patienceNs === undefined ? 10e6 : 1e6);
  }

  /**
   * The same for what the zygote owes before a guest was in any stub: it is waited for as long as
   * it lives, which its end of the socket shows. However long that takes, it is the machine that is
   * slow.
   */
  awaitZygote(thread: SystrapThread, socketFd: number): boolean {
    const lives = (): boolean => (native.pollNow(socketFd, 0) & POLLHUP) === 0;
    return this.#awaitWhile(thread, lives, 10e6);
  }

  #awaitWhile(thread: SystrapThread, mayWait: () => boolean, pauseNs: number): boolean {
    this.#waiter.add(thread);
    let state = Atomics.load(this.#host.words, thread.base);
    while (state === STATE_ANSWERED || state === STATE_RUNNING) {
      if (!mayWait()) break;
      this.#waiter.pause(pauseNs);
      state = Atomics.load(this.#host.words, thread.base);
    }
    this.#waiter.remove(thread);
    return state === STATE_POSTED || state === STATE_SLEEPING;
  }
}
