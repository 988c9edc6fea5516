// SPDX-License-Identifier: Apache-2.0
// A POSIX message queue (mq_overview(7), ipc/mqueue.c): messages by priority, those that wait for
// one or for room, and who is told that one came.
import { EAGAIN, ENOMEM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { WaitQueue, type Waker } from '../../base/wait.ts';
import type { IpcMemory } from '../../kernel/ipc/ipc-memory.ts';
import type { QueueNotification } from './notification.ts';

export interface QueueMessage {
  readonly priority: number;
  readonly bytes: Uint8Array;
}

/** A call that waits in mq_timedreceive: a message is handed to it. */
export interface QueueReceiver {
  message: QueueMessage | undefined;
  waker: Waker | undefined;
}

/** A call that waits in mq_timedsend. */
export interface QueueSender {
  readonly message: QueueMessage;
  /** The answer, once the message is in the queue or cannot get there. */
  result: SysResult | undefined;
  waker: Waker | undefined;
}

interface Level {
  readonly priority: number;
  /** Oldest first. */
  readonly messages: QueueMessage[];
}

export class PosixQueue {
  readonly maxMessages: number;
  readonly messageBytes: number;
  /** The wait queue of all open files of the queue. */
  readonly queue: WaitQueue = new WaitQueue();
  readonly #memory: IpcMemory;
  /** By rising priority; none is empty. */
  readonly #levels: Level[] = [];
  readonly #receivers: Set<QueueReceiver> = new Set();
  readonly #senders: Set<QueueSender> = new Set();
  #count = 0;
  #usedBytes = 0;
  notification: QueueNotification | undefined = undefined;

  constructor(maxMessages: number, messageBytes: number, memory: IpcMemory) {
    this.maxMessages = maxMessages;
    this.messageBytes = messageBytes;
    this.#memory = memory;
  }

  get count(): number {
    return this.#count;
  }

  /** QSIZE. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  poll(): number {
    const readable = this.#count > 0 ? POLLIN | POLLRDNORM : 0;
    return this.#count < this.maxMessages ? readable | POLLOUT | POLLWRNORM : readable;
  }

  /** To whoever waits longest, else into the queue. EAGAIN: it is full. */
  send(message: QueueMessage): SysResult {
    if (this.#count >= this.maxMessages) return EAGAIN;
    for (const receiver of this.#receivers) {
      this.#receivers.delete(receiver);
      receiver.message = message;
      receiver.waker?.wake(POLLIN);
      return 0;
    }
    const put = this.#put(message);
    if (isErrno(put)) return put;
    // Who waits is told of the first message in an empty queue, and once.
    if (this.#count === 1) {
      const { notification } = this;
      this.notification = undefined;
      notification?.messageCame();
    }
    this.queue.notify(POLLIN | POLLRDNORM);
    return 0;
  }

  /** The oldest of the highest priority; undefined where there is none. */
  receive(): QueueMessage | undefined {
    const message = this.#take();
    if (message === undefined) return undefined;
    if (!this.#letSenderIn()) this.queue.notify(POLLOUT | POLLWRNORM);
    return message;
  }

  waitForMessage(receiver: QueueReceiver): void {
    this.#receivers.add(receiver);
  }

  stopReceiving(receiver: QueueReceiver): void {
    this.#receivers.delete(receiver);
  }

  waitForRoom(sender: QueueSender): void {
    this.#senders.add(sender);
  }

  stopSending(sender: QueueSender): void {
    this.#senders.delete(sender);
  }

  /** Nobody can reach it any more. */
  free(): void {
    this.notification?.release();
    this.notification = undefined;
    while (this.#take() !== undefined);
  }

  #letSenderIn(): boolean {
    for (const sender of this.#senders) {
      this.#senders.delete(sender);
      sender.result = this.#put(sender.message);
      sender.waker?.wake(POLLIN);
      if (sender.result === 0) return true;
    }
    return false;
  }

  #put(message: QueueMessage): SysResult {
    if (!this.#memory.takeMessage(message.bytes.length)) return ENOMEM;
    let at = this.#levels.length;
    while (at > 0 && (this.#levels[at - 1] as Level).priority > message.priority) at -= 1;
    const level = this.#levels[at - 1];
    if (level?.priority === message.priority) level.messages.push(message);
    else this.#levels.splice(at, 0, { priority: message.priority, messages: [message] });
    this.#count += 1;
    this.#usedBytes += message.bytes.length;
    return 0;
  }

  #take(): QueueMessage | undefined {
    const level = this.#levels.at(-1);
    const message = level?.messages.shift();
    if (level === undefined || message === undefined) return undefined;
    if (level.messages.length === 0) this.#levels.pop();
    this.#count -= 1;
    this.#usedBytes -= message.bytes.length;
    this.#memory.giveMessage(message.bytes.length);
    return message;
  }
}
