// SPDX-License-Identifier: Apache-2.0
// Robust futexes: what a dying thread still holds is marked and handed on (set_robust_list(2),
// Documentation/locking/robust-futex-ABI.rst).
import { isErrno } from '../../abi/errno.ts';
import { getI64, getU64 } from '../../abi/time.ts';
import type { Task } from './task.ts';

export const ROBUST_LIST_HEAD_BYTES = 24;
const ROBUST_LIST_LIMIT = 2048;
const FUTEX_WAITERS = 0x80000000;
const FUTEX_OWNER_DIED = 0x40000000;
const FUTEX_TID_MASK = 0x3fffffff;

/** Walks the dying task's list; everything in it is hostile and bounded. */
export function wakeRobustList(task: Task): void {
  const head = task.robustList;
  if (head === 0) return;
  task.robustList = 0;
  const view = task.memory.view(head, ROBUST_LIST_HEAD_BYTES);
  if (isErrno(view)) return;
  const offset = getI64(view, 8);
  const pending = getU64(view, 16);
  let entry = getU64(view, 0);
  for (let count = 0; entry !== head && count < ROBUST_LIST_LIMIT; count += 1) {
    const next = task.memory.view(pointer(entry), 8);
    if (entry !== pending) markDead(task, pointer(entry) + offset, false);
    if (isErrno(next)) return;
    entry = getU64(next, 0);
  }
  if (pending !== 0) markDead(task, pointer(pending) + offset, pending % 2 === 0);
}

/** Bit 0 of an entry marks a PI futex. */
const pointer = (entry: number): number => entry - (entry % 2);

/** `isUnlocking`: the thread may have died between the store of 0 and its wake, which is then ours. */
function markDead(task: Task, addr: number, isUnlocking: boolean): void {
  if (addr % 4 !== 0 || addr < 0) return;
  const value = task.memory.readU32(addr);
  if (value === 0 && isUnlocking) task.kernel.futexes.wakeAddress(task.mm, addr, 1);
  if (isErrno(value) || (value & FUTEX_TID_MASK) !== task.tid) return;
  if (isErrno(task.memory.writeU32(addr, ((value & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0)))
    return;
  if ((value & FUTEX_WAITERS) !== 0) task.kernel.futexes.wakeAddress(task.mm, addr, 1);
}
