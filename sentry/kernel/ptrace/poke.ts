// SPDX-License-Identifier: Apache-2.0
// Writes to a tracee's memory that its own mappings forbid: breakpoints in program text. Private
// pages become the process's own copies, as FOLL_FORCE makes them in Linux.
import { EIO, isErrno, type SysResult } from '../../../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Blocking } from '../../base/wait.ts';
import type { Task } from '../task.ts';
import { flush } from './fp-state.ts';

/** Writes `bytes`, which lie in one page, at `addr` of a stopped tracee. */
export function* poke(tracee: Task, addr: number, bytes: Uint8Array): Blocking<SysResult> {
  if (!isErrno(tracee.memory.write(addr, bytes))) return 0;
  if (!openPage(tracee, addr)) return EIO;
  const opened = yield* flush(tracee);
  if (isErrno(opened) || tracee.isDead) return EIO;
  return isErrno(closePage(tracee, addr, () => tracee.memory.write(addr, bytes))) ? EIO : 0;
}

/** Queues that the host process may write the page of `addr`. False: there is none to be written. */
function openPage(tracee: Task, addr: number): boolean {
  const vma = tracee.mm.vmaAt(addr);
  if (vma === undefined || vma.isShared) return false;
  protect(tracee, addr, vma.prot | PROT_READ | PROT_WRITE);
  return true;
}

/** Runs `write`, and queues that the page is as the guest has it again: before the tracee runs. */
function closePage(tracee: Task, addr: number, write: () => SysResult): SysResult {
  const written = write();
  const vma = tracee.mm.vmaAt(addr);
  if (vma !== undefined) protect(tracee, addr, vma.prot);
  return written;
}

function protect(tracee: Task, addr: number, prot: number): void {
  const page = addr - (addr % PAGE_SIZE);
  const operation = { kind: 'protect', addr: page, length: PAGE_SIZE, prot } as const;
  tracee.mm.space.queueOperation(operation, tracee.thread);
}
