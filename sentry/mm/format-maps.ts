// SPDX-License-Identifier: Apache-2.0
// /proc/PID/maps (proc_pid_maps(5)), and the same lines as values for smaps and numa_maps.
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { deviceMajor, deviceMinor } from '../../abi/stat.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { MemoryManager } from './memory-manager.ts';
import { pageFloor } from './page.ts';
import { VMA_SPECIAL, VMA_STACK, type Vma } from './vma.ts';

/** Where the name starts. */
const NAME_COLUMN = 73;
/** How much Linux has mapped below a new program's stack pointer. */
const STACK_SHOWN_BYTES = 0x20000;

export interface MappingDescription {
  readonly vma: Vma;
  /** The range in the form that is shown: of the main stack only the part in use. */
  readonly start: number;
  readonly end: number;
  readonly dev: number;
  readonly ino: number;
  readonly name: string;
}

/**
 * The mappings in order. `nameOf`: the path of a mapped file as the reader sees it. Mappings may
 * change between two of them: each is the first behind the one before, as in Linux.
 */
export function* describeMappings(
  mm: MemoryManager,
  nameOf: (file: OpenFile) => string,
): IterableIterator<MappingDescription> {
  let vma = mm.map.vmas.firstEndingAfter(0);
  while (vma !== undefined) {
    const start = shownStart(mm, vma);
    const { end } = vma;
    if (start < end) {
      const mappable = vma.backing?.mappable;
      const isPlain = (vma.flags & VMA_SPECIAL) === 0 && mappable !== undefined;
      const { dev, ino } = isPlain ? mappable : { dev: 0, ino: 0 };
      yield { vma, start, end, dev, ino, name: nameOfMapping(mm, vma, nameOf) };
    }
    vma = mm.map.vmas.firstEndingAfter(end);
  }
}

/** The lines of /proc/PID/maps as byte strings. */
export function* formatMaps(
  mm: MemoryManager,
  nameOf: (file: OpenFile) => string,
): IterableIterator<string> {
  for (const mapping of describeMappings(mm, nameOf)) yield `${formatMapping(mapping)}\n`;
}

/** One line, without the newline. */
export function formatMapping({ vma, start, end, dev, ino, name }: MappingDescription): string {
  const offset = vma.backing === undefined || (vma.flags & VMA_SPECIAL) !== 0 ? 0 : vma.offset;
  const fields = `${hex(start, 8)}-${hex(end, 8)} ${rights(vma)} ${hex(offset, 8)} ${device(dev)} ${ino} `;
  return name === '' ? fields : fields.padEnd(NAME_COLUMN) + name.replaceAll('\n', '\\012');
}

function rights(vma: Vma): string {
  const r = (vma.prot & PROT_READ) !== 0 ? 'r' : '-';
  const w = (vma.prot & PROT_WRITE) !== 0 ? 'w' : '-';
  const x = (vma.prot & PROT_EXEC) !== 0 ? 'x' : '-';
  // [vvar] is one object for all processes, but Linux shows it as private.
  return r + w + x + (vma.isShared && (vma.flags & VMA_SPECIAL) === 0 ? 's' : 'p');
}

function nameOfMapping(mm: MemoryManager, vma: Vma, nameOf: (file: OpenFile) => string): string {
  if (vma.name !== '') return vma.name;
  const { backing } = vma;
  if (backing?.file !== undefined) return nameOf(backing.file);
  if (backing !== undefined) return backing.label;
  const { image } = mm;
  if (vma.start < mm.programBreak.end && vma.end > image.startBrk) return '[heap]';
  return vma.start <= image.startStack && vma.end > image.startStack ? '[stack]' : '';
}

/**
 * The main stack's whole place is mapped from the start, where Linux would let it grow: what lies far
 * below the first stack pointer is not shown (the end: nothing of it is).
 */
function shownStart(mm: MemoryManager, vma: Vma): number {
  if ((vma.flags & VMA_STACK) === 0) return vma.start;
  const { startStack } = mm.image;
  return Math.min(Math.max(vma.start, pageFloor(startStack) - STACK_SHOWN_BYTES), vma.end);
}

/** The main stack's bytes as shown: to be added to `map.totalBytes` for VmSize. */
export function shownStackBytes(mm: MemoryManager): number {
  const vma = mm.vmaAt(mm.image.startStack);
  return vma === undefined || (vma.flags & VMA_STACK) === 0 ? 0 : vma.end - shownStart(mm, vma);
}

function device(dev: number): string {
  return `${hex(deviceMajor(dev), 2)}:${hex(deviceMinor(dev), 2)}`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
