// SPDX-License-Identifier: Apache-2.0
// A task without a kernel or a guest, for unit tests of syscall handlers: flat memory, a clock that the
// test moves, a real descriptor table. Generators are stepped by hand.

import {
  EFAULT,
  EINVAL,
  ENAMETOOLONG,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { sameIdRanges } from '../../protocol/id-ranges.ts';
import { IdPool } from '../../sentry/base/id-pool.ts';
import { MemoryAccount } from '../../sentry/base/memory-account.ts';
import { Settings } from '../../sentry/base/settings.ts';
import type { SignalSet } from '../../sentry/base/sigset.ts';
import { TimerQueue } from '../../sentry/base/timer-queue.ts';
import { UserCount } from '../../sentry/base/user-count.ts';
import {
  type Blocking,
  type MaybeBlocking,
  WaitQueue,
  type Wake,
  type Waker,
} from '../../sentry/base/wait.ts';
import { Limits } from '../../sentry/kernel/limits.ts';
import type { SignalInfo } from '../../sentry/kernel/signal-info.ts';
import { PendingSignals } from '../../sentry/kernel/signal-state.ts';
import { SyscallArgs } from '../../sentry/kernel/syscall-args.ts';
import type { Task } from '../../sentry/kernel/task.ts';
import { noTimeOffsets } from '../../sentry/kernel/time-offsets.ts';
import type { GuestMemory } from '../../sentry/mm/guest-memory.ts';
import { newLoopbackNetwork } from '../../sentry/net/inet/loopback-network.ts';
import type { Row } from '../../sentry/syscalls/entry.ts';
import type { Credentials } from '../../sentry/vfs/credentials.ts';
import { FdTable } from '../../sentry/vfs/fd-table.ts';
import { BufferSink, BufferSource, type Sink, type Source } from '../../sentry/vfs/io.ts';

const all = { lo: 0xffff_ffff, hi: 0x1ff };
export const rootCredentials: Credentials = {
  uid: 0,
  euid: 0,
  suid: 0,
  fsuid: 0,
  gid: 0,
  egid: 0,
  sgid: 0,
  fsgid: 0,
  groups: [],
  effective: all,
  permitted: all,
  inheritable: { lo: 0, hi: 0 },
  bounding: all,
  ambient: { lo: 0, hi: 0 },
  securebits: 0,
};

/** Guest memory [0, size). */
export class FlatMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly data: DataView;

  constructor(sizeBytes = 1 << 20) {
    this.bytes = new Uint8Array(sizeBytes);
    this.data = new DataView(this.bytes.buffer);
  }

  #holds(addr: number, length: number): boolean {
    return addr >= 0 && addr + length <= this.bytes.length;
  }

  read(addr: number, dst: Uint8Array): SysResult {
    if (!this.#holds(addr, dst.length)) return EFAULT;
    dst.set(this.bytes.subarray(addr, addr + dst.length));
    return 0;
  }

  write(addr: number, src: Uint8Array): SysResult {
    if (!this.#holds(addr, src.length)) return EFAULT;
    this.bytes.set(src, addr);
    return 0;
  }

  readSome(addr: number, dst: Uint8Array): SysResult {
    return isErrno(this.read(addr, dst)) ? EFAULT : dst.length;
  }

  writeSome(addr: number, src: Uint8Array): SysResult {
    return isErrno(this.write(addr, src)) ? EFAULT : src.length;
  }

  view(addr: number, length: number): Result<DataView> {
    const copy = new Uint8Array(length);
    return isErrno(this.read(addr, copy)) ? EFAULT : new DataView(copy.buffer);
  }

  zero(addr: number, length: number): SysResult {
    return this.write(addr, new Uint8Array(length));
  }

  string(addr: number, limit: number): Result<string> {
    let text = '';
    for (let at = addr; ; at += 1) {
      if (!this.#holds(at, 1)) return EFAULT;
      if (this.bytes[at] === 0) return text;
      if (text.length === limit) return ENAMETOOLONG;
      text += String.fromCharCode(this.bytes[at] as number);
    }
  }

  path(addr: number): Result<string> {
    return this.string(addr, 4095);
  }

  readU32(addr: number): SysResult {
    return this.#holds(addr, 4) ? this.data.getUint32(addr, true) : EFAULT;
  }

  writeU32(addr: number, value: number): SysResult {
    if (!this.#holds(addr, 4)) return EFAULT;
    this.data.setUint32(addr, value, true);
    return 0;
  }

  writeU64(addr: number, value: number): SysResult {
    if (!this.#holds(addr, 8)) return EFAULT;
    this.data.setUint32(addr, value >>> 0, true);
    this.data.setUint32(addr + 4, Math.floor(value / 0x1_0000_0000), true);
    return 0;
  }

  sink(addr: number, length: number): Sink {
    return new BufferSink(this.bytes.subarray(addr, addr + length));
  }

  source(addr: number, length: number): Source {
    return new BufferSource(this.bytes.subarray(addr, addr + length));
  }

  sinkOfVector(iovAddr: number, count: number): Result<Sink> {
    return count === 1 ? this.sink(...this.#iovec(iovAddr)) : EINVAL;
  }

  sourceOfVector(iovAddr: number, count: number): Result<Source> {
    return count === 1 ? this.source(...this.#iovec(iovAddr)) : EINVAL;
  }

  #iovec(addr: number): [number, number] {
    return [this.data.getUint32(addr, true), this.data.getUint32(addr + 8, true)];
  }
}

/** Counts wakes; joined where a task would be. */
export class CountingWaker implements Waker {
  wakes = 0;

  wake(): void {
    this.wakes += 1;
  }
}

export class FakeTask {
  readonly memory = new FlatMemory();
  readonly files = new FdTable();
  readonly pending = new PendingSignals(new MemoryAccount());
  credentials: Credentials = rootCredentials;
  tid = 7;
  nowNs = 1_000;
  readonly sent: number[] = [];
  restart: (() => MaybeBlocking) | undefined = undefined;
  readonly group = {
    id: 7,
    container: { ids: sameIdRanges, timeOffsets: noTimeOffsets },
    limits: new Limits(),
    signalQueue: new WaitQueue(),
    pending: new PendingSignals(new MemoryAccount()),
  };
  readonly kernel = {
    clock: { monotonicNs: () => this.nowNs, realtime: () => ({ sec: 1_700_000_000, nsec: 0 }) },
    timers: new TimerQueue(),
    guestTimers: new TimerQueue(),
    eventfdIds: new IdPool(),
    settings: new Settings(),
    inotifyInstances: new UserCount(),
    inotifyWatches: new UserCount(),
    epollItems: new UserCount(),
    network: newLoopbackNetwork(),
    scheduler: { current: this as unknown as Task },
  };

  sendSignal(info: SignalInfo): void {
    this.sent.push(info.signal);
  }

  pendingSet(): SignalSet {
    return this.pending.set.union(this.group.pending.set);
  }

  setTemporarySignalMask(): void {}
  restoreSignalMask(): void {}

  /** Moves the clock and runs what is due. */
  advance(ns: number): void {
    this.nowNs += ns;
    this.kernel.timers.runDue(this.nowNs);
    this.kernel.guestTimers.runDue(this.nowNs);
  }

  get task(): Task {
    return this as unknown as Task;
  }

  /** Runs a handler of `rows`; numbers beyond 2^32 and negative ones are stored as 64 bits. */
  call(rows: readonly Row[], name: string, ...args: number[]): MaybeBlocking {
    const row = rows.find((candidate) => candidate.name === name);
    if (row === undefined || row.mode === 'absent') throw new Error(`no handler for ${name}`);
    const words = new Uint32Array(14);
    args.forEach((value, index) => {
      words[2 * index + 2] = value >>> 0;
      words[2 * index + 3] = Math.floor(value / 0x1_0000_0000) >>> 0;
    });
    return row.handler(this.task, new SyscallArgs(words));
  }

  /** As `call`, for one that must not sleep. */
  now(rows: readonly Row[], name: string, ...args: number[]): SysResult {
    const result = this.call(rows, name, ...args);
    if (typeof result === 'number') return result;
    const step = result.next();
    if (step.done !== true) throw new Error(`${name} would sleep`);
    return step.value;
  }

  /** As `call`, for one that must sleep: stepped by `Sleeper`. */
  sleeping(rows: readonly Row[], name: string, ...args: number[]): Sleeper {
    const result = this.call(rows, name, ...args);
    if (typeof result === 'number') throw new Error(`${name} answered ${result}`);
    return new Sleeper(result);
  }
}

/** A call that sleeps, with a waker where the scheduler would join the task. */
export class Sleeper {
  readonly waker = new CountingWaker();
  readonly #call: Blocking<SysResult>;
  #step;

  constructor(call: Blocking<SysResult>) {
    this.#call = call;
    this.#step = call.next();
    this.#join();
  }

  /** The deadline that it sleeps until. */
  get deadlineNs(): number {
    return this.#step.done === true ? 0 : this.#step.value.deadlineNs;
  }

  get result(): SysResult | undefined {
    return this.#step.done === true ? this.#step.value : undefined;
  }

  /** Wakes it for `reason` (an event only if one came): its result, or undefined if it sleeps again. */
  resume(reason: Wake): SysResult | undefined {
    if (this.#step.done === true) return this.#step.value;
    if (reason === 'event' && this.waker.wakes === 0) return undefined;
    this.waker.wakes = 0;
    this.#step.value.leave(this.waker);
    this.#step = this.#call.next(reason);
    this.#join();
    return this.result;
  }

  /** The task is killed. */
  abandon(): void {
    if (this.#step.done !== true) this.#step.value.leave(this.waker);
    this.#call.return(0);
  }

  #join(): void {
    if (this.#step.done !== true) this.#step.value.join(this.waker);
  }
}
