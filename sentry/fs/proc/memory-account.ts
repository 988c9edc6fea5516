// SPDX-License-Identifier: Apache-2.0
// How much memory of which kind a process has mapped: the numbers behind statm, status and smaps.

import { PROT_EXEC, PROT_NONE, PROT_WRITE } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { shownStackBytes } from '../../mm/format-maps.ts';
import type { MemoryManager } from '../../mm/memory-manager.ts';
import { VMA_STACK } from '../../mm/vma.ts';

export interface MemoryAccount {
  readonly totalBytes: number;
  readonly peakBytes: number;
  readonly lockedBytes: number;
  readonly residentBytes: number;
  /** Resident bytes of files; an estimate. */
  readonly sharedBytes: number;
  readonly dataBytes: number;
  readonly stackBytes: number;
  /** Executable mappings of the program, and of libraries. */
  readonly textBytes: number;
  readonly libraryBytes: number;
  readonly pageTableBytes: number;
}

export const noMemory: MemoryAccount = {
  totalBytes: 0,
  peakBytes: 0,
  lockedBytes: 0,
  residentBytes: 0,
  sharedBytes: 0,
  dataBytes: 0,
  stackBytes: 0,
  textBytes: 0,
  libraryBytes: 0,
  pageTableBytes: 0,
};

/**
 * The host counts what is resident as one sum; which of it is files' is not known and is estimated
 * by what is mapped.
 */
export function accountMemory(mm: MemoryManager): MemoryAccount {
  const { map, image } = mm;
  let textBytes = 0;
  let libraryBytes = 0;
  let fileBytes = 0;
  let accessibleBytes = 0;
  for (const vma of map.vmas) {
    if (vma.prot !== PROT_NONE && (vma.flags & VMA_STACK) === 0) accessibleBytes += vma.bytes;
    if (vma.backing?.file !== undefined && (vma.prot & PROT_WRITE) === 0) fileBytes += vma.bytes;
    if ((vma.prot & PROT_EXEC) === 0 || vma.backing?.file === undefined) continue;
    if (vma.start < image.endCode && vma.end > image.startCode) textBytes += vma.bytes;
    else libraryBytes += vma.bytes;
  }
  const stackBytes = shownStackBytes(mm);
  const totalBytes = map.totalBytes + stackBytes;
  const residentBytes = Math.min(mm.space.usage().residentBytes, accessibleBytes + stackBytes);
  return {
    totalBytes,
    peakBytes: Math.max(mm.peakBytes + stackBytes, totalBytes),
    lockedBytes: map.lockedBytes,
    residentBytes,
    sharedBytes: Math.min(fileBytes, Math.floor(residentBytes / 2)),
    dataBytes: map.dataBytes,
    stackBytes,
    textBytes,
    libraryBytes,
    pageTableBytes: Math.ceil(residentBytes / 512 / PAGE_SIZE) * PAGE_SIZE + 4 * PAGE_SIZE,
  };
}
