// SPDX-License-Identifier: Apache-2.0
// The input queue of the N_TTY line discipline: 4096 bytes, with the ends of lines marked. Positions
// count every byte ever put in. Source of the limits: Documentation/driver-api/tty, termios(3)
// ("canonical mode ... line length is 4096").
import { EFAULT, isErrno, type SysResult } from '../../../abi/errno.ts';
import type { Sink } from '../../vfs/io.ts';

export const readBufferBytes = 4096;
const mask = readBufferBytes - 1;

/** The byte that stands for an end of file in the queue; the mark tells it from a NUL typed. */
export const endOfFileByte = 0;

export class ReadBuffer {
  readonly #bytes = new Uint8Array(readBufferBytes);
  readonly #lineEnds = new Uint8Array(readBufferBytes);
  /** Next byte goes here. */
  head = 0;
  /** Next byte is read here. */
  tail = 0;
  /** End of the last complete line. */
  canonHead = 0;

  get length(): number {
    return this.head - this.tail;
  }

  get hasLine(): boolean {
    return this.canonHead !== this.tail;
  }

  /** Something of the line now being typed is there. */
  get hasOpenLine(): boolean {
    return this.head !== this.canonHead;
  }

  at(position: number): number {
    return this.#bytes[position & mask] as number;
  }

  put(byte: number): void {
    this.#bytes[this.head & mask] = byte;
    this.#lineEnds[this.head & mask] = 0;
    this.head += 1;
  }

  /** Puts the last byte of a line: newline, an EOL character or endOfFileByte. */
  putLineEnd(byte: number): void {
    this.put(byte);
    this.#lineEnds[(this.head - 1) & mask] = 1;
    this.canonHead = this.head;
  }

  /** Forgets everything. */
  clear(): void {
    this.head = 0;
    this.tail = 0;
    this.canonHead = 0;
    this.#lineEnds.fill(0);
  }

  /** ICANON was switched on: what is there counts as one line. Or off: there are no lines. */
  canonicalChanged(canonical: boolean): void {
    this.#lineEnds.fill(0);
    if (!canonical || this.length === 0) {
      this.canonHead = this.tail;
      return;
    }
    this.#lineEnds[(this.head - 1) & mask] = 1;
    this.canonHead = this.head;
  }

  /** Non-canonical read of up to `limit` bytes. Bytes given, or EFAULT. */
  readRaw(sink: Sink, limit: number): SysResult {
    const count = Math.min(limit, sink.remaining, this.length);
    const put = this.#give(sink, count);
    this.tail += count;
    // Outside canonical mode there are no lines: keep canonHead from falling behind.
    if (this.canonHead < this.tail) this.canonHead = this.tail;
    return put;
  }

  /** Canonical read: the rest of the first line at most. 0 is an end of file. */
  readLine(sink: Sink, limit: number): SysResult {
    const wanted = Math.min(limit, sink.remaining);
    const available = Math.min(wanted, this.canonHead - this.tail);
    let count = 0;
    while (count < available && !this.#isLineEnd(this.tail + count)) count += 1;
    if (count === available) {
      const put = this.#give(sink, count);
      this.tail += count;
      // A read that an end of file would have ended just here swallows it, or the next read would
      // see an end of file that belongs to this line.
      if (this.hasLine && this.#isEndOfFile(this.tail)) this.#skipMark();
      return put;
    }
    const copied = this.#isEndOfFile(this.tail + count) ? count : count + 1;
    const put = this.#give(sink, copied);
    this.tail += count;
    this.#skipMark();
    return put;
  }

  /** Bytes that FIONREAD tells in canonical mode: complete lines without their end-of-file marks. */
  lineBytes(): number {
    let count = this.canonHead - this.tail;
    for (let position = this.tail; position < this.canonHead; position += 1) {
      if (this.#isEndOfFile(position)) count -= 1;
    }
    return count;
  }

  #isLineEnd(position: number): boolean {
    return this.#lineEnds[position & mask] === 1;
  }

  #isEndOfFile(position: number): boolean {
    return this.#isLineEnd(position) && this.at(position) === endOfFileByte;
  }

  #skipMark(): void {
    this.#lineEnds[this.tail & mask] = 0;
    this.tail += 1;
  }

  /** Gives `count` bytes from the tail; the caller moves the tail. */
  #give(sink: Sink, count: number): SysResult {
    let given = 0;
    while (given < count) {
      const index = (this.tail + given) & mask;
      const span = Math.min(count - given, readBufferBytes - index);
      const put = sink.put(this.#bytes.subarray(index, index + span));
      if (isErrno(put)) return given === 0 ? EFAULT : given;
      given += put;
      if (put < span) break;
    }
    return given;
  }
}
