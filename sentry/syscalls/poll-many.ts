// SPDX-License-Identifier: Apache-2.0
// poll(2) and select(2) over more files than a turn has time to look at: opening, joining and
// looking go on in pieces.
import { ENOMEM, isErrno, type SysResult } from '../../abi/errno.ts';
import { finishLater } from '../base/leftovers.ts';
import { currentAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { isPieceOver } from '../base/turn.ts';
import {
  type Blocking,
  KILLABLE_PAUSE,
  type Sleep,
  type WaitQueue,
  type Waker,
} from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';

/** From here on a call goes on in pieces. */
export const MANY_FILES = 4096;
/** Files between two looks at the time. */
const STEP = 512;

/** The entries that a call asks about, in the order of the guest's array or set. */
export interface ManyFiles {
  /** Entries to be opened. */
  readonly count: number;
  /** Finds the files of entries [from, to) and appends them to `files`. 0 or an errno that ends the call. */
  open(from: number, to: number): SysResult;
  /** Undefined for an entry without a file. */
  readonly files: readonly (OpenFile | undefined)[];
  /** The POLL* bits that are waited for on `files[index]`. */
  maskAt(index: number): number;
  /** Notes the answers of [from, to) of `files`. How many are not zero. */
  scan(from: number, to: number): number;
  /** Copies the answers to the guest: `found`, or EFAULT. */
  deliver(found: SysResult): SysResult;
  /** Called last: what was copied for the call may go. */
  discard(): void;
}

/** Returns whether the account of the caller has room for a call about `count` files. */
export function hasRoomFor(count: number): boolean {
  return currentAccount().hasRoom(count * OBJECT_COST.polledFile);
}

export function* pollMany(
  task: Task,
  set: ManyFiles,
  deadlineNs: number,
  onSignal: () => SysResult,
): Blocking<SysResult> {
  const { files } = set;
  const account = currentAccount();
  const bytes = set.count * OBJECT_COST.polledFile;
  if (!account.charge(bytes)) {
    set.discard();
    return ENOMEM;
  }
  const sleep = new ManySleep(deadlineNs);
  let held = 0;
  try {
    yield KILLABLE_PAUSE;
    const opened = yield* inSteps(task, set.count, (from, to) => {
      const result = set.open(from, to);
      for (; held < files.length; held += 1) files[held]?.acquire();
      return result;
    });
    if (isErrno(opened)) return opened;
    // Whoever joins before the look misses no event.
    const joins = deadlineNs === 0 ? 0 : held;
    yield* inSteps(task, joins, (from, to) => sleep.joinAll(set, from, to));
    for (let isOver = deadlineNs === 0; ; ) {
      sleep.fired = 0;
      const found = yield* inSteps(task, files.length, (from, to) => set.scan(from, to));
      if (found !== 0 || isOver) return set.deliver(found);
      const wake = yield sleep;
      if (wake === 'signal') return onSignal();
      isOver = wake === 'deadline';
    }
  } finally {
    set.discard();
    finishLater(letGo(files, held, sleep, () => account.uncharge(bytes)));
  }
}

/** Adds up what `step` answers for [0, count) piece by piece. An errno ends it. */
function* inSteps(
  task: Task,
  count: number,
  step: (from: number, to: number) => SysResult,
): Blocking<SysResult> {
  let sum = 0;
  for (let at = 0; at < count; at += STEP) {
    const result = step(at, Math.min(at + STEP, count));
    if (isErrno(result)) return result;
    sum += result;
    if (isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
  }
  return sum;
}

function* letGo(
  files: readonly (OpenFile | undefined)[],
  count: number,
  sleep: ManySleep,
  whenDone: () => void,
): Iterator<undefined> {
  for (let index = 0; index < count; index += 1) {
    const file = files[index];
    file?.queue.leave(sleep);
    file?.release();
    if (index % STEP === STEP - 1) yield undefined;
  }
  whenDone();
}

/** Sleeps on files whose queues were joined before. */
class ManySleep implements Sleep, Waker {
  readonly deadlineNs: number;
  /** Events that came since the last look began. */
  fired = 0;
  /** Joined masks by queue, for ends that share one. */
  readonly #masks = new Map<WaitQueue, number>();
  #sleeper: Waker | undefined = undefined;

  constructor(deadlineNs: number) {
    this.deadlineNs = deadlineNs;
  }

  joinAll(set: ManyFiles, from: number, to: number): SysResult {
    for (let index = from; index < to; index += 1) {
      const queue = set.files[index]?.queue;
      if (queue === undefined) continue;
      const mask = set.maskAt(index) | (this.#masks.get(queue) ?? 0);
      this.#masks.set(queue, mask);
      queue.join(this, mask);
    }
    return 0;
  }

  wake(events: number): void {
    this.fired |= events;
    this.#sleeper?.wake(events);
  }

  join(waker: Waker): void {
    this.#sleeper = waker;
    if (this.fired !== 0) waker.wake(this.fired);
  }

  leave(): void {
    this.#sleeper = undefined;
  }
}
