// SPDX-License-Identifier: Apache-2.0
// The System V semaphores of an IPC namespace: semget(2), semctl(2).
import { EINVAL, ENOMEM, ENOSPC, type Result, type SysResult } from '../../../abi/errno.ts';
import type { IpcLimits } from './ipc-limits.ts';
import type { IpcMemory } from './ipc-memory.ts';
import { type IpcRequest, IpcTable } from './ipc-objects.ts';
import { SemaphoreSet } from './semaphore-set.ts';

/**
 * The Sentry's memory that a semaphore takes: its value, who used it last, and what may be undone.
 */
const SEMAPHORE_BYTES = 64;

export interface NewSemaphoreSet extends IpcRequest {
  readonly count: number;
}

export class SemaphoreSets extends IpcTable<SemaphoreSet> {
  readonly #limits: IpcLimits;
  #inUse = 0;

  constructor(limits: IpcLimits, memory: IpcMemory) {
    super(memory);
    this.#limits = limits;
  }

  /** Semaphores of all sets. */
  get inUse(): number {
    return this.#inUse;
  }

  getSet(request: NewSemaphoreSet): Result<SemaphoreSet> {
    const { perSet, sets } = this.#limits.semaphores;
    if (request.count < 0 || request.count > perSet) return EINVAL;
    return this.get(request, {
      check: () => this.#check(request),
      limit: sets,
      make: (id) => this.#make(id, request),
      accepts: (existing) => request.count <= existing.count,
    });
  }

  /** IPC_RMID. */
  remove(set: SemaphoreSet): void {
    this.forget(set);
    this.#inUse -= set.count;
    this.memory.give(set.count * SEMAPHORE_BYTES);
    set.remove();
  }

  /** The namespace ends. */
  clear(): void {
    for (const set of this.list()) this.remove(set);
  }

  #check({ count }: NewSemaphoreSet): SysResult {
    if (count === 0) return EINVAL;
    return this.#inUse + count > this.#limits.semaphores.inAll ? ENOSPC : 0;
  }

  #make(id: number, request: NewSemaphoreSet): Result<SemaphoreSet> {
    if (!this.memory.take(request.count * SEMAPHORE_BYTES)) return ENOMEM;
    this.#inUse += request.count;
    return new SemaphoreSet(id, request, request.count);
  }
}
