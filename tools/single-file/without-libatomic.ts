// SPDX-License-Identifier: Apache-2.0
// Node is linked with libatomic for a single function, and machines that do not compile programs
// rarely have the library (Debian's own images do not). So the function (native/portable/) goes
// into the unused end of the text's last page, what called the library's is bound to it, and the
// library is struck off the list.
import type { Elf } from './elf.ts';

const LIBRARY = 'libatomic.so.1';
const FUNCTION = '__atomic_compare_exchange';

const DT_NEEDED = 1;
const DT_PLTRELSZ = 2;
const DT_STRTAB = 5;
const DT_SYMTAB = 6;
const DT_RELA = 7;
const DT_RELASZ = 8;
const DT_JMPREL = 23;
const DT_VERSYM = 0x6ffffff0;
const DT_VERNEED = 0x6ffffffe;
const DT_VERNEEDNUM = 0x6fffffff;

const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 24;
const R_X86_64_RELATIVE = 8;
const VER_NDX_GLOBAL = 1;

/** Changes an executable; false, and nothing is changed, where it does not use the library. */
export function withoutLibatomic(elf: Elf, code: Uint8Array): boolean {
  const strings = elf.offsetOf(elf.dynamicValue(DT_STRTAB));
  const needed = elf
    .dynamicEntries(DT_NEEDED)
    .find((at) => elf.textAt(strings + elf.number(at + 8)) === LIBRARY);
  if (needed === undefined) return false;
  const versions = dropVersions(elf, strings);
  const symbols = symbolsOf(elf, strings, versions);
  const address = elf.addCode(code);
  bind(elf, symbols, address);
  elf.removeDynamicEntry(needed);
  return true;
}

/** Takes the library off the list of versions wanted, and answers their numbers. */
function dropVersions(elf: Elf, strings: number): Set<number> {
  const { bytes } = elf;
  const countAt = elf.dynamicValueAt(DT_VERNEEDNUM);
  const firstAt = elf.dynamicValueAt(DT_VERNEED);
  let previous = -1;
  let at = elf.offsetOf(elf.number(firstAt));
  for (let left = elf.number(countAt); left > 0; left--) {
    const next = bytes.readUInt32LE(at + 12);
    if (elf.textAt(strings + bytes.readUInt32LE(at + 4)) === LIBRARY) {
      if (previous < 0) elf.setNumber(firstAt, elf.number(firstAt) + next);
      else bytes.writeUInt32LE(next === 0 ? 0 : at + next - previous, previous + 12);
      elf.setNumber(countAt, elf.number(countAt) - 1);
      return versionNumbers(bytes, at);
    }
    previous = at;
    at += next;
  }
  throw new Error(`no versions of ${LIBRARY}`);
}

function versionNumbers(bytes: Buffer, entry: number): Set<number> {
  const numbers = new Set<number>();
  let at = entry + bytes.readUInt32LE(entry + 8);
  for (let left = bytes.readUInt16LE(entry + 2); left > 0; left--) {
    numbers.add(bytes.readUInt16LE(at + 6));
    at += bytes.readUInt32LE(at + 12);
  }
  return numbers;
}

/** The symbols with one of the versions: no function but ours may be among them. */
function symbolsOf(elf: Elf, strings: number, versions: Set<number>): Set<number> {
  const { bytes } = elf;
  const table = elf.offsetOf(elf.dynamicValue(DT_SYMTAB));
  const versionTable = elf.offsetOf(elf.dynamicValue(DT_VERSYM));
  const found = new Set<number>();
  for (const { symbol } of relocations(elf)) {
    const versionAt = versionTable + symbol * 2;
    if (symbol === 0 || !versions.has(bytes.readUInt16LE(versionAt))) continue;
    const name = elf.textAt(strings + bytes.readUInt32LE(table + symbol * SYMBOL_BYTES));
    if (name !== FUNCTION) throw new Error(`${LIBRARY}: ${name} is used as well`);
    bytes.writeUInt16LE(VER_NDX_GLOBAL, versionAt);
    found.add(symbol);
  }
  return found;
}

function* relocations(elf: Elf): Generator<{ at: number; symbol: number }> {
  for (const [start, size] of [
    [DT_RELA, DT_RELASZ],
    [DT_JMPREL, DT_PLTRELSZ],
  ] as const) {
    const first = elf.offsetOf(elf.dynamicValue(start));
    const end = first + elf.dynamicValue(size);
    for (let at = first; at < end; at += RELOCATION_BYTES) {
      yield { at, symbol: elf.bytes.readUInt32LE(at + 12) };
    }
  }
}

/** A relocation against the symbol becomes the address itself. */
function bind(elf: Elf, symbols: Set<number>, address: number): void {
  for (const { at, symbol } of relocations(elf)) {
    if (!symbols.has(symbol)) continue;
    elf.bytes.writeUInt32LE(R_X86_64_RELATIVE, at + 8);
    elf.bytes.writeUInt32LE(0, at + 12);
    elf.setNumber(at + 16, address);
  }
}
