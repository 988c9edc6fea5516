// SPDX-License-Identifier: Apache-2.0
// eventfd(2): a 64-bit counter as a file. The counter is two 32-bit halves: all 64 bits are data.
import { EAGAIN, EINVAL, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { POLLERR, POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { hexadecimal } from '../../base/hexadecimal.ts';
import type { IdPool } from '../../base/id-pool.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { type AnonymousNode, anonInode } from '../anon/anonymous-node.ts';

const top = 0xffff_ffff;
// One call at a time runs in the Sentry, so all eventfds share the staging bytes.
const bytes = new Uint8Array(8);
const view = new DataView(bytes.buffer);

export class EventFile extends OpenFile {
  readonly node: AnonymousNode = anonInode;
  readonly #semaphore: boolean;
  readonly #ids: IdPool;
  readonly #id: number;
  #lo: number;
  #hi = 0;

  /** `ids` are those of all eventfds, which /proc/PID/fdinfo shows. */
  constructor(initial: number, flags: number, semaphore: boolean, ids: IdPool) {
    super(O_RDWR | flags);
    this.#ids = ids;
    this.#id = ids.take();
    this.#lo = initial >>> 0;
    this.#semaphore = semaphore;
  }

  override get description(): string {
    return 'anon_inode:[eventfd]';
  }

  override information(): string {
    const count = hexadecimal(this.#hi, this.#lo).padStart(16);
    const semaphore = this.#semaphore ? 1 : 0;
    return `eventfd-count: ${count}\neventfd-id: ${this.#id}\neventfd-semaphore: ${semaphore}\n`;
  }

  override close(): void {
    this.#ids.release(this.#id);
  }

  override read(sink: Sink): SysResult {
    if (sink.remaining < 8) return EINVAL;
    if (this.#lo === 0 && this.#hi === 0) return EAGAIN;
    view.setUint32(0, this.#semaphore ? 1 : this.#lo, true);
    view.setUint32(4, this.#semaphore ? 0 : this.#hi, true);
    // As in Linux the counter changes even where the bytes cannot be delivered.
    if (this.#semaphore) this.#decrement();
    else {
      this.#lo = 0;
      this.#hi = 0;
    }
    this.queue.notify(POLLOUT);
    return sink.put(bytes);
  }

  override write(source: Source): SysResult {
    if (source.remaining < 8) return EINVAL;
    const taken = source.take(bytes);
    if (taken !== 8) return isErrno(taken) ? taken : EINVAL;
    const lo = view.getUint32(0, true);
    const hi = view.getUint32(4, true);
    if (lo === top && hi === top) return EINVAL;
    const sumLo = this.#lo + lo;
    const sumHi = this.#hi + hi + (sumLo > top ? 1 : 0);
    // The greatest value is 2^64 - 2. A call that has to wait brings the same bytes again.
    if (sumHi > top || (sumHi === top && sumLo >>> 0 === top)) {
      source.giveBack(bytes.length);
      return EAGAIN;
    }
    this.#lo = sumLo >>> 0;
    this.#hi = sumHi;
    this.queue.notify(POLLIN);
    return 8;
  }

  override poll(): number {
    let events = 0;
    if (this.#lo !== 0 || this.#hi !== 0) events |= POLLIN;
    const atTop = this.#hi === top;
    if (atTop && this.#lo === top) events |= POLLERR;
    if (!atTop || this.#lo < top - 1) events |= POLLOUT;
    return events;
  }

  #decrement(): void {
    if (this.#lo === 0) {
      this.#lo = top;
      this.#hi -= 1;
    } else this.#lo -= 1;
  }
}
