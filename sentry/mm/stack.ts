// SPDX-License-Identifier: Apache-2.0
// Stacks that grow down by page faults: expand_stack of Linux's mm/mmap.c.
import { PROT_NONE } from '../../abi/mman.ts';
import { RLIMIT_STACK } from '../../abi/resource.ts';
import type { MemoryCaller, MemoryManager } from './memory-manager.ts';
import { pageCeil, pageFloor } from './page.ts';
import { STACK_GUARD_BYTES, VMA_GROWSDOWN, VMA_STACK } from './vma.ts';

/** The main stack grows by this much at a time past what exec set aside. */
const STACK_STEP_BYTES = 1024 * 1024;

/** True where `addr` lies below a stack that could grow down to it, and has. */
export function growStack(mm: MemoryManager, caller: MemoryCaller, addr: number): boolean {
  const vma = mm.map.vmas.firstEndingAfter(addr);
  if (vma === undefined || vma.start <= addr || (vma.flags & VMA_GROWSDOWN) === 0) return false;
  const limit = caller.group.limits.soft(RLIMIT_STACK);
  if (vma.end - pageFloor(addr) > limit) return false;
  const below = mm.map.vmas.lastEndingBy(vma.start);
  const accessible =
    below !== undefined && below.prot !== PROT_NONE && (below.flags & VMA_GROWSDOWN) === 0;
  const floor = below === undefined ? 0 : below.end + (accessible ? STACK_GUARD_BYTES : 0);
  if (pageFloor(addr) < floor) return false;
  const step = (vma.flags & VMA_STACK) !== 0 ? STACK_STEP_BYTES : 0;
  const start = Math.max(
    pageFloor(addr - step),
    pageCeil(vma.end - Math.min(limit, vma.end)),
    floor,
  );
  const { prot, maxProt, flags } = vma;
  const length = vma.start - start;
  const mapping = {
    start,
    length,
    prot,
    maxProt,
    flags,
    backing: undefined,
    offset: 0,
    populate: false,
  };
  return mm.install(caller, mapping) === 0;
}
