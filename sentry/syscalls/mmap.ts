// SPDX-License-Identifier: Apache-2.0
// mmap(2), munmap(2), mprotect(2), pkeys(7), mremap(2), brk(2), madvise(2), mincore(2), msync(2), mlock(2)
// and its family, remap_file_pages(2).

import {
  EBADF,
  EBUSY,
  EFAULT,
  EINVAL,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { O_PATH } from '../../abi/fcntl.ts';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NONBLOCK,
  MAP_POPULATE,
  MAP_SHARED,
  MLOCK_ONFAULT,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
  PKEY_DISABLE_ACCESS,
  PKEY_DISABLE_WRITE,
} from '../../abi/mman.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { moveBreak } from '../mm/brk.ts';
import { lockAll, lockMemory, unlockAll, unlockMemory } from '../mm/lock.ts';
import { adviseMemory } from '../mm/madvise.ts';
import { remapMemory } from '../mm/mremap.ts';
import { isPageAligned, pageCeil, wrappedPageCeil } from '../mm/page.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { absent, direct, type Row, sleeps } from './entry.ts';

const allResident = new Uint8Array(65_536).fill(1);
/** From here on mincore(2) lets others run in between. */
const LONG_PAGES = 1_048_576;

function sysMmap(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(3);
  const offset = args.u64(5);
  // The low half alone: an offset past 2^53 keeps its page alignment there.
  if (args.u32(5) % PAGE_SIZE !== 0) return EINVAL;
  if ((flags & MAP_ANONYMOUS) !== 0) {
    return task.mm.mmap(task, args.addr(0), args.len(1), args.u32(2), flags, undefined, 0);
  }
  const file = task.files.get(args.i32(4));
  if (isErrno(file)) return file;
  if ((file.flags & O_PATH) !== 0) return EBADF;
  return task.mm.mmap(task, args.addr(0), args.len(1), args.u32(2), flags, file, offset);
}

function sysMprotect(task: Task, args: SyscallArgs): MaybeBlocking {
  return task.mm.mprotect(task, args.addr(0), args.len(1), args.u32(2));
}

function sysMunmap(task: Task, args: SyscallArgs): MaybeBlocking {
  return task.mm.munmap(task, args.addr(0), args.len(1));
}

function sysBrk(task: Task, args: SyscallArgs): SysResult {
  return moveBreak(task.mm, task, args.addr(0));
}

function sysMremap(task: Task, args: SyscallArgs): SysResult {
  return remapMemory(
    task.mm,
    task,
    args.addr(0),
    args.len(1),
    args.len(2),
    args.u32(3),
    args.addr(4),
  );
}

/** Without protection keys in the hardware there is only key -1: "none". */
function sysPkeyMprotect(task: Task, args: SyscallArgs): MaybeBlocking {
  if (args.i32(3) !== -1) return EINVAL;
  return sysMprotect(task, args);
}

function sysPkeyAlloc(_task: Task, args: SyscallArgs): SysResult {
  if (args.u32(0) !== 0 || args.high(0) !== 0) return EINVAL;
  const rights = args.u32(1) & ~(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE);
  return rights !== 0 || args.high(1) !== 0 ? EINVAL : ENOSPC;
}

function sysPkeyFree(_task: Task, _args: SyscallArgs): SysResult {
  return EINVAL;
}

function sysMadvise(task: Task, args: SyscallArgs): MaybeBlocking {
  const wish = { addr: args.addr(0), length: args.len(1), advice: args.i32(2) };
  return begin(adviseMemory(task.mm, task, task.kernel.clock, wish));
}

function sysMincore(task: Task, args: SyscallArgs): MaybeBlocking {
  const addr = args.addr(0);
  const length = args.len(1);
  if (!isPageAligned(addr)) return EINVAL;
  if (addr + length > task.mm.bounds.guestTop) return ENOMEM;
  if (length === 0) return 0;
  const end = addr + pageCeil(length);
  if (end > task.mm.bounds.guestTop || !task.mm.map.isMapped(addr, end)) return ENOMEM;
  const pages = (end - addr) / PAGE_SIZE;
  return begin(writeResidency(task, args.addr(2), pages));
}

/** The answer of mincore(2) for `pages` pages. */
function* writeResidency(task: Task, vector: number, pages: number): Blocking<SysResult> {
  if (pages > LONG_PAGES) yield KILLABLE_PAUSE;
  for (let page = 0; page < pages; page += allResident.length) {
    const count = Math.min(allResident.length, pages - page);
    const piece = count === allResident.length ? allResident : allResident.subarray(0, count);
    if (isErrno(task.memory.write(vector + page, piece))) return EFAULT;
    if (pages > LONG_PAGES && isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
  }
  return 0;
}

function sysMsync(task: Task, args: SyscallArgs): MaybeBlocking {
  const addr = args.addr(0);
  const flags = args.u32(2);
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || !isPageAligned(addr)) return EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return EINVAL;
  const end = addr + wrappedPageCeil(args.len(1));
  if (end === addr) return 0;
  if (end >= 2 ** 64) return ENOMEM;
  const files = new Set<OpenFile>();
  for (const vma of task.mm.map.vmas.overlapping(addr, end)) {
    if ((flags & MS_INVALIDATE) !== 0 && vma.isLocked) return EBUSY;
    const file = vma.isShared && (flags & MS_SYNC) !== 0 ? vma.backing?.file : undefined;
    if (file !== undefined) files.add(file);
  }
  const result = task.mm.map.isMapped(addr, end) ? 0 : ENOMEM;
  return files.size === 0 ? result : begin(syncAll(files, result));
}

