// SPDX-License-Identifier: Apache-2.0
// Messages, semaphores and what they hang on live in the Sentry's own memory, which all containers
// share: how much of it they may take. Linux charges them to a memory cgroup, and answers ENOMEM
// likewise.
import type { MemoryAccount } from '../../base/memory-account.ts';

const MOST_BYTES = 64 * 2 ** 20;
const LEAST_BYTES = 4 * 2 ** 20;
/** The memory that the Sentry needs for a message beside the bytes of the message. */
const MESSAGE_OVERHEAD = 256;
/**
 * The memory that the Sentry needs for a queue, a set or a segment; a namespace takes a few of
 * these.
 */
export const OBJECT_BYTES = 1024;

export class IpcMemory {
  readonly limitBytes: number;
  #usedBytes = 0;
  /** The account that pays. */
  #account: MemoryAccount;

  constructor(memoryBytes: number, account: MemoryAccount) {
    this.#account = account;
    this.limitBytes = Math.max(LEAST_BYTES, Math.min(MOST_BYTES, memoryBytes / 4));
  }

  /** From now on `account` pays; nothing may have been taken before. */
  payWith(account: MemoryAccount): void {
    this.#account = account;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** False where no more is to be had: nothing is taken then. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.limitBytes || !this.#account.charge(bytes)) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#account.uncharge(bytes);
  }

  takeMessage(lengthBytes: number): boolean {
    return this.take(lengthBytes + MESSAGE_OVERHEAD);
  }

  giveMessage(lengthBytes: number): void {
    this.give(lengthBytes + MESSAGE_OVERHEAD);
  }
}
