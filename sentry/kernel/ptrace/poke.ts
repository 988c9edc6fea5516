// SPDX-License-Identifier: Apache-2.0
// Writes to a tracee's memory that its own mappings forbid: breakpoints in program text. Private
// pages become the process's own copies, as FOLL_FORCE makes them in Linux.
import { EIO, isErrno, type SysResult } from '../../../abi/errno.ts';
import { PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Blocking } from '../../base/wait.ts';
import type { Task } from '../task.ts';
import { flush } from './fp-state.ts';

/** Writes `bytes`, which lie in one page, at `addr` of a stopped tracee. Returns 0 or EIO. */
export function* poke(tracee: Task, addr: number, bytes: Uint8Array): Blocking<SysResult> {
  if (!isErrno(tracee.memory.write(addr, bytes))) return 0;
  const page = openPage(tracee, addr);
  if (page === undefined) return EIO;
  const opened = yield* flush(tracee);
  if (isErrno(opened) || tracee.isDead) return EIO;
  const written = tracee.memory.write(addr, bytes);
  page.close();
  return isErrno(written) ? EIO : 0;
}

/** A page that the host process may write until `close`, which takes effect before the tracee runs. */
export interface OpenedPage {
  readonly start: number;
  close(): void;
}

/**
 * Queues that the host process may write the page of `addr`. Undefined where there is none that is
 * to be written: shared pages are what their file's permissions say.
 */
export function openPage(tracee: Task, addr: number): OpenedPage | undefined {
  const vma = tracee.mm.vmaAt(addr);
  if (vma === undefined || vma.isShared) return undefined;
  const start = addr - (addr % PAGE_SIZE);
  protect(tracee, start, vma.prot | PROT_READ | PROT_WRITE);
  return {
    start,
    close: () => {
      const now = tracee.mm.vmaAt(addr);
      if (now !== undefined && !tracee.isDead) protect(tracee, start, now.prot);
    },
  };
}

function protect(tracee: Task, addr: number, prot: number): void {
  const operation = { kind: 'protect', addr, length: PAGE_SIZE, prot } as const;
  tracee.mm.space.queueOperation(operation, tracee.thread);
}
