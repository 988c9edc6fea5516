// SPDX-License-Identifier: Apache-2.0
// One mapping of a guest address space (struct vm_area_struct): what the guest asked for. The pages
// themselves are the host kernel's business.
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type { Mappable, OpenFile } from '../vfs/open-file.ts';
import { isSamePolicy, type MemoryPolicy } from './memory-policy.ts';
import type { Range } from './range-map.ts';

/** All the rights that a mapping may have. */
export const FULL_PROT = PROT_READ | PROT_WRITE | PROT_EXEC;

export const VMA_SHARED = 1 << 0;
/** MAP_GROWSDOWN, and the main stack. */
export const VMA_GROWSDOWN = 1 << 1;
export const VMA_NORESERVE = 1 << 2;
export const VMA_LOCKED = 1 << 3;
export const VMA_LOCKONFAULT = 1 << 4;
export const VMA_DONTFORK = 1 << 5;
export const VMA_WIPEONFORK = 1 << 6;
export const VMA_DONTDUMP = 1 << 7;
export const VMA_HUGEPAGE = 1 << 8;
export const VMA_NOHUGEPAGE = 1 << 9;
export const VMA_SEQUENTIAL = 1 << 10;
export const VMA_RANDOM = 1 << 11;
/** [vdso] and [vvar]: never grown by mremap, never merged. */
export const VMA_SPECIAL = 1 << 12;
export const VMA_MERGEABLE = 1 << 13;
/** A mapping of a sealed file that could write but for its seals still counts as one (F_SEAL_WRITE). */
export const VMA_COUNTS_AS_WRITER = 1 << 14;
/** The main stack: its whole place is mapped at exec, but Linux would count only what it grew to. */
export const VMA_STACK = 1 << 15;

/** Linux leaves this much free below a mapping that grows down (stack_guard_gap). */
export const STACK_GUARD_BYTES = 256 * PAGE_SIZE;

/**
 * The object whose bytes a mapping shows, if they are not zeroes of its own. All VMAs that one mmap
 * became share it.
 */
export interface Backing {
  readonly mappable: Mappable;
  /** undefined for shared anonymous memory, SysV segments and the vDSO. */
  readonly file: OpenFile | undefined;
  /**
   * The name in /proc/PID/maps where there is no file path: '/dev/zero (deleted)', '/SYSV00000000
   * (deleted)'.
   */
  readonly label: string;
}

export class Vma implements Range {
  start: number;
  end: number;
  /** PROT_READ | PROT_WRITE | PROT_EXEC in force. */
  prot: number;
  /** The protection to which mprotect may raise `prot` (VM_MAYREAD and so on). */
  readonly maxProt: number;
  /** VMA_*. */
  flags: number;
  readonly backing: Backing | undefined;
  /** Offset in the backing of `start`, in bytes. */
  offset: number;
  /**
   * '[vdso]', '[vvar]', '[anon:...]', or '' (then /proc/PID/maps names it by its backing, [heap] or
   * [stack]).
   */
  name: string;
  /** The policy that mbind(2) gave this range; undefined: the task's own policy holds. */
  policy: MemoryPolicy | undefined = undefined;

  constructor(
    start: number,
    end: number,
    prot: number,
    maxProt: number,
    flags: number,
    backing: Backing | undefined,
    offset: number,
    name = '',
  ) {
    this.start = start;
    this.end = end;
    this.prot = prot;
    this.maxProt = maxProt;
    this.flags = flags;
    this.backing = backing;
    this.offset = offset;
    this.name = name;
  }

  get bytes(): number {
    return this.end - this.start;
  }

  get guardBytes(): number {
    return (this.flags & VMA_GROWSDOWN) !== 0 ? STACK_GUARD_BYTES : 0;
  }

  get isShared(): boolean {
    return (this.flags & VMA_SHARED) !== 0;
  }

  get isLocked(): boolean {
    return (this.flags & VMA_LOCKED) !== 0;
  }

  /** Private memory of zeroes: the only kind that RLIMIT_DATA, WIPEONFORK and MADV_FREE know. */
  get isAnonymous(): boolean {
    return this.backing === undefined;
  }

  /** The part [start, end) of it as a mapping of its own. Holds no reference yet: see `hold`. */
  slice(start: number, end: number): Vma {
    const offset = this.backing === undefined ? 0 : this.offset + (start - this.start);
    return this.#likeThis(start, end, offset);
  }

  /** The same memory `delta` bytes further up. Holds no reference yet. */
  moved(newStart: number, newEnd: number): Vma {
    return this.#likeThis(newStart, newEnd, this.offset);
  }

  #likeThis(start: number, end: number, offset: number): Vma {
    const { prot, maxProt, flags, backing, name } = this;
    const vma = new Vma(start, end, prot, maxProt, flags, backing, offset, name);
    vma.policy = this.policy;
    return vma;
  }

  /** True when `next`, which starts where this ends, can be one mapping with it. */
  continuesIn(next: Vma): boolean {
    if (this.end !== next.start || this.prot !== next.prot || this.flags !== next.flags)
      return false;
    if (this.maxProt !== next.maxProt || this.name !== next.name) return false;
    if (!isSamePolicy(this.policy, next.policy)) return false;
    if ((this.flags & VMA_SPECIAL) !== 0) return false;
    const [mine, theirs] = [this.backing, next.backing];
    if (mine === undefined || theirs === undefined) return mine === theirs;
    if (mine.mappable !== theirs.mappable || mine.file !== theirs.file) return false;
    return this.offset + this.bytes === next.offset;
  }

  /** Takes the references of one more mapping. */
  hold(): void {
    const { backing } = this;
    if (backing === undefined) return;
    backing.mappable.acquire();
    backing.file?.acquire();
    if ((this.flags & VMA_COUNTS_AS_WRITER) !== 0) backing.mappable.writerMapped?.();
  }

  /** Gives them back: the mapping is gone. */
  drop(): void {
    const { backing } = this;
    if (backing === undefined) return;
    if ((this.flags & VMA_COUNTS_AS_WRITER) !== 0) backing.mappable.writerUnmapped?.();
    backing.mappable.release();
    backing.file?.release();
  }
}
