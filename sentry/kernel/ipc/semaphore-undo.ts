// SPDX-License-Identifier: Apache-2.0
// SEM_UNDO (semop(2)): what the end of a process gives back. Threads made with CLONE_SYSVSEM share one list.
import { SEMVMX } from '../../../abi/ipc.ts';
import type { IpcMemory } from './ipc-memory.ts';
import type { IpcUser } from './ipc-objects.ts';
import type { SemaphoreSet } from './semaphore-set.ts';

/** The Sentry's memory that a list takes for a set, beside two bytes for each semaphore. */
const SET_BYTES = 256;

export class UndoList {
  readonly #memory: IpcMemory;
  readonly #sets = new Map<SemaphoreSet, Int16Array>();
  #holders = 1;

  constructor(memory: IpcMemory) {
    this.#memory = memory;
  }

  acquire(): this {
    this.#holders += 1;
    return this;
  }

  /** A thread ends or leaves (unshare). With the last one everything is undone, in the name of `user`. */
  release(user: IpcUser, nowSec: number): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    for (const [set, adjustments] of [...this.#sets]) {
      set.undoLists.delete(this);
      this.forgetSet(set);
      set.adjust(adjustments, user, nowSec);
    }
  }

  /** Room for the adjustments of a set, before they are made. False: there is no memory for it. */
  prepare(set: SemaphoreSet): boolean {
    if (this.#sets.has(set)) return true;
    if (!this.#memory.take(SET_BYTES + 2 * set.count)) return false;
    this.#sets.set(set, new Int16Array(set.count));
    set.undoLists.add(this);
    return true;
  }

  /** False: out of range, and nothing is noted. */
  add(set: SemaphoreSet, index: number, change: number): boolean {
    const adjustments = this.#sets.get(set);
    if (adjustments === undefined) return false;
    const sum = (adjustments[index] as number) + change;
    if (sum < -SEMVMX - 1 || sum > SEMVMX) return false;
    adjustments[index] = sum;
    return true;
  }

  /** The semaphore was set to a value. */
  forgetSemaphore(set: SemaphoreSet, index: number): void {
    const adjustments = this.#sets.get(set);
    if (adjustments !== undefined) adjustments[index] = 0;
  }

  forgetSet(set: SemaphoreSet): void {
    if (this.#sets.delete(set)) this.#memory.give(SET_BYTES + 2 * set.count);
  }
}
