// SPDX-License-Identifier: Apache-2.0
// poll(2), ppoll(2).
import {
  EINVAL,
  ENOMEM,
  ERESTART_RESTARTBLOCK,
  ERESTARTNOHAND,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLNVAL } from '../../abi/poll.ts';
import { RLIMIT_NOFILE } from '../../abi/resource.ts';
import { fromNs, TIMESPEC_BYTES, writeTimespec } from '../../abi/time.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { hasRoomFor, MANY_FILES, type ManyFiles, pollMany } from './poll-many.ts';
import {
  type PollTarget,
  pollUntil,
  readTimeout,
  swapSignalMask,
  withMaskRestored,
} from './poll-wait.ts';
import { deadlineAfter } from './transfer.ts';

/** sizeof(struct pollfd): int fd, short events, short revents. */
const pollfdBytes = 8;

/** A guest's pollfd array: what it asks for, and where the answers go. */
class PollSet implements ManyFiles {
  readonly #task: Task;
  readonly #addr: number;
  readonly #view: DataView;
  readonly count: number;
  /** By index; undefined where the descriptor is negative or bad. */
  readonly files: (OpenFile | undefined)[] = [];

  constructor(task: Task, addr: number, view: DataView) {
    this.#task = task;
    this.#addr = addr;
    this.#view = view;
    this.count = view.byteLength / pollfdBytes;
  }

  /** Each file with its mask, for a call that sleeps. */
  targets(): PollTarget[] {
    const targets: PollTarget[] = [];
    for (const [index, file] of this.files.entries())
      if (file !== undefined) targets.push({ file, mask: this.maskAt(index) });
    return targets;
  }

  open(from: number, to: number): SysResult {
    for (let index = from; index < to; index += 1) this.#open(index);
    return 0;
  }

  #open(index: number): void {
    const at = index * pollfdBytes;
    const fd = this.#view.getInt32(at, true);
    this.#view.setUint16(at + 6, 0, true);
    const file = fd < 0 ? undefined : this.#task.files.get(fd);
    if (file === undefined || isErrno(file)) {
      if (file !== undefined) this.#view.setUint16(at + 6, POLLNVAL, true);
      this.files.push(undefined);
      return;
    }
    this.files.push(file);
  }

  maskAt(index: number): number {
    return this.#view.getUint16(index * pollfdBytes + 4, true) | POLLERR | POLLHUP;
  }

  /** Fills in revents. How many are not zero. */
  scan(from: number, to: number): number {
    let found = 0;
    for (let index = from; index < to; index += 1) {
      const file = this.files[index];
      const at = index * pollfdBytes + 6;
      if (file !== undefined) this.#view.setUint16(at, file.poll() & this.maskAt(index), true);
      if (this.#view.getUint16(at, true) !== 0) found += 1;
    }
    return found;
  }

  /** Gives the copy of a large array back at once: what is left to the collector piles up. */
  discard(): void {
    if (this.count > MANY_FILES) (this.#view.buffer as ArrayBuffer).transfer(0);
  }

  /** Copies the answers to the guest: `found`, or EFAULT. */
  deliver(found: SysResult): SysResult {
    if (this.count === 0) return found;
    const { buffer, byteOffset, byteLength } = this.#view;
    const copied = this.#task.memory.write(
      this.#addr,
      new Uint8Array(buffer, byteOffset, byteLength),
    );
    return isErrno(copied) ? copied : found;
  }
}

function pollSet(task: Task, addr: number, count: number): Result<PollSet> {
  if (count > task.group.limits.soft(RLIMIT_NOFILE)) return EINVAL;
  // Asked before the array is copied: the copies of calls that are refused are garbage that piles up.
  if (count > MANY_FILES && !hasRoomFor(count)) return ENOMEM;
  const view =
    count === 0 ? new DataView(new ArrayBuffer(0)) : task.memory.view(addr, count * pollfdBytes);
  return isErrno(view) ? view : new PollSet(task, addr, view);
}