/** Syncs mapped files one after the other; who unmaps them meanwhile closes none of them. */
function* syncAll(files: ReadonlySet<OpenFile>, result: SysResult): Blocking<SysResult> {
  for (const file of files) file.acquire();
  try {
    for (const file of files) {
      const sync = file.sync();
      const synced = typeof sync === 'number' ? sync : yield* sync;
      if (isErrno(synced) && synced !== EINVAL) return synced;
    }
    return result;
  } finally {
    for (const file of files) file.release();
  }
}

function sysMlock(task: Task, args: SyscallArgs): MaybeBlocking {
  return lockMemory(task.mm, task, args.addr(0), args.len(1), false);
}

function sysMlock2(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(2);
  if ((flags & ~MLOCK_ONFAULT) !== 0) return EINVAL;
  return lockMemory(task.mm, task, args.addr(0), args.len(1), flags !== 0);
}

function sysMunlock(task: Task, args: SyscallArgs): MaybeBlocking {
  return unlockMemory(task.mm, args.addr(0), args.len(1));
}

function sysMlockall(task: Task, args: SyscallArgs): MaybeBlocking {
  return lockAll(task.mm, task, args.u32(0));
}

function sysMunlockall(task: Task, _args: SyscallArgs): MaybeBlocking {
  return unlockAll(task.mm);
}

/**
 * Handles remap_file_pages as Linux emulates it: another mmap of the same file in place of a part
 * of a shared mapping.
 */
function sysRemapFilePages(task: Task, args: SyscallArgs): MaybeBlocking {
  const start = args.addr(0) - (args.addr(0) % PAGE_SIZE);
  const length = args.len(1) - (args.len(1) % PAGE_SIZE);
  const offset = args.u64(3) * PAGE_SIZE;
  if (args.u32(2) !== 0 || length === 0 || offset + length > Number.MAX_SAFE_INTEGER) return EINVAL;
  const vma = task.mm.vmaAt(start);
  const file = vma?.isShared === true ? vma.backing?.file : undefined;
  if (vma === undefined || file === undefined || start + length > vma.end) return EINVAL;
  const flags = (args.u32(4) & MAP_NONBLOCK) | MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  const mapped = task.mm.mmap(task, start, length, vma.prot, flags, file, offset);
  // It replaces a part of one mapping, so there is nothing to do in pieces.
  return typeof mapped === 'number' ? Math.min(mapped, 0) : mapped;
}

const residency = { partial: 'mapped pages are all said to be resident' };
const unlocked = { partial: 'limits are kept, but the host may still swap the pages out' };

export const mmapRows: readonly Row[] = [
  sleeps(9, 'mmap', ['addr', 'len', 'prot', 'mapFlags', 'fd', 'offset'], sysMmap),
  sleeps(10, 'mprotect', ['addr', 'len', 'prot'], sysMprotect),
  sleeps(11, 'munmap', ['addr', 'len'], sysMunmap),
  direct(12, 'brk', ['addr'], sysBrk),
  direct(25, 'mremap', ['addr', 'len', 'len', 'hex', 'addr'], sysMremap),
  sleeps(26, 'msync', ['addr', 'len', 'hex'], sysMsync),
  sleeps(27, 'mincore', ['addr', 'len', 'addr'], sysMincore, residency),
  sleeps(28, 'madvise', ['addr', 'len', 'madvise'], sysMadvise),
  sleeps(149, 'mlock', ['addr', 'len'], sysMlock, unlocked),
  sleeps(150, 'munlock', ['addr', 'len'], sysMunlock),
  sleeps(151, 'mlockall', ['hex'], sysMlockall, unlocked),
  sleeps(152, 'munlockall', [], sysMunlockall),
  sleeps(216, 'remap_file_pages', ['addr', 'len', 'prot', 'offset', 'mapFlags'], sysRemapFilePages),
  absent(323, 'userfaultfd', ['hex']),
  absent(324, 'membarrier', ['int', 'hex', 'int']),
  sleeps(325, 'mlock2', ['addr', 'len', 'hex'], sysMlock2, unlocked),
  sleeps(329, 'pkey_mprotect', ['addr', 'len', 'prot', 'int'], sysPkeyMprotect, {
    partial: 'no protection keys',
  }),
  direct(330, 'pkey_alloc', ['hex', 'hex'], sysPkeyAlloc, { partial: 'no protection keys' }),
  direct(331, 'pkey_free', ['int'], sysPkeyFree, { partial: 'no protection keys' }),
  absent(440, 'process_madvise', ['fd', 'iovec', 'len', 'madvise', 'hex'], ENOSYS),
  absent(453, 'map_shadow_stack', ['addr', 'len', 'hex']),
  absent(462, 'mseal', ['addr', 'len', 'hex']),
];
