// SPDX-License-Identifier: Apache-2.0
// Maps the segments of one ELF file (elf_load, load_elf_interp in fs/binfmt_elf.c).

import { ENOMEM, EPERM, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type { MemoryCaller, MemoryManager } from '../mm/memory-manager.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';
import { choosePlace, MMAP_MIN_ADDR } from '../mm/placement.ts';
import type { Backing } from '../mm/vma.ts';
import { FULL_PROT } from '../mm/vma.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { ElfImage, Segment } from './elf.ts';

/** Bytes between a segment's file contents and the end of their last page: to be zeroed. */
export interface Tail {
  readonly addr: number;
  readonly length: number;
  readonly writable: boolean;
}

export interface LoadedSegments {
  /** Added to every linked address. */
  readonly bias: number;
  readonly entry: number;
  /** Page-aligned end of the last segment. */
  readonly end: number;
  readonly startCode: number;
  readonly endCode: number;
  readonly startData: number;
  readonly endData: number;
  readonly tails: readonly Tail[];
}

/** `wantedBase`: where a relocatable image should start; undefined: wherever there is room. */
export function mapSegments(
  mm: MemoryManager,
  caller: MemoryCaller,
  file: OpenFile,
  elf: ElfImage,
  wantedBase: number | undefined,
): Result<LoadedSegments> {
  const mappable = file.mappable();
  if (isErrno(mappable)) return mappable;
  const bias = chooseBias(mm, caller, elf, wantedBase);
  if (isErrno(bias)) return bias;
  const backing: Backing = { mappable, file, label: '' };
  const tails: Tail[] = [];
  for (const segment of elf.segments) {
    const error = mapSegment(mm, caller, segment, bias.value, backing, tails);
    if (isErrno(error)) return error;
  }
  return {
    bias: bias.value,
    entry: elf.entry + bias.value,
    end: elf.high + bias.value,
    ...extents(elf, bias.value),
    tails,
  };
}

function chooseBias(
  mm: MemoryManager,
  caller: MemoryCaller,
  elf: ElfImage,
  wantedBase: number | undefined,
): Result<{ value: number }> {
  const { guestTop } = mm.bounds;
  if (!elf.relocatable) {
    if (elf.low < MMAP_MIN_ADDR) return EPERM;
    return mm.map.vmas.overlaps(elf.low, elf.high) ? ENOMEM : { value: 0 };
  }
  const length = elf.high - elf.low;
  if (wantedBase !== undefined) {
    const base = wantedBase - (wantedBase % elf.alignment);
    if (
      base >= MMAP_MIN_ADDR &&
      base + length <= guestTop &&
      !mm.map.vmas.overlaps(base, base + length)
    ) {
      return { value: base - elf.low };
    }
  }
  const padding = elf.alignment > PAGE_SIZE ? elf.alignment : 0;
  const request = { addr: 0, length: length + padding, flags: 0, hugePages: false };
  const place = choosePlace(mm.map, mm.bounds, request, caller.thread);
  if (isErrno(place)) return place;
  return { value: Math.ceil(place / elf.alignment) * elf.alignment - elf.low };
}

function mapSegment(
  mm: MemoryManager,
  caller: MemoryCaller,
  segment: Segment,
  bias: number,
  backing: Backing,
  tails: Tail[],
): SysResult {
  const { vaddr, fileOffset, fileBytes, memoryBytes, prot } = segment;
  const addr = vaddr + bias;
  const start = pageFloor(addr);
  const fileEnd = fileBytes === 0 ? start : pageCeil(addr + fileBytes);
  const end = pageCeil(addr + memoryBytes);
  const common = { prot, maxProt: FULL_PROT, flags: 0, populate: false };
  // A segment that starts in the last page of the one before takes the whole page.
  const last = tails.at(-1);
  if (last !== undefined && last.addr >= start) tails.pop();
  if (fileEnd > start) {
    const offset = pageFloor(fileOffset);
    const error = mm.install(caller, {
      ...common,
      start,
      length: fileEnd - start,
      backing,
      offset,
    });
    if (isErrno(error)) return error;
    const dataEnd = addr + fileBytes;
    if (memoryBytes > fileBytes && fileEnd > dataEnd) {
      tails.push({ addr: dataEnd, length: fileEnd - dataEnd, writable: (prot & PROT_WRITE) !== 0 });
    }
  }
  if (end <= fileEnd) return 0;
  return mm.install(caller, {
    ...common,
    start: fileEnd,
    length: end - fileEnd,
    backing: undefined,
    offset: 0,
  });
}

type Extents = Pick<LoadedSegments, 'startCode' | 'endCode' | 'startData' | 'endData'>;

/** Returns the addresses of code and data, without bss, that Linux keeps for /proc/PID/stat. */
function extents(elf: ElfImage, bias: number): Extents {
  let startCode = Number.POSITIVE_INFINITY;
  let endCode = 0;
  let startData = 0;
  let endData = 0;
  for (const { vaddr, fileBytes, prot } of elf.segments) {
    const fileEnd = vaddr + fileBytes;
    if ((prot & PROT_EXEC) !== 0) {
      startCode = Math.min(startCode, vaddr);
      endCode = Math.max(endCode, fileEnd);
    }
    startData = Math.max(startData, vaddr);
    endData = Math.max(endData, fileEnd);
  }
  if (startCode === Number.POSITIVE_INFINITY) startCode = 0;
  return {
    startCode: startCode + bias,
    endCode: endCode + bias,
    startData: startData + bias,
    endData: endData + bias,
  };
}
