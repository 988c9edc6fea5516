// SPDX-License-Identifier: Apache-2.0
// An open message queue: what mq_open(2) gives, and open(2) of a file in a mount of type mqueue.
// Reading it tells its status; messages go through mq_timedsend(2) and mq_timedreceive(2).
import type { SysResult } from '../../../abi/errno.ts';
import { SIGEV_SIGNAL } from '../../../abi/signal.ts';
import type { WaitQueue } from '../../base/wait.ts';
import { pidSeenFrom } from '../../kernel/pid-namespace.ts';
import type { Sink } from '../../vfs/io.ts';
import { PositionedFile } from '../../vfs/positioned-file.ts';
import type { PosixQueue } from './posix-queue.ts';
import type { QueueNode } from './queue-node.ts';

export class QueueFile extends PositionedFile {
  readonly node: QueueNode;
  override readonly queue: WaitQueue;

  constructor(node: QueueNode, flags: number) {
    super(flags);
    this.node = node;
    this.queue = node.messages.queue;
  }

  get messages(): PosixQueue {
    return this.node.messages;
  }

  /** A process that closes the queue is no longer told of its messages. */
  override flush(files: object): SysResult {
    const { messages } = this;
    if (messages.notification?.isOwnedBy(files) !== true) return 0;
    messages.notification.release();
    messages.notification = undefined;
    return 0;
  }

  override get pollable(): boolean {
    return true;
  }

  override poll(): number {
    return this.messages.poll();
  }

  override pread(sink: Sink, position: number): SysResult {
    const text = Buffer.from(this.#status(), 'latin1');
    const rest = text.subarray(position, position + sink.remaining);
    if (rest.length === 0) return 0;
    const put = sink.put(rest);
    if (put > 0) this.node.wasRead();
    return put;
  }

  /** SEEK_END counts from the size that stat(2) shows, whatever there is to read. */
  protected override endFor(): number {
    return this.node.attributes().sizeBytes;
  }

  #status(): string {
    const { usedBytes, notification } = this.messages;
    const event = notification?.event;
    const signal = event?.notify === SIGEV_SIGNAL ? event.signal : 0;
    const owner = notification?.owner;
    const reader = owner?.kernel.scheduler.current;
    const pid =
      owner === undefined || reader === undefined || owner.isExiting
        ? 0
        : pidSeenFrom(reader.pids, owner.pids, owner.id);
    const fields = [
      `QSIZE:${String(usedBytes).padEnd(10)}`,
      `NOTIFY:${String(event?.notify ?? 0).padEnd(5)}`,
      `SIGNO:${String(signal).padEnd(5)}`,
      `NOTIFY_PID:${String(pid).padEnd(6)}`,
    ];
    return `${fields.join(' ')}\n`;
  }
}
