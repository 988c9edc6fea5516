// SPDX-License-Identifier: Apache-2.0
// As much of an ELF file (elf(5)) as is needed to change a linked program a little, in place.
import { PF_X, PT_LOAD } from '../../abi/elf.ts';

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

const PT_DYNAMIC = 2;

export const PAGE = 4096;
const HEADER_BYTES = 64;
export const SEGMENT_BYTES = 56;
const DYNAMIC_BYTES = 16;

export class Elf {
  readonly bytes: Buffer;
  readonly segments: readonly Segment[];
  readonly #dynamic: Segment;
  #codeAdded = 0;

  constructor(bytes: Buffer) {
    if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2) {
      throw new Error('not a 64-bit ELF file');
    }
    this.bytes = bytes;
    const table = Number(bytes.readBigUInt64LE(32));
    const count = bytes.readUInt16LE(56);
    this.segments = Array.from({ length: count }, (_, i) =>
      this.#segmentAt(table + i * SEGMENT_BYTES),
    );
    const dynamic = this.segments.find(({ type }) => type === PT_DYNAMIC);
    if (dynamic === undefined) throw new Error('no dynamic section');
    this.#dynamic = dynamic;
  }

  number(offset: number): number {
    return Number(this.bytes.readBigUInt64LE(offset));
  }

  setNumber(offset: number, value: number): void {
    this.bytes.writeBigUInt64LE(BigInt(value), offset);
  }

  /** Where in the file an address is. */
  offsetOf(address: number): number {
    const segment = this.segments.find(
      (one) =>
        one.type === PT_LOAD && address >= one.address && address < one.address + one.fileBytes,
    );
    if (segment === undefined)
      throw new Error(`address ${address.toString(16)} is not in the file`);
    return address - segment.address + segment.offset;
  }

  addressOf(offset: number): number {
    const segment = this.segments.find(
      (one) => one.type === PT_LOAD && offset >= one.offset && offset < one.offset + one.fileBytes,
    );
    if (segment === undefined) throw new Error(`byte ${offset} of the file is not loaded`);
    return offset - segment.offset + segment.address;
  }

  /** Into the zeros between the end of the text and the end of its last page; answers the address. */
  addCode(code: Uint8Array): number {
    const text = this.segments.find(({ type, flags }) => type === PT_LOAD && (flags & PF_X) !== 0);
    if (text === undefined) throw new Error('no text');
    const used = text.offset + text.fileBytes + this.#codeAdded;
    const start = Math.ceil(used / 16) * 16;
    const end = Math.ceil((text.offset + text.fileBytes) / PAGE) * PAGE;
    const gap = this.bytes.subarray(used, end);
    if (start + code.length > end || gap.some((byte) => byte !== 0)) {
      throw new Error('no room behind the text');
    }
    this.bytes.set(code, start);
    this.#codeAdded += start + code.length - used;
    return text.address + start - text.offset;
  }

  textAt(offset: number): string {
    return this.bytes.toString('latin1', offset, this.bytes.indexOf(0, offset));
  }

  /** Offsets in the file of the entries with a tag. */
  dynamicEntries(tag: number): number[] {
    const found: number[] = [];
    for (let at = this.#dynamic.offset; this.number(at) !== 0; at += DYNAMIC_BYTES) {
      if (this.number(at) === tag) found.push(at);
    }
    return found;
  }

  /** The offset of the value of an entry that is there once. */
  dynamicValueAt(tag: number): number {
    const [at] = this.dynamicEntries(tag);
    if (at === undefined) throw new Error(`no dynamic entry ${tag.toString(16)}`);
    return at + 8;
  }

  dynamicValue(tag: number): number {
    return this.number(this.dynamicValueAt(tag));
  }

  /** The entries behind it move up. */
  removeDynamicEntry(at: number): void {
    const end = this.#dynamic.offset + this.#dynamic.fileBytes;
    this.bytes.copyWithin(at, at + DYNAMIC_BYTES, end);
    this.bytes.fill(0, end - DYNAMIC_BYTES, end);
  }

  #segmentAt(at: number): Segment {
    return {
      type: this.bytes.readUInt32LE(at),
      flags: this.bytes.readUInt32LE(at + 4),
      offset: this.number(at + 8),
      address: this.number(at + 16),
      fileBytes: this.number(at + 32),
      memoryBytes: this.number(at + 40),
    };
  }
}
