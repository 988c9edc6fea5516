// SPDX-License-Identifier: Apache-2.0
// Reads and judges ELF64 headers (elf(5), fs/binfmt_elf.c). The file is the guest's: every number in it
// is checked before it is used, and nothing of it is trusted to agree with anything else.

import * as elf from '../../abi/elf.ts';
import {
  EINVAL,
  EIO,
  ENOEXEC,
  ENOMEM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PATH_MAX } from '../../abi/fs.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';

/** Linux's own bound (ELF_MIN_ALIGN no less): all program headers fit into 64 KiB. */
const PROGRAM_HEADERS_LIMIT = 65536;

/** Reads dst.length bytes at `position` of a file; the count, or an errno. */
export type ReadAt = (position: number, dst: Uint8Array) => number;

export interface Segment {
  /** Address as linked; the load bias comes on top. */
  readonly vaddr: number;
  readonly fileOffset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly prot: number;
}

export interface ElfImage {
  /** ET_DYN: may be loaded anywhere. */
  readonly relocatable: boolean;
  readonly entry: number;
  /**
   * PT_LOAD segments in file order. At least one, addresses ascending, no overlap after rounding to
   * pages.
   */
  readonly segments: readonly Segment[];
  /** Page-aligned bounds of all segments. */
  readonly low: number;
  readonly high: number;
  /** Largest p_align of the segments, a power of two of at least a page. */
  readonly alignment: number;
  /** Where the program headers lie in memory as linked, 0 where no segment holds them. */
  readonly headersAddr: number;
  readonly headerCount: number;
  /** PT_INTERP, without its NUL. */
  readonly interpreter: string | undefined;
  /** PT_GNU_STACK asks for an executable stack. */
  readonly executableStack: boolean;
}

