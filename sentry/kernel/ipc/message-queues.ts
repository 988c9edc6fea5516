// SPDX-License-Identifier: Apache-2.0
// The System V message queues of an IPC namespace: msgget(2), msgctl(2).
import type { Result } from '../../../abi/errno.ts';
import type { IpcLimits } from './ipc-limits.ts';
import type { IpcMemory } from './ipc-memory.ts';
import { type IpcRequest, IpcTable } from './ipc-objects.ts';
import { MessageQueue } from './message-queue.ts';

export class MessageQueues extends IpcTable<MessageQueue> {
  readonly #limits: IpcLimits;

  constructor(limits: IpcLimits, memory: IpcMemory) {
    super(memory);
    this.#limits = limits;
  }

  getQueue(request: IpcRequest): Result<MessageQueue> {
    return this.get(request, {
      check: () => 0,
      limit: this.#limits.number('kernel.msgmni'),
      make: (id) =>
        new MessageQueue(id, request, this.#limits.number('kernel.msgmnb'), this.memory),
      accepts: () => true,
    });
  }

  /** IPC_RMID. */
  remove(queue: MessageQueue): void {
    this.forget(queue);
    queue.remove();
  }

  /** The namespace ends. */
  clear(): void {
    for (const queue of this.list()) this.remove(queue);
  }
}
