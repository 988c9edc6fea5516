// SPDX-License-Identifier: Apache-2.0
// A byte list that grows: collects output of the line discipline one byte at a time.
const firstBytes = 64;

export class ByteBuilder {
  #bytes = new Uint8Array(firstBytes);
  length = 0;

  push(byte: number): void {
    if (this.length === this.#bytes.length) this.#grow();
    this.#bytes[this.length] = byte;
    this.length += 1;
  }

  /** The bytes so far; valid until the next push. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = new Uint8Array(firstBytes);
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

const keptBytes = 65536;
