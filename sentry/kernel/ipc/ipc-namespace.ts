// SPDX-License-Identifier: Apache-2.0
// An IPC namespace (ipc_namespaces(7)): System V objects, POSIX message queues, and their settings.
// Every container has one of its own or shares one of its pod; a task gets another by clone,
// unshare or setns. It ends with its last holder.
import { ENOMEM, type Result } from '../../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { IpcLimits } from './ipc-limits.ts';
import { OBJECT_BYTES } from './ipc-memory.ts';
import { MessageQueues } from './message-queues.ts';
import { SemaphoreSets } from './semaphore-sets.ts';
import { ShmSegments } from './shm-segments.ts';

const GUEST_BYTES = 4 * OBJECT_BYTES;

export class IpcNamespace {
  readonly kernel: Kernel;
  /** The number in /proc/PID/ns/ipc. */
  readonly inode: number;
  readonly limits: IpcLimits = new IpcLimits();
  readonly shm: ShmSegments;
  readonly semaphores: SemaphoreSets;
  readonly messages: MessageQueues;
  /** Its POSIX queues (fs/mqueue), once anybody has looked for one. */
  posixQueues: { end(): void } | undefined = undefined;
  #holders = 0;
  #chargedBytes = 0;

  /** Nobody holds it yet. */
  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.inode = kernel.namespaceNumbers.next('ipc');
    this.shm = new ShmSegments(kernel.program.sharedMemory, this.limits, kernel.ipcMemory);
    this.semaphores = new SemaphoreSets(this.limits, kernel.ipcMemory);
    this.messages = new MessageQueues(this.limits, kernel.ipcMemory);
  }

  /** One that a guest asks for counts as its objects do; ENOMEM where there are too many. */
  static forGuest(kernel: Kernel): Result<IpcNamespace> {
    if (!kernel.ipcMemory.take(GUEST_BYTES)) return ENOMEM;
    const namespace = new IpcNamespace(kernel);
    namespace.#chargedBytes = GUEST_BYTES;
    return namespace;
  }

  /** A task, a container or an open /proc/PID/ns/ipc. */
  acquire(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.shm.clear();
    this.semaphores.clear();
    this.messages.clear();
    this.posixQueues?.end();
    this.kernel.ipcMemory.give(this.#chargedBytes);
    this.#chargedBytes = 0;
  }
}
