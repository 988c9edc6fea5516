// SPDX-License-Identifier: Apache-2.0
// What a Unix socket has sent and nobody has received yet, against its send buffer (SO_SNDBUF).
import { POLLOUT, POLLWRBAND, POLLWRNORM } from '../../../abi/poll.ts';
import type { WaitQueue } from '../../base/wait.ts';
import type { SocketOptions } from '../socket-options.ts';

export class SendAccount {
  readonly #options: SocketOptions;
  readonly #queue: WaitQueue;
  /** Bytes sent that nobody received yet. */
  #charged = 0;

  constructor(options: SocketOptions, queue: WaitQueue) {
    this.#options = options;
    this.#queue = queue;
  }

  get chargedBytes(): number {
    return this.#charged;
  }

  /** Zero or less where the buffer is full. */
  get leftBytes(): number {
    return this.#options.sendBufferBytes - this.#charged;
  }

  /** unix_writable: at most a quarter of the buffer is in use. */
  get hasRoom(): boolean {
    return this.#charged * 4 <= this.#options.sendBufferBytes;
  }

  charge(bytes: number): void {
    this.#charged += bytes;
  }

  /** Bytes that were charged have been received, or thrown away. */
  credit(bytes: number): void {
    const wasWritable = this.hasRoom;
    this.#charged -= bytes;
    if (!wasWritable) this.announceRoom();
  }

  /** Wakes writers where there is room for them. */
  announceRoom(): void {
    if (this.hasRoom) this.#queue.notify(POLLOUT | POLLWRNORM | POLLWRBAND);
  }
}
