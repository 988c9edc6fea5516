// SPDX-License-Identifier: Apache-2.0
// System V semaphores (semop(2), ipc/sem.c): sets of counters, operations on several at once, and
// those that wait.
import { EAGAIN, EIDRM, ERANGE, type SysResult } from '../../../abi/errno.ts';
import { IPC_NOWAIT, SEM_UNDO, SEMVMX } from '../../../abi/ipc.ts';
import { POLLIN } from '../../../abi/poll.ts';
import type { Waker } from '../../base/wait.ts';
import { IpcObject, type IpcRequest, type IpcUser } from './ipc-objects.ts';
import type { UndoList } from './semaphore-undo.ts';

export interface SemaphoreOperation {
  readonly index: number;
  /** 0: waits for the value 0. */
  readonly change: number;
  /** IPC_NOWAIT, SEM_UNDO. */
  readonly flags: number;
}

/** Some operations of one call: all are done, or none. */
export class SemaphoreCall {
  readonly operations: readonly SemaphoreOperation[];
  readonly user: IpcUser;
  /** Where SEM_UNDO is noted; undefined where no operation has it. */
  readonly undo: UndoList | undefined;
  /** The answer, once there is one. */
  result: SysResult | undefined = undefined;
  waker: Waker | undefined = undefined;
  /** The operation that this call waits for. */
  blockedBy: SemaphoreOperation | undefined = undefined;

  constructor(
    operations: readonly SemaphoreOperation[],
    user: IpcUser,
    undo: UndoList | undefined,
  ) {
    this.operations = operations;
    this.user = user;
    this.undo = undo;
  }

  get alters(): boolean {
    return this.operations.some(({ change }) => change !== 0);
  }

  finish(result: SysResult): void {
    this.result = result;
    this.waker?.wake(POLLIN);
  }
}

/** The answer of a call that has to wait. */
const WOULD_BLOCK = 1;

export class SemaphoreSet extends IpcObject {
  readonly #values: Int32Array;
  /** The users who changed a semaphore last, by its number: few of a large set are ever used. */
  readonly #lastUsers = new Map<number, IpcUser>();
  /** Seconds since the epoch of the last semop; 0 for never. */
  operationTime = 0;
  /** In order of arrival. */
  readonly #waiting: Set<SemaphoreCall> = new Set();
  /** The undo lists that have adjustments for this set. */
  readonly undoLists: Set<UndoList> = new Set();

  constructor(id: number, request: IpcRequest, count: number) {
    super(id, request);
    this.#values = new Int32Array(count);
  }

  get count(): number {
    return this.#values.length;
  }

  value(index: number): number {
    return this.#values[index] as number;
  }

  lastUser(index: number): IpcUser | undefined {
    return this.#lastUsers.get(index);
  }

  values(): Uint16Array {
    return Uint16Array.from(this.#values);
  }

  /** GETNCNT (`forZero` false) and GETZCNT: calls that wait for this semaphore. */
  waitingFor(index: number, forZero: boolean): number {
    let count = 0;
    for (const { blockedBy } of this.#waiting)
      if (blockedBy?.index === index && (blockedBy.change === 0) === forZero) count += 1;
    return count;
  }

  /** SETVAL and SETALL: what was to be undone is forgotten. The values are good. */
  setValues(first: number, values: ArrayLike<number>, user: IpcUser, nowSec: number): void {
    for (let offset = 0; offset < values.length; offset += 1) {
      const index = first + offset;
      this.#values[index] = values[offset] as number;
      this.#lastUsers.set(index, user);
      for (const list of this.undoLists) list.forgetSemaphore(this, index);
    }
    this.changeTime = nowSec;
    this.#wakeReady(nowSec);
  }

  /** 0, an errno, or undefined where the call has to wait: then `wait` follows in the same turn. */
  try(call: SemaphoreCall, nowSec: number): SysResult | undefined {
    const result = this.#perform(call);
    if (result === WOULD_BLOCK) return undefined;
    if (result === 0) {
      this.operationTime = nowSec;
      if (call.alters) this.#wakeReady(nowSec);
    }
    return result;
  }

  wait(call: SemaphoreCall): void {
    this.#waiting.add(call);
  }

  giveUp(call: SemaphoreCall): void {
    this.#waiting.delete(call);
  }

  /** A process ends: its adjustments, kept within what a semaphore can be. */
  adjust(adjustments: Int16Array, user: IpcUser, nowSec: number): void {
    for (const [index, adjustment] of adjustments.entries()) {
      if (adjustment === 0) continue;
      const value = this.value(index) + adjustment;
      this.#values[index] = Math.min(SEMVMX, Math.max(0, value));
      this.#lastUsers.set(index, user);
    }
    this.operationTime = nowSec;
    this.#wakeReady(nowSec);
  }

  /** IPC_RMID. */
  remove(): void {
    for (const call of this.#waiting) call.finish(EIDRM);
    this.#waiting.clear();
    for (const list of this.undoLists) list.forgetSet(this);
    this.undoLists.clear();
  }

  /** perform_atomic_semop(). */
  #perform(call: SemaphoreCall): SysResult {
    const { operations } = call;
    for (let done = 0; done < operations.length; done += 1) {
      const operation = operations[done] as SemaphoreOperation;
      const result = this.#step(call, operation);
      if (result === 0) continue;
      for (let back = done - 1; back >= 0; back -= 1)
        this.#stepBack(call, operations[back] as SemaphoreOperation);
      if (result !== WOULD_BLOCK) return result;
      call.blockedBy = operation;
      return (operation.flags & IPC_NOWAIT) !== 0 ? EAGAIN : WOULD_BLOCK;
    }
    for (const { index } of operations) this.#lastUsers.set(index, call.user);
    return 0;
  }

  #step({ undo }: SemaphoreCall, { index, change, flags }: SemaphoreOperation): SysResult {
    const value = this.value(index);
    if (change === 0 && value !== 0) return WOULD_BLOCK;
    const result = value + change;
    if (result < 0) return WOULD_BLOCK;
    if (result > SEMVMX) return ERANGE;
    if ((flags & SEM_UNDO) !== 0 && undo?.add(this, index, -change) === false) return ERANGE;
    this.#values[index] = result;
    return 0;
  }

  #stepBack({ undo }: SemaphoreCall, { index, change, flags }: SemaphoreOperation): void {
    this.#values[index] = this.value(index) - change;
    if ((flags & SEM_UNDO) !== 0) undo?.add(this, index, change);
  }

  /**
   * Values changed: who can go on now? Those that wait for zero first, else in order of arrival, as
   * update_queue().
   */
  #wakeReady(nowSec: number): void {
    let again = this.#waiting.size > 0;
    while (again) {
      this.#finishSome(false, nowSec);
      again = this.#finishSome(true, nowSec);
    }
  }

  /**
   * Finishes waiting calls that alter values, or (by `altering`) those that do not. Returns true
   * where one altered values, so that all have to be looked at again.
   */
  #finishSome(altering: boolean, nowSec: number): boolean {
    for (const call of this.#waiting) {
      if (call.alters !== altering) continue;
      const result = this.#perform(call);
      if (result === WOULD_BLOCK) continue;
      this.#waiting.delete(call);
      if (result === 0) this.operationTime = nowSec;
      call.finish(result);
      if (result === 0 && altering) return true;
    }
    return false;
  }
}
