// SPDX-License-Identifier: Apache-2.0
// What waits at a datagram or seqpacket socket: whole messages.
import { EAGAIN, isErrno, type SysResult } from '../../../abi/errno.ts';
import { MSG_PEEK, MSG_TRUNC } from '../../../abi/socket.ts';
import { finishLater } from '../../base/leftovers.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { Sink } from '../../vfs/io.ts';
import type { PeerCredentials, Received } from '../socket.ts';
import { dropBundles, type FileBundle } from './in-flight.ts';
import type { Inbox } from './unix-socket.ts';

export interface Message {
  readonly bytes: Uint8Array;
  readonly address: Uint8Array | undefined;
  readonly credentials: PeerCredentials;
  bundle: FileBundle | undefined;
  /** The amount that the message counts against its sender's buffer. */
  readonly chargedBytes: number;
  /** Gives the charge back. */
  readonly credit: (bytes: number) => void;
}

export class MessageInbox implements Inbox {
  readonly #messages: Message[] = [];
  /** The account that pays for each message, in the same order: the process that sent it. */
  readonly #payers: MemoryAccount[] = [];
  get count(): number {
    return this.#messages.length;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Length of the next message. */
  get nextBytes(): number {
    return this.#messages[0]?.bytes.length ?? 0;
  }

  /** False where the caller may not send a message of that length: ENOBUFS. */
  static hasRoom(lengthBytes: number): boolean {
    return currentAccount().hasRoom(lengthBytes + OBJECT_COST.message);
  }

  /** Whether there is room was asked before. */
  put(message: Message): void {
    const payer = currentAccount();
    payer.force(message.bytes.length + OBJECT_COST.message);
    this.#payers.push(payer);
    this.#messages.push(message);
  }

  /** Gives the oldest message. The inbox is not empty. What does not fit into `sink` is lost. */
  take(
    sink: Sink,
    flags: number,
    received: Received,
    showsSender: boolean,
    peekOffset = 0,
  ): SysResult {
    const peeks = (flags & MSG_PEEK) !== 0 && peekOffset > 0;
    const { message, skip } = peeks
      ? this.#messageAt(peekOffset)
      : { message: this.#messages[0] as Message, skip: 0 };
    if (message === undefined) return EAGAIN;
    const rest = message.bytes.length - skip;
    const fits = Math.min(sink.remaining, rest);
    const put = fits === 0 ? 0 : sink.put(message.bytes.subarray(skip, skip + fits));
    if (isErrno(put)) return put;
    if (fits < rest) received.flags |= MSG_TRUNC;
    received.address = message.address;
    if (showsSender) received.credentials = message.credentials;
    if ((flags & MSG_PEEK) !== 0) received.files = message.bundle?.peek() ?? [];
    else {
      this.#messages.shift();
      this.#payers.shift()?.uncharge(message.bytes.length + OBJECT_COST.message);
      received.files = message.bundle?.land() ?? [];
      message.credit(message.chargedBytes);
    }
    return (flags & MSG_TRUNC) !== 0 ? rest : put;
  }

  bundlesWaiting(): FileBundle[] {
    const bundles: FileBundle[] = [];
    for (const { bundle } of this.#messages) if (bundle !== undefined) bundles.push(bundle);
    return bundles;
  }

  /** The message in which the byte lies that so many others come before (SO_PEEK_OFF). */
  #messageAt(offset: number): { readonly message: Message | undefined; readonly skip: number } {
    let skip = offset;
    for (const message of this.#messages) {
      if (skip < message.bytes.length || (skip === 0 && message.bytes.length === 0))
        return { message, skip };
      skip -= message.bytes.length;
    }
    return { message: undefined, skip: 0 };
  }

  takeBundles(): FileBundle[] {
    const bundles = this.bundlesWaiting();
    for (const message of this.#messages) message.bundle = undefined;
    return bundles;
  }

  clear(): void {
    dropBundles(this.takeBundles());
    const clearing = clearMessages(this.#messages.splice(0), this.#payers.splice(0));
    if (clearing.next().done !== true) finishLater(clearing);
  }
}

/** Messages that one turn throws away, where very many waited. */
const CLEARED_AT_ONCE = 2048;

function* clearMessages(
  messages: readonly Message[],
  payers: readonly MemoryAccount[],
): Iterator<undefined> {
  for (const [index, message] of messages.entries()) {
    payers[index]?.uncharge(message.bytes.length + OBJECT_COST.message);
    message.credit(message.chargedBytes);
    if ((index + 1) % CLEARED_AT_ONCE === 0) yield undefined;
  }
}
