// SPDX-License-Identifier: Apache-2.0
// Which system call instructions of an address space are worth rewriting, and may be. A site that
// has trapped often is patched by the stub (native/stub/patch.h): its next calls reach the stub by
// jumps, without a signal. Only code of files is patched, mapped privately and not writable: what
// lies elsewhere may be data, another process's or code that is still being written.
import { PROT_EXEC, PROT_WRITE } from '../../abi/mman.ts';
import {
  MOST_SITE_BYTES,
  TABLE_BYTES,
  TABLE_ENTRY_BYTES,
  TABLE_START,
} from '../../protocol/mailbox.ts';

/** Traps of a site before it is patched: a patch costs about as much as these. */
const TRAPS_BEFORE_PATCH = 16;
/** Sites that are counted, and ranges of code that are known, at most. */
const MOST_SITES = 4096;
const MOST_RANGES = 256;
const ENTRIES = TABLE_BYTES / TABLE_ENTRY_BYTES;
/**
 * Calls that are never patched: they need the signal frame, or never return. In order: rt_sigreturn,
 * clone, fork, vfork, execve, exit, exit_group, execveat, clone3.
 */
const NEVER: ReadonlySet<number> = new Set([15, 56, 57, 58, 59, 60, 231, 322, 435]);

interface CodeRange {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
}

/** A patch that a stub is to make. */
export interface SitePatch {
  /** The address after the call. */
  readonly after: number;
  readonly number: number;
  /** Protection of the code. */
  readonly prot: number;
  /** Address of the table's entry. */
  readonly entry: number;
  /** The table has to be made first. */
  readonly isFirst: boolean;
}

export class CallSites {
  #ranges: CodeRange[] = [];
  /** Traps by the address after the call, of sites that are not patched. */
  readonly #traps: Map<number, number> = new Map();
  #entries = 0;
  /** Something of the guest's lies where the table would be. */
  #isBlocked = false;

  /** Those of a forked child: its memory is a copy, table and patches included. */
  copy(): CallSites {
    const child = new CallSites();
    child.#ranges = [...this.#ranges];
    child.#entries = this.#entries;
    child.#isBlocked = this.#isBlocked;
    return child;
  }

  /** The table is there: nothing else may be mapped over it, and no unmapping may take it. */
  get hasTable(): boolean {
    return this.#entries > 0;
  }

  /** Takes note of a file that is mapped, privately or not. */
  fileMapped(addr: number, length: number, prot: number, isShared: boolean): void {
    this.replaced(addr, length);
    if (isShared || !isReadOnlyCode(prot) || this.#ranges.length >= MOST_RANGES) return;
    this.#ranges.push({ start: addr, end: addr + length, prot });
  }

  /** Takes note that something else is mapped here. */
  replaced(addr: number, length: number): void {
    if (!this.hasTable && overlapsTable(addr, length)) this.#isBlocked = true;
    this.removed(addr, length);
  }

  /** Takes note that what is here goes, or is moved elsewhere. */
  removed(addr: number, length: number): void {
    const end = addr + length;
    if (!this.#ranges.some((range) => range.start < end && range.end > addr)) return;
    this.#ranges = this.#ranges.flatMap((range) => {
      if (range.end <= addr || range.start >= end) return [range];
      const rest: CodeRange[] = [];
      if (range.start < addr) rest.push({ ...range, end: addr });
      if (range.end > end) rest.push({ ...range, start: end });
      return rest;
    });
  }

  /** Takes note of a protection: code that was writable for a while is left alone. */
  protectedAs(addr: number, length: number, prot: number): void {
    if (!isReadOnlyCode(prot)) this.removed(addr, length);
  }

  /**
   * Counts a trap of the call `number` before `after`. Returns true where the site should be
   * patched now.
   */
  trapped(after: number, number: number): boolean {
    const traps = (this.#traps.get(after) ?? 0) + 1;
    if (traps > TRAPS_BEFORE_PATCH || (traps === 1 && this.#traps.size >= MOST_SITES)) return false;
    this.#traps.set(after, traps);
    return traps === TRAPS_BEFORE_PATCH && !NEVER.has(number);
  }

  /** The patch of the site before `after`, or undefined where there is to be none. */
  patch(after: number, number: number): SitePatch | undefined {
    if (this.#isBlocked || this.#entries >= ENTRIES) return undefined;
    const first = after - MOST_SITE_BYTES;
    const range = this.#ranges.find((one) => one.start <= first && after <= one.end);
    if (range === undefined) return undefined;
    const entry = TABLE_START + this.#entries * TABLE_ENTRY_BYTES;
    this.#entries += 1;
    return { after, number, prot: range.prot, entry, isFirst: this.#entries === 1 };
  }
}

/** Whether [addr, addr + length) has something of the table's range. */
export function overlapsTable(addr: number, length: number): boolean {
  return addr < TABLE_START + TABLE_BYTES && addr + length > TABLE_START;
}

function isReadOnlyCode(prot: number): boolean {
  return (prot & (PROT_EXEC | PROT_WRITE)) === PROT_EXEC;
}
