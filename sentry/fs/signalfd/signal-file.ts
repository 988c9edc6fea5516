// SPDX-License-Identifier: Apache-2.0
// signalfd(2): pending signals as a file. As in Linux they are those of whoever reads or polls, not
// of whoever made the descriptor.
import { EAGAIN, EINVAL, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { signalfdSiginfo as at } from '../../../abi/signalfd.ts';
import { setI64 } from '../../../abi/time.ts';
import { hexadecimal } from '../../base/hexadecimal.ts';
import { SignalSet } from '../../base/sigset.ts';
import { WaitQueue, type Waker } from '../../base/wait.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { SignalInfo } from '../../kernel/signal-info.ts';
import type { Task } from '../../kernel/task.ts';
import type { Sink } from '../../vfs/io.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { type AnonymousNode, anonInode } from '../anon/anonymous-node.ts';

const bytes = new Uint8Array(at.size);
const view = new DataView(bytes.buffer);

export class SignalFile extends OpenFile {
  override readonly queue: WaitQueue;
  readonly node: AnonymousNode = anonInode;
  readonly #kernel: Kernel;
  /** The complement of the signals asked for, which is what searches want. */
  #others: SignalSet;
  #mask: SignalSet;

  constructor(mask: SignalSet, flags: number, kernel: Kernel) {
    super(O_RDWR | flags);
    this.#kernel = kernel;
    this.#mask = mask.blockable();
    this.#others = complement(this.#mask);
    this.queue = new CallersSignalQueue(kernel);
  }

  override get description(): string {
    return 'anon_inode:[signalfd]';
  }

  override information(): string {
    const { hi, lo } = this.#mask;
    return `sigmask:\t${hexadecimal(hi, lo).padStart(16, '0')}\n`;
  }

  /** signalfd(2) on an existing descriptor. */
  setMask(mask: SignalSet): void {
    this.#mask = mask.blockable();
    this.#others = complement(this.#mask);
    this.#kernel.scheduler.current?.group.signalQueue.notify(POLLIN);
  }

  override read(sink: Sink): SysResult {
    if (sink.remaining < at.size) return EINVAL;
    const task = this.#kernel.scheduler.current;
    if (task === undefined) return EAGAIN;
    let total = 0;
    while (sink.remaining >= at.size) {
      const info = this.#take(task);
      if (info === undefined) break;
      encode(info);
      const put = sink.put(bytes);
      if (isErrno(put)) return total === 0 ? put : total;
      total += put;
    }
    return total === 0 ? EAGAIN : total;
  }

  override poll(): number {
    const task = this.#kernel.scheduler.current;
    return task?.pendingSet().intersects(this.#mask) ? POLLIN : 0;
  }

  #take(task: Task): SignalInfo | undefined {
    const own = task.pending.set.firstNotIn(this.#others);
    if (own !== 0) return task.pending.take(own);
    const shared = task.group.pending.set.firstNotIn(this.#others);
    return shared === 0 ? undefined : task.group.pending.take(shared);
  }
}

/** Joins the signal queue of the process that waits, whoever that is. */
class CallersSignalQueue extends WaitQueue {
  readonly #kernel: Kernel;
  readonly #joined = new Map<Waker, WaitQueue>();

  constructor(kernel: Kernel) {
    super();
    this.#kernel = kernel;
  }

  override join(waker: Waker, mask: number): void {
    this.leave(waker);
    const queue = this.#kernel.scheduler.current?.group.signalQueue;
    if (queue === undefined) return;
    this.#joined.set(waker, queue);
    queue.join(waker, mask);
  }

  override leave(waker: Waker): void {
    this.#joined.get(waker)?.leave(waker);
    this.#joined.delete(waker);
  }
}

function complement(set: SignalSet): SignalSet {
  return new SignalSet(~set.lo, ~set.hi);
}

/** Fills `bytes` with struct signalfd_siginfo. */
function encode(info: SignalInfo): void {
  bytes.fill(0);
  view.setUint32(at.signo, info.signal, true);
  view.setInt32(at.errno, info.errno ?? 0, true);
  view.setInt32(at.code, info.code, true);
  if (info.raw !== undefined) {
    // rt_sigqueueinfo's layout: pid, uid, value.
    const raw = new DataView(info.raw.buffer, info.raw.byteOffset, info.raw.byteLength);
    view.setUint32(at.pid, raw.getUint32(16, true), true);
    view.setUint32(at.uid, raw.getUint32(20, true), true);
    setValue(raw.getUint32(24, true), raw.getUint32(28, true));
    return;
  }
  view.setUint32(at.pid, info.pid ?? 0, true);
  view.setUint32(at.uid, info.uid ?? 0, true);
  view.setInt32(at.fd, info.fd ?? 0, true);
  view.setUint32(at.tid, info.timerId ?? 0, true);
  view.setUint32(at.band, info.band ?? 0, true);
  view.setUint32(at.overrun, info.overrun ?? 0, true);
  view.setUint32(at.trapno, info.trapNumber ?? 0, true);
  view.setInt32(at.status, info.status ?? 0, true);
  setValue(info.valueLo ?? 0, info.valueHi ?? 0);
  setI64(view, at.utime, info.utimeTicks ?? 0);
  setI64(view, at.stime, info.stimeTicks ?? 0);
  setI64(view, at.addr, info.addr ?? 0);
}

function setValue(lo: number, hi: number): void {
  view.setUint32(at.int, lo, true);
  view.setUint32(at.ptr, lo, true);
  view.setUint32(at.ptr + 4, hi, true);
}
