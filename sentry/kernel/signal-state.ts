// SPDX-License-Identifier: Apache-2.0
// Dispositions and queues: the signal state of a process and of each of its threads (signal(7)).
import {
  SA_RESETHAND,
  SIG_DFL,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGRTMIN,
  SIGSTOP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
} from '../../abi/signal.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { SignalSet } from '../base/sigset.ts';
import type { SignalInfo } from './signal-info.ts';

export interface SignalAction {
  /** SIG_DFL, SIG_IGN or a guest address. */
  readonly handler: number;
  /** SA_*; unsigned. */
  readonly flags: number;
  readonly restorer: number;
  readonly mask: SignalSet;
}

export const defaultAction: SignalAction = {
  handler: SIG_DFL,
  flags: 0,
  restorer: 0,
  mask: new SignalSet(),
};

/** sigaction tables; shared by threads (CLONE_SIGHAND), copied by fork, reset by exec. */
export class SignalActions {
  readonly #actions: SignalAction[];

  constructor(actions: SignalAction[] = []) {
    this.#actions = actions;
  }

  get(signal: number): SignalAction {
    return this.#actions[signal] ?? defaultAction;
  }

  set(signal: number, action: SignalAction): void {
    this.#actions[signal] = action;
  }

  /** SA_RESETHAND took effect. */
  resetOnDelivery(signal: number): void {
    const action = this.get(signal);
    if ((action.flags & SA_RESETHAND) !== 0)
      this.#actions[signal] = { ...action, handler: SIG_DFL };
  }

  fork(): SignalActions {
    return new SignalActions(this.#actions.slice());
  }

  /** execve(2): handled signals fall back to the default; ignored ones stay ignored. */
  resetHandled(): void {
    this.#actions.forEach((action, signal) => {
      if (action.handler !== SIG_IGN) delete this.#actions[signal];
      else this.#actions[signal] = { ...defaultAction, handler: SIG_IGN };
    });
  }

  /** clone3 CLONE_CLEAR_SIGHAND. */
  clearHandlers(): void {
    this.#actions.forEach((action, signal) => {
      if (action.handler !== SIG_IGN) delete this.#actions[signal];
    });
  }

  /** True where the signal would be thrown away: ignored, or default and by default ignored. */
  ignores(signal: number): boolean {
    const handler = this.get(signal).handler;
    if (handler === SIG_IGN) return true;
    return (
      handler === SIG_DFL &&
      (signal === SIGCHLD || signal === SIGURG || signal === SIGWINCH || signal === SIGCONT)
    );
  }

  /** Sets of ignored and caught signals, for /proc/PID/status and ps. */
  summary(): { ignored: SignalSet; caught: SignalSet } {
    const ignored = new SignalSet();
    const caught = new SignalSet();
    this.#actions.forEach((action, signal) => {
      if (action.handler === SIG_IGN) ignored.add(signal);
      else if (action.handler !== SIG_DFL) caught.add(signal);
    });
    return { ignored, caught };
  }
}

export const isStopSignal = (signal: number): boolean =>
  signal === SIGSTOP || signal === SIGTSTP || signal === SIGTTIN || signal === SIGTTOU;

/** Pending signals of one thread or of one process. */
export class PendingSignals {
  readonly set: SignalSet = new SignalSet();
  readonly #queue: SignalInfo[] = [];
  /** The account that pays for what waits. */
  readonly #account: MemoryAccount;

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  get isEmpty(): boolean {
    return this.set.isEmpty;
  }

  get count(): number {
    return this.#queue.length;
  }

  /** Up to `count` signals in their order, from the one at `offset` on (PTRACE_PEEKSIGINFO). */
  list(offset: number, count: number): SignalInfo[] {
    return this.#queue.slice(offset, offset + count);
  }

  has(info: SignalInfo): boolean {
    return this.#queue.includes(info);
  }

  /**
   * Standard signals are kept once; real-time ones queue up to `limit`, and past it once too. A timer's
   * always queue: it has no second one before the first is gone. False: it was pending already.
   */
  add(info: SignalInfo, limit = Number.POSITIVE_INFINITY): boolean {
    const once = info.signal < SIGRTMIN ? info.timerId === undefined : this.count >= limit;
    if (once && this.set.has(info.signal)) return false;
    this.set.add(info.signal);
    this.#account.force(OBJECT_COST.signal);
    this.#queue.push(info);
    return true;
  }

  /** Takes the oldest instance of `signal`. */
  take(signal: number): SignalInfo | undefined {
    const index = this.#queue.findIndex((queued) => queued.signal === signal);
    if (index < 0) return undefined;
    const [info] = this.#queue.splice(index, 1);
    this.#account.uncharge(OBJECT_COST.signal);
    if (!this.#queue.some((other) => other.signal === signal)) this.set.remove(signal);
    info?.dequeued?.();
    return info;
  }

  /** Drops every instance of the signals in `signals`. */
  discard(signals: SignalSet): void {
    if (!this.set.intersects(signals)) return;
    const dropped: SignalInfo[] = [];
    for (let index = this.#queue.length - 1; index >= 0; index -= 1) {
      const info = this.#queue[index];
      if (info === undefined || !signals.has(info.signal)) continue;
      this.#queue.splice(index, 1);
      this.#account.uncharge(OBJECT_COST.signal);
      dropped.push(info);
    }
    const rest = this.set.without(signals);
    this.set.lo = rest.lo;
    this.set.hi = rest.hi;
    for (const info of dropped) info.dequeued?.();
  }
}
