// SPDX-License-Identifier: Apache-2.0
// Futex wait queues (futex(2)). Private ones are keyed by memory and address, shared ones by the
// object behind the mapping. Between the Sentry's read of the word and the waiter's joining no
// other kernel code runs, so no wake is lost.
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  ERESTART_RESTARTBLOCK,
  ERESTARTSYS,
  ETIMEDOUT,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import type { Blocking, Sleep, Waker } from '../base/wait.ts';
import type { MemoryManager } from '../mm/memory-manager.ts';
import type { AddressSpace } from '../platform/address-space.ts';
import type { Task } from './task.ts';

type Key = string;

/** One sleeping waiter. */
export class FutexWaiter {
  key: Key;
  /** Where it waits. */
  addr: number;
  readonly bitset: number;
  /** Undefined for a shared futex. Who wakes on a private one asks the kernel only while somebody waits. */
  readonly space: AddressSpace | undefined;
  woken = false;
  waker: Waker | undefined = undefined;
  constructor(key: Key, addr: number, bitset: number, space: AddressSpace | undefined) {
    this.key = key;
    this.addr = addr;
    this.bitset = bitset;
    this.space = space;
  }
}

export interface FutexTimeout {
  /** CLOCK_MONOTONIC, whatever clock the guest named; Infinity for none. */
  readonly deadlineNs: number;
}

export class FutexTable {
  readonly #queues: Map<Key, Set<FutexWaiter>> = new Map();

  /** EFAULT for an address that a shared futex cannot name, EINVAL for a misaligned one. */
  key(mm: MemoryManager, addr: number, isPrivate: boolean): Result<Key> {
    if (addr % 4 !== 0) return EINVAL;
    if (addr > mm.addressLimit - 4) return EFAULT;
    if (isPrivate) return `${mm.id}:${addr}`;
    if (mm.vmaAt(addr) === undefined) return EFAULT;
    return mm.sharedKey(addr) ?? `${mm.id}:${addr}`;
  }

  add(waiter: FutexWaiter): void {
    let queue = this.#queues.get(waiter.key);
    if (queue === undefined) {
      queue = new Set();
      this.#queues.set(waiter.key, queue);
    }
    queue.add(waiter);
  }

  remove(waiter: FutexWaiter): void {
    const queue = this.#queues.get(waiter.key);
    if (queue === undefined) return;
    queue.delete(waiter);
    if (queue.size === 0) this.#queues.delete(waiter.key);
  }

  /** Wakes up to `count` waiters whose bitset meets `bitset`, oldest first. How many. */
  wake(key: Key, count: number, bitset: number): number {
    const queue = this.#queues.get(key);
    if (queue === undefined) return 0;
    let woken = 0;
    for (const waiter of queue) {
      if (woken >= count) break;
      if ((waiter.bitset & bitset) === 0) continue;
      this.remove(waiter);
      waiter.woken = true;
      waiter.waker?.wake(POLLIN);
      woken += 1;
    }
    return woken;
  }

  /** The kernel's own wakes (thread exit, robust lists): private and shared waiters alike. */
  wakeAddress(mm: MemoryManager, addr: number, count: number): void {
    const own = this.key(mm, addr, true);
    if (isErrno(own)) return;
    const woken = this.wake(own, count, 0xffffffff);
    const shared = this.key(mm, addr, false);
    if (!isErrno(shared) && shared !== own) this.wake(shared, count - woken, 0xffffffff);
  }

  /** Moves up to `count` waiters to another key, of the futex at `addr`. How many. */
  requeue(from: Key, to: Key, count: number, addr: number): number {
    const queue = this.#queues.get(from);
    if (queue === undefined || from === to) return Math.min(queue?.size ?? 0, count);
    let moved = 0;
    for (const waiter of queue) {
      if (moved >= count) break;
      this.remove(waiter);
      waiter.space?.countFutexWaiter(addr, 1);
      waiter.space?.countFutexWaiter(waiter.addr, -1);
      waiter.key = to;
      waiter.addr = addr;
      this.add(waiter);
      moved += 1;
    }
    return moved;
  }
}

/** FUTEX_WAIT and FUTEX_WAIT_BITSET after the arguments are decoded. */
export function futexWait(
  task: Task,
  addr: number,
  isPrivate: boolean,
  expected: number,
  bitset: number,
  timeout: FutexTimeout,
): SysResult | Blocking<SysResult> {
  const table = task.kernel.futexes;
  const key = table.key(task.mm, addr, isPrivate);
  if (isErrno(key)) return key;
  const space = isPrivate ? task.mm.space : undefined;
  // Who changes the word from here on asks the kernel to wake.
  space?.countFutexWaiter(addr, 1);
  const value = task.memory.readU32(addr);
  if (value !== expected) {
    space?.countFutexWaiter(addr, -1);
    return isErrno(value) ? value : EAGAIN;
  }
  return sleepOnFutex(task, new FutexWaiter(key, addr, bitset, space), timeout, () =>
    futexWait(task, addr, isPrivate, expected, bitset, timeout),
  );
}

function* sleepOnFutex(
  task: Task,
  waiter: FutexWaiter,
  timeout: FutexTimeout,
  again: () => SysResult | Blocking<SysResult>,
): Blocking<SysResult> {
  const table = task.kernel.futexes;
  table.add(waiter);
  const sleep: Sleep = {
    join: (waker) => {
      waiter.waker = waker;
    },
    leave: () => {
      waiter.waker = undefined;
    },
    deadlineNs: timeout.deadlineNs,
  };
  try {
    for (;;) {
      const wake = yield sleep;
      if (waiter.woken) return 0;
      if (wake === 'deadline') return ETIMEDOUT;
      if (wake === 'signal') {
        // With a time-out a handler ends the wait, whatever SA_RESTART says.
        if (timeout.deadlineNs === Number.POSITIVE_INFINITY) return ERESTARTSYS;
        task.restart = again;
        return ERESTART_RESTARTBLOCK;
      }
    }
  } finally {
    table.remove(waiter);
    waiter.space?.countFutexWaiter(waiter.addr, -1);
  }
}
