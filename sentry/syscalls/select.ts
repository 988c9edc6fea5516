// SPDX-License-Identifier: Apache-2.0
// select(2), pselect6(2).
import { EBADF, EINVAL, ERESTARTNOHAND, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../abi/poll.ts';
import { RLIMIT_NOFILE } from '../../abi/resource.ts';
import {
  fromNs,
  getI64,
  getU64,
  TIMESPEC_BYTES,
  writeTimespec,
  writeTimeval,
} from '../../abi/time.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { MANY_FILES, type ManyFiles, pollMany } from './poll-many.ts';
import {
  type PollTarget,
  pollUntil,
  readTimeout,
  swapSignalMask,
  withMaskRestored,
} from './poll-wait.ts';
import { deadlineAfter } from './transfer.ts';

/** POLLIN_SET, POLLOUT_SET and POLLEX_SET of fs/select.c: what makes a descriptor ready in each set. */
const readySets: readonly number[] = [
  POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
  POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
  POLLPRI,
];

/** The three fd_sets of a call. */
class SelectSet implements ManyFiles {
  readonly files: OpenFile[] = [];
  /** By index of `files`: the descriptor, and bit n where it is asked for in set n. */
  readonly #fds: number[] = [];
  readonly #sets: number[] = [];
  readonly count: number;
  readonly #task: Task;
  readonly #addrs: readonly number[];
  readonly #inputs: (DataView | undefined)[] = [];
  /** Answers; undefined where the guest gave no set. */
  readonly #out: readonly (Uint8Array | undefined)[];

  constructor(task: Task, addrs: readonly number[], count: number) {
    const sizeBytes = Math.ceil(count / 64) * 8;
    this.count = count;
    this.#task = task;
    this.#addrs = addrs;
    this.#out = addrs.map((addr) => (addr === 0 ? undefined : new Uint8Array(sizeBytes)));
  }

  /** Reads the sets. 0 or EFAULT. */
  load(): SysResult {
    for (const [index, addr] of this.#addrs.entries()) {
      const sizeBytes = this.#out[index]?.length ?? 0;
      const view = sizeBytes === 0 ? undefined : this.#task.memory.view(addr, sizeBytes);
      if (view !== undefined && isErrno(view)) return view;
      this.#inputs.push(view);
    }
    return 0;
  }

  /** EBADF for a bit without a file. */
  open(from: number, to: number): SysResult {
    for (let fd = from; fd < to; fd += 1) {
      const sets = wanted(this.#inputs, fd);
      if (sets === 0) continue;
      const file = this.#task.files.get(fd);
      if (isErrno(file)) return EBADF;
      this.files.push(file);
      this.#fds.push(fd);
      this.#sets.push(sets);
    }
    return 0;
  }

  maskAt(index: number): number {
    return maskOf(this.#sets[index] as number);
  }

  /** Each file with its mask, for a call that sleeps. */
  targets(): PollTarget[] {
    return this.files.map((file, index) => ({ file, mask: this.maskAt(index) }));
  }

  /** Sets the answers' bits. How many. */
  scan(from = 0, to = this.files.length): number {
    let found = 0;
    for (let index = from; index < to; index += 1) {
      const events = (this.files[index] as OpenFile).poll();
      const fd = this.#fds[index] as number;
      const sets = this.#sets[index] as number;
      for (let set = 0; set < 3; set += 1) {
        const bits = this.#out[set];
        if (
          ((sets >> set) & 1) === 0 ||
          bits === undefined ||
          (events & (readySets[set] as number)) === 0
        )
          continue;
        bits[fd >> 3] = (bits[fd >> 3] as number) | (1 << (fd & 7));
        found += 1;
      }
    }
    return found;
  }

  /** The sets are small: a bit for each descriptor. */
  discard(): void {}

  deliver(found: SysResult): SysResult {
    for (const [index, addr] of this.#addrs.entries()) {
      const bits = this.#out[index];
      if (bits === undefined || bits.length === 0) continue;
      const copied = this.#task.memory.write(addr, bits);
      if (isErrno(copied)) return copied;
    }
    return found;
  }
}

function wanted(inputs: readonly (DataView | undefined)[], fd: number): number {
  let sets = 0;
  for (let set = 0; set < 3; set += 1) {
    const bits = inputs[set];
    if (bits !== undefined && ((bits.getUint8(fd >> 3) >> (fd & 7)) & 1) === 1) sets |= 1 << set;
  }
  return sets;
}

function maskOf(sets: number): number {
  let mask = POLLERR | POLLHUP;
  for (let set = 0; set < 3; set += 1)
    if (((sets >> set) & 1) === 1) mask |= readySets[set] as number;
  return mask;
}

/** `deadlineNs` 0: look once. */
function selectFor(task: Task, args: SyscallArgs, deadlineNs: number): MaybeBlocking {
  const asked = args.i32(0);
  if (asked < 0) return EINVAL;
  const count = Math.min(asked, task.group.limits.soft(RLIMIT_NOFILE));
  const set = new SelectSet(task, [args.addr(1), args.addr(2), args.addr(3)], count);
  const loaded = set.load();
  if (isErrno(loaded)) return loaded;
  if (count > MANY_FILES) return pollMany(task, set, deadlineNs, () => ERESTARTNOHAND);
  const opened = set.open(0, count);
  if (isErrno(opened)) return opened;
  const found = set.scan();
  if (found !== 0 || deadlineNs === 0) return set.deliver(found);
  return waitFor(set, deadlineNs);
}

function* waitFor(set: SelectSet, deadlineNs: number): Blocking<SysResult> {
  const found = yield* pollUntil(
    set.targets(),
    deadlineNs,
    () => set.scan(),
    () => ERESTARTNOHAND,
  );
  return isErrno(found) ? found : set.deliver(found);
}

function sysSelect(task: Task, args: SyscallArgs): MaybeBlocking {
  const addr = args.addr(4);
  if (addr === 0) return selectFor(task, args, Number.POSITIVE_INFINITY);
  const view = task.memory.view(addr, TIMESPEC_BYTES);
  if (isErrno(view)) return view;
  // Unlike poll's, microseconds may exceed a second here.
  const sec = getI64(view, 0);
  const usec = getI64(view, 8);
  if (sec < 0 || usec < 0) return EINVAL;
  const deadlineNs = deadlineOf(task, sec * 1e9 + usec * 1000);
  return thenTimeLeft(task, selectFor(task, args, deadlineNs), deadlineNs, addr, writeTimeval);
}

function sysPselect6(task: Task, args: SyscallArgs): MaybeBlocking {
  const addr = args.addr(4);
  const timeoutNs = readTimeout(task, addr);
  if (isErrno(timeoutNs)) return timeoutNs;
  const deadlineNs = deadlineOf(task, timeoutNs);
  // The sixth argument points to the address and the size of the mask.
  if (args.addr(5) !== 0) {
    const pair = task.memory.view(args.addr(5), 16);
    if (isErrno(pair)) return pair;
    const swapped = swapSignalMask(task, getU64(pair, 0), getU64(pair, 8));
    if (isErrno(swapped)) return swapped;
  }
  const call = selectFor(task, args, deadlineNs);
  return withMaskRestored(
    task,
    addr === 0 ? call : thenTimeLeft(task, call, deadlineNs, addr, writeTimespec),
  );
}

function deadlineOf(task: Task, timeoutNs: number): number {
  return timeoutNs === 0 ? 0 : deadlineAfter(task, timeoutNs);
}

type WriteTime = typeof writeTimespec;

/** Writes what is left of the time-out back. A bad address there is ignored, as in Linux. */
function thenTimeLeft(
  task: Task,
  call: MaybeBlocking,
  deadlineNs: number,
  addr: number,
  write: WriteTime,
): MaybeBlocking {
  if (typeof call !== 'number') return timeLeftLater(task, call, deadlineNs, addr, write);
  writeTimeLeft(task, deadlineNs, addr, write);
  return call;
}

function* timeLeftLater(
  task: Task,
  call: Blocking<SysResult>,
  deadlineNs: number,
  addr: number,
  write: WriteTime,
): Blocking<SysResult> {
  const result = yield* call;
  writeTimeLeft(task, deadlineNs, addr, write);
  return result;
}

function writeTimeLeft(task: Task, deadlineNs: number, addr: number, write: WriteTime): void {
  const left = deadlineNs === 0 ? 0 : Math.max(0, deadlineNs - task.kernel.clock.monotonicNs());
  const view = new DataView(new ArrayBuffer(TIMESPEC_BYTES));
  write(view, 0, fromNs(left));
  task.memory.write(addr, new Uint8Array(view.buffer));
}

export const selectRows: readonly Row[] = [
  sleeps(23, 'select', ['int', 'addr', 'addr', 'addr', 'timeval'], sysSelect),
  sleeps(270, 'pselect6', ['int', 'addr', 'addr', 'addr', 'timespec', 'addr'], sysPselect6),
];
