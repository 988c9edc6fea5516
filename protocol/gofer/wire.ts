// SPDX-License-Identifier: Apache-2.0
// The bytes of a message: a writer which puts values into one reused buffer, and a reader which
// takes them out again. Little-endian, without alignment. Text is a byte string, one char per byte:
// u16 length, bytes.

/** Puts values into one reused buffer. Callers keep below the buffer's size. */
export class MessageWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  length = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.length, value, true);
    this.length += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
    return this;
  }

  i32(value: number): this {
    this.#view.setInt32(this.length, value, true);
    this.length += 4;
    return this;
  }

  f64(value: number): this {
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
    return this;
  }

  text(value: string): this {
    this.u16(value.length);
    for (let at = 0; at < value.length; at += 1)
      this.bytes[this.length + at] = value.charCodeAt(at);
    this.length += value.length;
    return this;
  }

  /** u32 length, bytes. */
  blob(value: Uint8Array): this {
    this.u32(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
    return this;
  }
}

/**
 * Takes values out of a message that the other side wrote, which may be hostile. Past the message's
 * end every value reads as 0 or '' and `bad` is set. Whoever reads asks `isComplete` once, before
 * acting on any value.
 */
export class MessageReader {
  readonly bytes: Buffer;
  readonly #view: DataView;
  #at = 0;
  #length = 0;
  bad = false;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** A message of `length` bytes lies in `bytes`. */
  start(length: number): this {
    this.#at = 0;
    this.#length = length;
    this.bad = false;
    return this;
  }

  /** All of the message was read, and no more. */
  get isComplete(): boolean {
    return !this.bad && this.#at === this.#length;
  }

  u16(): number {
    const at = this.#advance(2);
    return at < 0 ? 0 : this.#view.getUint16(at, true);
  }

  u32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : this.#view.getUint32(at, true);
  }

  i32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : this.#view.getInt32(at, true);
  }

  f64(): number {
    const at = this.#advance(8);
    const value = at < 0 ? 0 : this.#view.getFloat64(at, true);
    // Sizes, numbers and times are integers; anything else is nonsense.
    if (!Number.isSafeInteger(value)) this.bad = true;
    return value;
  }

  text(): string {
    const length = this.u16();
    const at = this.#advance(length);
    if (at < 0) return '';
    if (length > 64) return this.bytes.toString('latin1', at, at + length);
    let value = '';
    for (let index = 0; index < length; index += 1)
      value += String.fromCharCode(this.bytes[at + index] as number);
    return value;
  }

  /** A copy. */
  blob(limit: number): Uint8Array {
    const length = this.u32();
    if (length > limit) this.bad = true;
    const at = this.bad ? -1 : this.#advance(length);
    return at < 0 ? new Uint8Array(0) : new Uint8Array(this.bytes.subarray(at, at + length));
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (this.bad || at + bytes > this.#length) {
      this.bad = true;
      return -1;
    }
    this.#at = at + bytes;
    return at;
  }
}
