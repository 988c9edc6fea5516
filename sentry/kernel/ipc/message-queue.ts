// SPDX-License-Identifier: Apache-2.0
// A System V message queue (msgsnd(2), msgrcv(2), ipc/msg.c): messages with types, and those that
// wait for one or for room.
import {
  E2BIG,
  EAGAIN,
  EIDRM,
  ENOMEM,
  type Errno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { finishLater } from '../../base/leftovers.ts';
import type { Waker } from '../../base/wait.ts';
import type { IpcMemory } from './ipc-memory.ts';
import { IpcObject, type IpcRequest, type IpcUser } from './ipc-objects.ts';

/** A C long above zero, exact. */
export interface MessageType {
  readonly high: number;
  readonly low: number;
}

export interface Message {
  readonly type: MessageType;
  readonly bytes: Uint8Array;
}

/** Which message is wanted. */
export type MessageChoice =
  | { readonly kind: 'first' }
  | { readonly kind: 'equal' | 'other' | 'lowest'; readonly type: MessageType }
  /** MSG_COPY: by place. */
  | { readonly kind: 'place'; readonly place: number };

/** A call that waits in msgrcv. */
export class MessageReceiver {
  readonly choice: MessageChoice;
  /** Longer messages answer E2BIG; Infinity with MSG_NOERROR. */
  readonly mostBytes: number;
  readonly user: IpcUser;
  /** The message, or an errno; EAGAIN: look again. */
  outcome: Result<Message> | undefined = undefined;
  waker: Waker | undefined = undefined;

  constructor(choice: MessageChoice, mostBytes: number, user: IpcUser) {
    this.choice = choice;
    this.mostBytes = mostBytes;
    this.user = user;
  }

  finish(outcome: Result<Message>): void {
    this.outcome = outcome;
    this.waker?.wake(POLLIN);
  }
}

/** A call that waits for room in msgsnd: it is woken to try again. */
export interface MessageSender {
  waker: Waker | undefined;
}

/** Messages that one turn gives back where a queue with very many is removed. */
const DROPPED_AT_ONCE = 8192;

export function compareTypes(a: MessageType, b: MessageType): number {
  return a.high - b.high || a.low - b.low;
}

function suits(message: Message, choice: MessageChoice): boolean {
  switch (choice.kind) {
    case 'equal':
      return compareTypes(message.type, choice.type) === 0;
    case 'other':
      return compareTypes(message.type, choice.type) !== 0;
    case 'lowest':
      return compareTypes(message.type, choice.type) <= 0;
    default:
      return true;
  }
}

export class MessageQueue extends IpcObject {
  readonly #memory: IpcMemory;
  readonly #messages: Message[] = [];
  /**
   * Their types, in the same order: a search among very many looks at numbers side by side, and not at
   * objects all over the heap.
   */
  readonly #highs: number[] = [];
  readonly #lows: number[] = [];
  readonly #receivers: Set<MessageReceiver> = new Set();
  readonly #senders: Set<MessageSender> = new Set();
  #usedBytes = 0;
  /** msg_qbytes. */
  limitBytes: number;
  isRemoved = false;
  sendTime = 0;
  receiveTime = 0;
  lastSender: IpcUser | undefined = undefined;
  lastReceiver: IpcUser | undefined = undefined;

  constructor(id: number, request: IpcRequest, limitBytes: number, memory: IpcMemory) {
    super(id, request);
    this.limitBytes = limitBytes;
    this.#memory = memory;
  }

  get count(): number {
    return this.#messages.length;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  hasRoomFor(lengthBytes: number): boolean {
    return (
      lengthBytes + this.#usedBytes <= this.limitBytes && this.#messages.length < this.limitBytes
    );
  }

  /**
   * To the first receiver that waits for its like, else into the queue. The caller has seen that
   * there is room.
   */
  send(message: Message, user: IpcUser, nowSec: number): SysResult {
    if (!this.#handOver(message, nowSec)) {
      if (!this.#memory.takeMessage(message.bytes.length)) return ENOMEM;
      this.#messages.push(message);
      this.#highs.push(message.type.high);
      this.#lows.push(message.type.low);
      this.#usedBytes += message.bytes.length;
    }
    this.lastSender = user;
    this.sendTime = nowSec;
    return 0;
  }

  #handOver(message: Message, nowSec: number): boolean {
    for (const receiver of this.#receivers) {
      if (!suits(message, receiver.choice)) continue;
      this.#receivers.delete(receiver);
      if (message.bytes.length > receiver.mostBytes) {
        receiver.finish(E2BIG);
        continue;
      }
      this.lastReceiver = receiver.user;
      this.receiveTime = nowSec;
      receiver.finish(message);
      return true;
    }
    return false;
  }

  /** The message that is chosen, still in the queue. */
  find(choice: MessageChoice): Message | undefined {
    if (choice.kind === 'place') return this.#messages[choice.place];
    return this.#messages[choice.kind === 'first' ? 0 : this.#indexOf(choice.kind, choice.type)];
  }

  /** The place of the message of that kind of choice, -1 where there is none. */
  #indexOf(kind: 'equal' | 'other' | 'lowest', { high, low }: MessageType): number {
    const highs = this.#highs;
    const lows = this.#lows;
    if (kind !== 'lowest') {
      const wantsEqual = kind === 'equal';
      for (let index = 0; index < lows.length; index += 1)
        if ((lows[index] === low && highs[index] === high) === wantsEqual) return index;
      return -1;
    }
    let lowest = -1;
    let mostHigh = high;
    let mostLow = low;
    for (let index = 0; index < lows.length; index += 1) {
      const thisHigh = highs[index] as number;
      const thisLow = lows[index] as number;
      if (thisHigh > mostHigh || (thisHigh === mostHigh && thisLow > mostLow)) continue;
      if (lowest >= 0 && thisHigh === mostHigh && thisLow === mostLow) continue;
      lowest = index;
      mostHigh = thisHigh;
      mostLow = thisLow;
    }
    return lowest;
  }

  /** Takes a message that `find` answered. */
  take(message: Message, user: IpcUser, nowSec: number): void {
    this.#drop(this.#messages.indexOf(message));
    this.lastReceiver = user;
    this.receiveTime = nowSec;
    this.#wakeSenders();
  }

  waitForMessage(receiver: MessageReceiver): void {
    this.#receivers.add(receiver);
  }

  /** For a receiver that waits no more. */
  giveUp(receiver: MessageReceiver): void {
    this.#receivers.delete(receiver);
  }

  waitForRoom(sender: MessageSender): void {
    this.#senders.add(sender);
  }

  giveUpSending(sender: MessageSender): void {
    this.#senders.delete(sender);
  }

  /** IPC_SET: whoever waits looks again whether it still may, and whether there is room now. */
  changed(): void {
    this.#finishReceivers(EAGAIN);
    this.#wakeSenders();
  }

  /** IPC_RMID. */
  remove(): void {
    this.isRemoved = true;
    this.#finishReceivers(EIDRM);
    this.#usedBytes = 0;
    this.#wakeSenders();
    this.#highs.length = 0;
    this.#lows.length = 0;
    const dropping = this.#dropAll(this.#messages.splice(0));
    if (dropping.next().done !== true) finishLater(dropping);
  }

  *#dropAll(messages: readonly Message[]): Iterator<undefined> {
    for (const [index, { bytes }] of messages.entries()) {
      this.#memory.giveMessage(bytes.length);
      if ((index + 1) % DROPPED_AT_ONCE === 0) yield undefined;
    }
  }

  #drop(index: number): void {
    this.#highs.splice(index, 1);
    this.#lows.splice(index, 1);
    for (const { bytes } of this.#messages.splice(index, 1)) {
      this.#usedBytes -= bytes.length;
      this.#memory.giveMessage(bytes.length);
    }
  }

  #finishReceivers(errno: Errno): void {
    for (const receiver of this.#receivers) receiver.finish(errno);
    this.#receivers.clear();
  }

  #wakeSenders(): void {
    for (const sender of this.#senders) sender.waker?.wake(POLLIN);
  }
}