/** True where `head` starts like any ELF file. */
export function isElf(head: Uint8Array): boolean {
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

/** `head` is the start of the file; `guestTop` bounds all addresses. */
export function parseElf(head: Uint8Array, readAt: ReadAt, guestTop: number): Result<ElfImage> {
  if (head.length < elf.elfHeader.size || !isElf(head)) return ENOEXEC;
  if (head[elf.EI_CLASS] !== elf.ELFCLASS64 || head[elf.EI_DATA] !== elf.ELFDATA2LSB)
    return ENOEXEC;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const type = view.getUint16(elf.elfHeader.type, true);
  if (type !== elf.ET_EXEC && type !== elf.ET_DYN) return ENOEXEC;
  if (view.getUint16(elf.elfHeader.machine, true) !== elf.EM_X86_64) return ENOEXEC;
  const headers = readProgramHeaders(view, readAt);
  if (isErrno(headers)) return headers;
  return describe(
    headers,
    readAt,
    guestTop,
    type === elf.ET_DYN,
    u64(view, elf.elfHeader.entry),
    view,
  );
}

function readProgramHeaders(view: DataView, readAt: ReadAt): Result<DataView> {
  if (view.getUint16(elf.elfHeader.phentsize, true) !== elf.programHeader.size) return ENOEXEC;
  const count = view.getUint16(elf.elfHeader.phnum, true);
  const bytes = count * elf.programHeader.size;
  if (count === 0 || bytes > PROGRAM_HEADERS_LIMIT) return ENOEXEC;
  const offset = u64(view, elf.elfHeader.phoff);
  if (offset > Number.MAX_SAFE_INTEGER) return ENOEXEC;
  const table = new Uint8Array(bytes);
  const got = readAt(offset, table);
  if (isErrno(got)) return got;
  if (got !== bytes) return EIO;
  return new DataView(table.buffer);
}

function describe(
  headers: DataView,
  readAt: ReadAt,
  guestTop: number,
  relocatable: boolean,
  entry: number,
  file: DataView,
): Result<ElfImage> {
  const segments: Segment[] = [];
  let interpreter: string | undefined;
  let executableStack = false;
  let alignment = PAGE_SIZE;
  for (let at = 0; at < headers.byteLength; at += elf.programHeader.size) {
    const type = headers.getUint32(at + elf.programHeader.type, true);
    if (type === elf.PT_LOAD) {
      const segment = readSegment(headers, at, guestTop);
      if (isErrno(segment)) return segment;
      if (segment.memoryBytes === 0) continue;
      segments.push(segment);
      alignment = Math.max(alignment, usableAlignment(u64(headers, at + elf.programHeader.align)));
    } else if (type === elf.PT_INTERP && interpreter === undefined) {
      const path = readInterpreter(headers, at, readAt);
      if (isErrno(path)) return path;
      interpreter = path;
    } else if (type === elf.PT_GNU_STACK) {
      executableStack = (headers.getUint32(at + elf.programHeader.flags, true) & elf.PF_X) !== 0;
    }
  }
  if (entry >= guestTop) return EINVAL;
  const order = checkOrder(segments);
  if (isErrno(order)) return order;
  const first = segments[0] as Segment;
  const last = segments.at(-1) as Segment;
  return {
    relocatable,
    entry,
    segments,
    low: pageFloor(first.vaddr),
    high: pageCeil(last.vaddr + last.memoryBytes),
    alignment,
    headersAddr: addressOfHeaders(u64(file, elf.elfHeader.phoff), segments),
    headerCount: headers.byteLength / elf.programHeader.size,
    interpreter,
    executableStack,
  };
}

function readSegment(headers: DataView, at: number, guestTop: number): Result<Segment> {
  const vaddr = u64(headers, at + elf.programHeader.vaddr);
  const fileOffset = u64(headers, at + elf.programHeader.offset);
  const fileBytes = u64(headers, at + elf.programHeader.filesz);
  const memoryBytes = u64(headers, at + elf.programHeader.memsz);
  if (fileBytes > memoryBytes) return EINVAL;
  if (vaddr >= guestTop || memoryBytes > guestTop - vaddr) return ENOMEM;
  if (fileOffset + fileBytes > Number.MAX_SAFE_INTEGER) return EINVAL;
  // Address and offset must agree within the page, or the file cannot be mapped there.
  if (fileBytes > 0 && vaddr % PAGE_SIZE !== fileOffset % PAGE_SIZE) return EINVAL;
  const flags = headers.getUint32(at + elf.programHeader.flags, true);
  return { vaddr, fileOffset, fileBytes, memoryBytes, prot: protOf(flags) };
}

function protOf(flags: number): number {
  return (
    ((flags & elf.PF_R) !== 0 ? PROT_READ : 0) |
    ((flags & elf.PF_W) !== 0 ? PROT_WRITE : 0) |
    ((flags & elf.PF_X) !== 0 ? PROT_EXEC : 0)
  );
}

/**
 * Differs from Linux: it takes any order and any overlap, and leaves the mess to the program. Linkers
 * write ascending disjoint segments, as the ELF specification asks.
 */
function checkOrder(segments: readonly Segment[]): SysResult {
  if (segments.length === 0) return ENOEXEC;
  let end = 0;
  for (const { vaddr, memoryBytes } of segments) {
    if (vaddr < end) return EINVAL;
    end = vaddr + memoryBytes;
  }
  return 0;
}

/** p_align counts only where it is a power of two (maximum_alignment in binfmt_elf.c). */
function usableAlignment(align: number): number {
  if (align <= PAGE_SIZE || align > 2 ** 40) return PAGE_SIZE;
  return Number.isInteger(Math.log2(align)) ? align : PAGE_SIZE;
}

function addressOfHeaders(phoff: number, segments: readonly Segment[]): number {
  const holder = segments.find((s) => phoff >= s.fileOffset && phoff < s.fileOffset + s.fileBytes);
  return holder === undefined ? 0 : holder.vaddr + (phoff - holder.fileOffset);
}

function readInterpreter(headers: DataView, at: number, readAt: ReadAt): Result<string> {
  const bytes = u64(headers, at + elf.programHeader.filesz);
  const offset = u64(headers, at + elf.programHeader.offset);
  if (bytes > PATH_MAX || bytes < 2 || offset > Number.MAX_SAFE_INTEGER) return ENOEXEC;
  const text = new Uint8Array(bytes);
  const got = readAt(offset, text);
  if (isErrno(got)) return got;
  if (got !== bytes) return EIO;
  if (text[bytes - 1] !== 0) return ENOEXEC;
  return Buffer.from(text.buffer, 0, text.indexOf(0)).toString('latin1');
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