function pollFor(
  task: Task,
  addr: number,
  count: number,
  deadlineNs: number,
  onSignal: () => SysResult,
): MaybeBlocking {
  const set = pollSet(task, addr, count);
  if (isErrno(set)) return set;
  if (count > MANY_FILES) return pollMany(task, set, deadlineNs, onSignal);
  set.open(0, count);
  const found = set.scan(0, count);
  if (found !== 0 || deadlineNs === 0) return set.deliver(found);
  return waitFor(set, deadlineNs, onSignal);
}

function* waitFor(set: PollSet, deadlineNs: number, onSignal: () => SysResult) {
  const found = yield* pollUntil(set.targets(), deadlineNs, () => set.scan(0, set.count), onSignal);
  return isErrno(found) ? found : set.deliver(found);
}

function sysPoll(task: Task, args: SyscallArgs): MaybeBlocking {
  const timeoutMs = args.i32(2);
  const deadlineNs = deadlineOf(task, timeoutMs < 0 ? Number.POSITIVE_INFINITY : timeoutMs * 1e6);
  return pollAgain(task, args.addr(0), args.u32(1), deadlineNs);
}

/** poll(2) after a stop goes on until the same deadline, through restart_syscall(2). */
function pollAgain(task: Task, addr: number, count: number, deadlineNs: number): MaybeBlocking {
  return pollFor(task, addr, count, deadlineNs, () => {
    task.restart = () => pollAgain(task, addr, count, deadlineNs);
    return ERESTART_RESTARTBLOCK;
  });
}

function sysPpoll(task: Task, args: SyscallArgs): MaybeBlocking {
  const timeoutAddr = args.addr(2);
  const timeoutNs = readTimeout(task, timeoutAddr);
  if (isErrno(timeoutNs)) return timeoutNs;
  const deadlineNs = deadlineOf(task, timeoutNs);
  const swapped = swapSignalMask(task, args.addr(3), args.len(4));
  if (isErrno(swapped)) return swapped;
  const call = pollFor(task, args.addr(0), args.u32(1), deadlineNs, () => ERESTARTNOHAND);
  return withMaskRestored(task, withTimeLeft(task, call, deadlineNs, timeoutAddr));
}

/** Absolute; 0 says: look once, do not sleep. */
function deadlineOf(task: Task, timeoutNs: number): number {
  return timeoutNs === 0 ? 0 : deadlineAfter(task, timeoutNs);
}

/**
 * Writes the time that is left to where the time-out came from. A bad address there is ignored, as
 * in Linux.
 */
function withTimeLeft(
  task: Task,
  call: MaybeBlocking,
  deadlineNs: number,
  addr: number,
): MaybeBlocking {
  if (addr === 0) return call;
  if (typeof call !== 'number') return writeTimeLeftLater(task, call, deadlineNs, addr);
  writeTimeLeft(task, deadlineNs, addr);
  return call;
}

function* writeTimeLeftLater(
  task: Task,
  call: Exclude<MaybeBlocking, number>,
  deadlineNs: number,
  addr: number,
) {
  const result = yield* call;
  writeTimeLeft(task, deadlineNs, addr);
  return result;
}

function writeTimeLeft(task: Task, deadlineNs: number, addr: number): void {
  const left = deadlineNs === 0 ? 0 : Math.max(0, deadlineNs - task.kernel.clock.monotonicNs());
  const view = new DataView(new ArrayBuffer(TIMESPEC_BYTES));
  writeTimespec(view, 0, fromNs(left));
  task.memory.write(addr, new Uint8Array(view.buffer));
}

export const pollRows: readonly Row[] = [
  sleeps(7, 'poll', ['pollfds', 'uint', 'int'], sysPoll),
  sleeps(271, 'ppoll', ['pollfds', 'uint', 'timespec', 'sigset', 'len'], sysPpoll),
];
