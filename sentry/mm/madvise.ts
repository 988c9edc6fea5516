// SPDX-License-Identifier: Apache-2.0
// madvise(2): mm/madvise.c. What changes contents or speed is passed to the host; what only changes
// fork and core dumps is a flag of the VMA; mere hints are checked and dropped.
import { EACCES, EINVAL, ENOMEM, EOPNOTSUPP, isErrno, type SysResult } from '../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/fcntl.ts';
import * as mman from '../../abi/mman.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, KILLABLE_PAUSE } from '../base/wait.ts';
import type { MemoryCaller, MemoryManager } from './memory-manager.ts';
import { isPageAligned, wrappedPageCeil } from './page.ts';
import type { Vma } from './vma.ts';
import * as flag from './vma.ts';

/** The effect of one advice on the part of a VMA that it covers. */
type Effect =
  /** Checked and dropped. */
  | { readonly kind: 'hint'; readonly allowed: (vma: Vma) => boolean }
  | {
      readonly kind: 'flags';
      readonly set: number;
      readonly clear: number;
      readonly allowed: (vma: Vma) => boolean;
    }
  /** Passed to the host. */
  | { readonly kind: 'host'; readonly allowed: (vma: Vma) => boolean }
  | { readonly kind: 'remove' };

const always = (_vma: Vma): boolean => true;
const notSpecial = (vma: Vma): boolean => (vma.flags & flag.VMA_SPECIAL) === 0;
const notPinned = (vma: Vma): boolean => notSpecial(vma) && !vma.isLocked;
const has = (vma: Vma, prot: number): boolean => (vma.prot & prot) !== 0;
const hint = (allowed: (vma: Vma) => boolean): Effect => ({ kind: 'hint', allowed });
const flags = (set: number, clear: number, allowed = always): Effect => ({
  kind: 'flags',
  set,
  clear,
  allowed,
});
const host = (allowed: (vma: Vma) => boolean): Effect => ({ kind: 'host', allowed });

const effects = new Map<number, Effect>([
  [mman.MADV_NORMAL, flags(0, flag.VMA_RANDOM | flag.VMA_SEQUENTIAL)],
  [mman.MADV_RANDOM, flags(flag.VMA_RANDOM, flag.VMA_SEQUENTIAL)],
  [mman.MADV_SEQUENTIAL, flags(flag.VMA_SEQUENTIAL, flag.VMA_RANDOM)],
  [mman.MADV_WILLNEED, hint(always)],
  [mman.MADV_COLD, hint(notPinned)],
  [mman.MADV_PAGEOUT, hint(notPinned)],
  [mman.MADV_DONTNEED, host(notPinned)],
  [mman.MADV_DONTNEED_LOCKED, host(notSpecial)],
  [mman.MADV_FREE, host((vma) => vma.isAnonymous && !vma.isLocked)],
  [mman.MADV_POPULATE_READ, host((vma) => has(vma, mman.PROT_READ))],
  [mman.MADV_POPULATE_WRITE, host((vma) => has(vma, mman.PROT_WRITE))],
  [mman.MADV_REMOVE, { kind: 'remove' }],
  [mman.MADV_DONTFORK, flags(flag.VMA_DONTFORK, 0)],
  [mman.MADV_DOFORK, flags(0, flag.VMA_DONTFORK, notSpecial)],
  [mman.MADV_WIPEONFORK, flags(flag.VMA_WIPEONFORK, 0, (vma) => vma.isAnonymous && !vma.isShared)],
  [mman.MADV_KEEPONFORK, flags(0, flag.VMA_WIPEONFORK)],
  [mman.MADV_DONTDUMP, flags(flag.VMA_DONTDUMP, 0)],
  [mman.MADV_DODUMP, flags(0, flag.VMA_DONTDUMP, notSpecial)],
  [mman.MADV_MERGEABLE, flags(flag.VMA_MERGEABLE, 0)],
  [mman.MADV_UNMERGEABLE, flags(0, flag.VMA_MERGEABLE)],
  [mman.MADV_HUGEPAGE, flags(flag.VMA_HUGEPAGE, flag.VMA_NOHUGEPAGE, notSpecial)],
  [mman.MADV_NOHUGEPAGE, flags(flag.VMA_NOHUGEPAGE, flag.VMA_HUGEPAGE)],
]);

