// SPDX-License-Identifier: Apache-2.0
// What waits at a stream socket: bytes, and at places in the stream files and changes of sender.
import { EAGAIN, ENOBUFS, ENOMEM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { MSG_PEEK } from '../../../abi/socket.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { PeerCredentials, Received } from '../socket.ts';
import { dropBundles, type FileBundle } from './in-flight.ts';
import type { Inbox } from './unix-socket.ts';

/** Bytes [start, end) of the stream came with files. A read goes no further than `end`. */
interface FileMark {
  readonly start: number;
  readonly end: number;
  readonly bundle: FileBundle;
}

/** From `start` on the bytes are by another sender. */
interface SenderMark {
  readonly start: number;
  readonly credentials: PeerCredentials;
}

export class ByteInbox implements Inbox {
  readonly #ring = new ByteRing();
  readonly #files: FileMark[] = [];
  readonly #senders: SenderMark[] = [];

  get isEmpty(): boolean {
    return this.#ring.length === 0;
  }

  get nextBytes(): number {
    return this.#ring.length;
  }

  /** Takes up to `limit` bytes. The files belong to the inbox if any byte was taken. */
  put(
    source: Source,
    limit: number,
    credentials: PeerCredentials,
    bundle: FileBundle | undefined,
  ): SysResult {
    const start = this.#ring.end;
    const count = this.#ring.fill(source, limit);
    if (count <= 0) return count === ENOMEM ? ENOBUFS : count;
    if (bundle !== undefined) this.#files.push({ start, end: start + count, bundle });
    const last = this.#senders.at(-1)?.credentials;
    if (last === undefined || !isSameSender(last, credentials))
      this.#senders.push({ start, credentials });
    return count;
  }

  /** Gives bytes up to the next place where a read has to end. The inbox is not empty. */
  take(
    sink: Sink,
    flags: number,
    received: Received,
    showsSender: boolean,
    peekOffset = 0,
  ): SysResult {
    this.#forgetSenders();
    const position = this.#ring.position;
    let limit = this.#ring.length;
    const mark = this.#files[0];
    if (mark !== undefined) limit = mark.end - position;
    const next = this.#senders[1];
    if (showsSender && next !== undefined) limit = Math.min(limit, next.start - position);
    const peeks = (flags & MSG_PEEK) !== 0;
    const skip = peeks ? peekOffset : 0;
    if (skip > 0 && skip >= this.#ring.length) return EAGAIN;
    const count = peeks
      ? this.#ring.peek(sink, Math.max(0, limit - skip), skip)
      : this.#ring.drain(sink, limit);
    if (isErrno(count)) return count;
    if (showsSender) received.credentials = this.#senders[0]?.credentials;
    // A read of no bytes takes the files that stand before the first one.
    if (mark !== undefined && position + Math.max(count, 1) > mark.start) {
      if (peeks) received.files = mark.bundle.peek();
      else {
        this.#files.shift();
        received.files = mark.bundle.land();
      }
    }
    if (!peeks) this.#forgetSenders();
    return count;
  }

  bundlesWaiting(): FileBundle[] {
    return this.#files.map(({ bundle }) => bundle);
  }

  takeBundles(): FileBundle[] {
    return this.#files.splice(0).map(({ bundle }) => bundle);
  }

  clear(): void {
    dropBundles(this.takeBundles());
    this.#senders.length = 0;
    this.#ring.release();
  }

  #forgetSenders(): void {
    // The sender of the newest bytes stays known, so that the next ones need no mark.
    while (
      this.#senders.length > 1 &&
      (this.#senders[1] as SenderMark).start <= this.#ring.position
    )
      this.#senders.shift();
  }
}

function isSameSender(a: PeerCredentials, b: PeerCredentials): boolean {
  return a.pid === b.pid && a.pids === b.pids && a.uid === b.uid && a.gid === b.gid;
}
