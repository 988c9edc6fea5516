// SPDX-License-Identifier: Apache-2.0
// What poll(2) and select(2) share: sleeping on many files at once, time-outs, the signal mask swap.
import {
  EFAULT,
  EINVAL,
  ENOMEM,
  ERESTARTNOHAND,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { SIGSET_BYTES } from '../../abi/signal.ts';
import { readTimespec, TIMESPEC_BYTES, type Timespec, toNs } from '../../abi/time.ts';
import { currentAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { SignalSet } from '../base/sigset.ts';
import type { Blocking, MaybeBlocking, Sleep, WaitQueue, Waker } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';

/** A file and the POLL* bits that somebody waits for. */
export interface PollTarget {
  readonly file: OpenFile;
  readonly mask: number;
}

/** Sleeps on all targets. Two descriptors may share a queue (the ends of a pipe): masks are joined. */
export class PollSleep implements Sleep {
  readonly deadlineNs: number;
  readonly #masks = new Map<WaitQueue, number>();

  constructor(targets: readonly PollTarget[], deadlineNs: number) {
    this.deadlineNs = deadlineNs;
    for (const { file, mask } of targets)
      this.#masks.set(file.queue, (this.#masks.get(file.queue) ?? 0) | mask);
  }

  join(waker: Waker): void {
    for (const [queue, mask] of this.#masks) queue.join(waker, mask);
  }

  leave(waker: Waker): void {
    for (const queue of this.#masks.keys()) queue.leave(waker);
  }
}

/**
 * Sleeps until `scan` answers anything but 0, or the deadline. The files are held meanwhile.
 * A signal answers `onSignal`. ENOMEM where the account has no room for the entries.
 */
export function* pollUntil(
  targets: readonly PollTarget[],
  deadlineNs: number,
  scan: () => SysResult,
  onSignal: () => SysResult,
): Blocking<SysResult> {
  const account = currentAccount();
  const bytes = targets.length * OBJECT_COST.polledFile;
  if (!account.charge(bytes)) return ENOMEM;
  for (const target of targets) target.file.acquire();
  try {
    const sleep = new PollSleep(targets, deadlineNs);
    for (;;) {
      const wake = yield sleep;
      const found = scan();
      if (found !== 0) return found;
      if (wake === 'signal') return onSignal();
      if (wake === 'deadline') return 0;
    }
  } finally {
    for (const target of targets) target.file.release();
    account.uncharge(bytes);
  }
}

/** A relative timespec in guest memory as ns; Infinity for a null pointer. */
export function readTimeout(task: Task, addr: number): SysResult {
  if (addr === 0) return Number.POSITIVE_INFINITY;
  const view = task.memory.view(addr, TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  const time: Result<Timespec> = readTimespec(view, 0);
  return isErrno(time) ? time : toNs(time);
}

/** Installs a temporary signal mask if one is given. 0, EINVAL or EFAULT. */
export function swapSignalMask(task: Task, addr: number, sizeBytes: number): SysResult {
  if (addr === 0) return 0;
  if (sizeBytes !== SIGSET_BYTES) return EINVAL;
  const view = task.memory.view(addr, SIGSET_BYTES);
  if (isErrno(view)) return EFAULT;
  task.setTemporarySignalMask(SignalSet.read(view, 0));
  return 0;
}

/**
 * Ends a call that may have swapped the mask: the old one comes back unless a signal ended the call
 * (answer `interruption`), whose handler is to run under the temporary mask.
 */
export function withMaskRestored(
  task: Task,
  call: MaybeBlocking,
  interruption: SysResult = ERESTARTNOHAND,
): MaybeBlocking {
  if (typeof call !== 'number') return restoreLater(task, call, interruption);
  if (call !== interruption) task.restoreSignalMask();
  return call;
}

function* restoreLater(
  task: Task,
  call: Blocking<SysResult>,
  interruption: SysResult,
): Blocking<SysResult> {
  const result = yield* call;
  if (result !== interruption) task.restoreSignalMask();
  return result;
}