/** Advice of these kinds is a flag here and the host's business too. */
const alsoHost = new Set([mman.MADV_HUGEPAGE, mman.MADV_NOHUGEPAGE]);

/** Runs of adjoining mappings after which the time is looked at. */
const RUNS_PER_LOOK = 64;
/** Mappings that are advised at once. */
const RUN_LIMIT = 2048;

/** The advice for [addr, addr + length). It pauses where there are very many mappings. */
export function* adviseMemory(
  mm: MemoryManager,
  caller: MemoryCaller,
  clock: { monotonicNs(): number },
  { addr, length, advice }: { addr: number; length: number; advice: number },
): Blocking<SysResult> {
  mm.begin(caller);
  const effect = effects.get(advice);
  if (effect === undefined || !isPageAligned(addr)) return EINVAL;
  const size = wrappedPageCeil(length);
  const end = addr + size;
  if ((size === 0 && length !== 0) || end >= 2 ** 64) return EINVAL;
  if (end === addr) return 0;
  // Holes are skipped and answered with ENOMEM at the end; a VMA that may not be advised ends it at once.
  let result: SysResult = 0;
  let at = addr;
  for (let runs = 1; at < end; runs += 1) {
    const first = mm.map.vmas.firstEndingAfter(at);
    if (first === undefined || first.start >= end) return ENOMEM;
    if (first.start > at) {
      result = ENOMEM;
      at = first.start;
    }
    const { reached, error } = findRun(mm, at, end, effect);
    const failed = reached > at ? apply(mm, caller, at, reached, advice, effect) : error;
    if (isErrno(failed) || isErrno(error)) return isErrno(failed) ? failed : error;
    at = reached;
    const mayBeLong = mm.map.vmas.size > RUN_LIMIT || runs % RUNS_PER_LOOK === 0;
    if (mayBeLong && isPieceOver(clock)) yield KILLABLE_PAUSE;
  }
  return result;
}

/**
 * How far adjoining mappings may all have the advice, and what the next one answers if that is why
 * it ends.
 */
function findRun(
  mm: MemoryManager,
  start: number,
  end: number,
  effect: Effect,
): { readonly reached: number; readonly error: SysResult } {
  let reached = start;
  for (let count = 0; reached < end && count < RUN_LIMIT; count += 1) {
    const vma = mm.map.vmas.find(reached);
    if (vma === undefined) break;
    if (effect.kind !== 'remove' && !effect.allowed(vma)) return { reached, error: EINVAL };
    reached = Math.min(vma.end, end);
    if (effect.kind === 'remove') break;
  }
  return { reached, error: 0 };
}

function apply(
  mm: MemoryManager,
  caller: MemoryCaller,
  start: number,
  end: number,
  advice: number,
  effect: Effect,
): SysResult {
  if (effect.kind === 'hint') return 0;
  if (effect.kind === 'remove') return punchHole(mm.vmaAt(start), start, end);
  if (effect.kind === 'host' || alsoHost.has(advice))
    mm.map.queue({ kind: 'advise', addr: start, length: end - start, advice }, caller.thread);
  if (effect.kind === 'flags')
    mm.map.change(start, end, (part) => {
      part.flags = (part.flags & ~effect.clear) | effect.set;
    });
  return 0;
}

/** MADV_REMOVE: frees the pages of the object itself, for everybody. */
function punchHole(vma: Vma | undefined, start: number, end: number): SysResult {
  if (vma === undefined || vma.isLocked || vma.backing === undefined) return EINVAL;
  if (!vma.isShared || (vma.maxProt & mman.PROT_WRITE) === 0) return EACCES;
  const { file, mappable } = vma.backing;
  const offset = vma.offset + (start - vma.start);
  if (file !== undefined)
    return file.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, end - start);
  return mappable.punch?.(offset, end - start) ?? EOPNOTSUPP;
}
