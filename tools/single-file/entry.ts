// SPDX-License-Identifier: Apache-2.0
// Gives the executable an entry of our own: native/single-file/README.md. The program goes behind
// what is in the file, at addresses below Node's; the kernel sees it and Node's segments, but not
// that Node wants to be loaded by ld.so, and starts it. It has Node's own headers, for the case
// that it is to go on with Node.

import { PT_INTERP, PT_LOAD } from '../../abi/elf.ts';
import { MOST_NODE_HEADERS, NODE_PLACE_MARK } from '../../protocol/single-file.ts';
import { PAGE, SEGMENT_BYTES } from './elf.ts';

const PT_PHDR = 6;

const MARK = Buffer.from(NODE_PLACE_MARK);

const ENTRY_AT = 24;
const TABLE_AT = 32;
const COUNT_AT = 56;

/** One program header, as it is in a file: Elf64_Phdr. */
class Header {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  get type(): number {
    return this.bytes.readUInt32LE(0);
  }
  get offset(): number {
    return this.#number(8);
  }
  get address(): number {
    return this.#number(16);
  }
  get fileBytes(): number {
    return this.#number(32);
  }
  get memoryBytes(): number {
    return this.#number(40);
  }
  set(offset: number, fileBytes: number): this {
    this.#setNumber(8, offset);
    this.#setNumber(32, fileBytes);
    return this;
  }
  setPlace(address: number, bytes: number): this {
    this.#setNumber(16, address);
    this.#setNumber(24, address);
    this.#setNumber(32, bytes);
    this.#setNumber(40, bytes);
    return this;
  }
  copy(): Header {
    return new Header(Buffer.from(this.bytes));
  }
  #number(at: number): number {
    return Number(this.bytes.readBigUInt64LE(at));
  }
  #setNumber(at: number, value: number): void {
    this.bytes.writeBigUInt64LE(BigInt(value), at);
  }
}

function headersOf(file: Buffer): Header[] {
  const table = Number(file.readBigUInt64LE(TABLE_AT));
  return Array.from({ length: file.readUInt16LE(COUNT_AT) }, (_, i) => {
    const at = table + i * SEGMENT_BYTES;
    return new Header(Buffer.from(file.subarray(at, at + SEGMENT_BYTES)));
  });
}

const loaded = (headers: readonly Header[]): Header[] =>
  headers.filter(({ type }) => type === PT_LOAD);

const pageAbove = (value: number): number => Math.ceil(value / PAGE) * PAGE;

/** The loaded part of a program as it is in memory before it starts: what it wants zeroed is in there. */
function image(program: Buffer, headers: readonly Header[]): Buffer {
  const last = headers.at(-1);
  if (last === undefined) throw new Error('the entry has no segments');
  for (const header of headers) {
    if (header !== last && header.fileBytes !== header.memoryBytes)
      throw new Error('the entry has zeros before its last segment');
  }
  const filled = Buffer.alloc(pageAbove(last.offset + last.memoryBytes));
  program.copy(filled, 0, 0, last.offset + last.fileBytes);
  return filled;
}

/** Fills in `node_place` of native/single-file/entry.h. */
function tellAboutNode(filled: Buffer, own: readonly Header[], node: Buffer): void {
  const at = filled.indexOf(MARK);
  if (at < 0 || filled.lastIndexOf(MARK) !== at) throw new Error('no place for Node in the entry');
  const segment = own.find((one) => at >= one.offset && at < one.offset + one.fileBytes);
  if (segment === undefined) throw new Error('the place for Node is not loaded');
  const headers = headersOf(node);
  if (headers.length > MOST_NODE_HEADERS) throw new Error(`Node has ${headers.length} headers`);
  const list = at + MARK.length + 16;
  const address = list - segment.offset + segment.address;
  // ld.so takes the difference between where the headers are and where they should be for Node's address.
  for (const header of headers) {
    if (header.type === PT_PHDR) header.setPlace(address, headers.length * SEGMENT_BYTES);
  }
  node.copy(filled, at + MARK.length, ENTRY_AT, ENTRY_AT + 8);
  filled.writeBigUInt64LE(BigInt(headers.length), at + MARK.length + 8);
  Buffer.concat(headers.map(({ bytes }) => bytes)).copy(filled, list);
}

/** What the kernel is to see. */
function writeHeaders(node: Buffer, own: readonly Header[], start: number): void {
  const table = Number(node.readBigUInt64LE(TABLE_AT));
  const others = headersOf(node).filter(({ type }) => type !== PT_INTERP);
  const first = others.findIndex(({ type }) => type === PT_LOAD);
  const added = own.map((one) => one.copy().set(start + one.offset, one.memoryBytes));
  const all = [...others.slice(0, first), ...added, ...others.slice(first)];
  const bytes = all.length * SEGMENT_BYTES;
  // The table has been moved to a place of its own, with room, by whoever put the scripts into Node.
  const place = loaded(others).find(({ offset }) => offset === table);
  if (place === undefined || bytes > place.fileBytes) throw new Error('no room for headers');
  for (const header of all) {
    if (header.type === PT_PHDR) header.setPlace(place.address, bytes);
  }
  Buffer.concat(all.map((one) => one.bytes)).copy(node, table);
  node.writeUInt16LE(all.length, COUNT_AT);
}

/** Answers the executable that starts with `program` instead of `node`. */
export function withEntry(node: Buffer, program: Buffer): Buffer {
  const own = loaded(headersOf(program));
  const end = own.at(-1);
  const [first] = loaded(headersOf(node));
  if (end === undefined || first === undefined) throw new Error('nothing is loaded');
  if (end.address + end.memoryBytes > first.address) throw new Error('the entry is too long');
  const filled = image(program, own);
  tellAboutNode(filled, own, node);
  const start = pageAbove(node.length);
  const whole = Buffer.alloc(start + filled.length);
  node.copy(whole);
  filled.copy(whole, start);
  writeHeaders(whole, own, start);
  program.copy(whole, ENTRY_AT, ENTRY_AT, ENTRY_AT + 8);
  return whole;
}
