// SPDX-License-Identifier: Apache-2.0
// System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
import { CAP_IPC_LOCK } from '../../abi/capability.ts';
import { EACCES, EINVAL, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import * as ipc from '../../abi/ipc.ts';
import { MAP_FIXED, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import { READ_PERMISSION, WRITE_PERMISSION } from '../kernel/ipc/ipc-objects.ts';
import { userOf } from '../kernel/ipc/leave.ts';
import { ShmSegment } from '../kernel/ipc/shm-segments.ts';
import type { Task } from '../kernel/task.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';
import { choosePlace } from '../mm/placement.ts';
import { withImpliedExec } from '../mm/read-implies-exec.ts';
import { VMA_SHARED, type Vma } from '../mm/vma.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';
import { callerOf, changeOwner, nowSec, pidSeen, setU64, writeStatus } from './ipc-status.ts';

const EXECUTE_PERMISSION = 0o111;
/** Ranges between two looks at the clock. */
const RANGES_AT_ONCE = 64;

function sysShmget(task: Task, args: SyscallArgs): SysResult {
  const segment = task.ipc.shm.getSegment({
    ...callerOf(task),
    key: args.i32(0),
    sizeBytes: args.len(1),
    flags: args.u32(2),
    maker: task,
  });
  return isErrno(segment) ? segment : segment.id;
}

function sysShmat(task: Task, args: SyscallArgs): SysResult {
  const flags = args.u32(2);
  const remap = (flags & ipc.SHM_REMAP) !== 0;
  const wanted = args.addr(1);
  const addr = pageFloor(wanted);
  if (wanted !== addr && (flags & ipc.SHM_RND) === 0) return EINVAL;
  if (addr === 0 && remap) return EINVAL;
  const segment = task.ipc.shm.find(args.i32(0));
  if (isErrno(segment)) return segment;
  const rights = attachRights(flags);
  if (!segment.permits(task.credentials, rights.permissions)) return EACCES;
  // An address that was only rounded down to 0 counts as none, as on Linux without SHM_REMAP.
  return attach(task, segment, addr, remap, rights);
}

interface Rights {
  readonly permissions: number;
  readonly prot: number;
  readonly maxProt: number;
}

function attachRights(flags: number): Rights {
  const readOnly = (flags & ipc.SHM_RDONLY) !== 0;
  const executable = (flags & ipc.SHM_EXEC) !== 0;
  return {
    permissions:
      READ_PERMISSION | (readOnly ? 0 : WRITE_PERMISSION) | (executable ? EXECUTE_PERMISSION : 0),
    prot: PROT_READ | (readOnly ? 0 : PROT_WRITE) | (executable ? PROT_EXEC : 0),
    maxProt: PROT_READ | PROT_EXEC | (readOnly ? 0 : PROT_WRITE),
  };
}

function attach(
  task: Task,
  segment: ShmSegment,
  addr: number,
  remap: boolean,
  rights: Rights,
): SysResult {
  const { mm } = task;
  const length = pageCeil(segment.sizeBytes);
  mm.begin(task);
  if (addr !== 0 && !remap && mm.map.vmas.overlaps(addr, addr + length)) return EINVAL;
  const request = { addr, length, flags: addr === 0 ? 0 : MAP_FIXED, hugePages: false };
  const start = choosePlace(mm.map, mm.bounds, request, task.thread);
  if (isErrno(start)) return start;
  const error = mm.install(task, {
    start,
    length,
    prot: withImpliedExec(task, rights.prot, rights.maxProt),
    maxProt: rights.maxProt,
    flags: VMA_SHARED,
    backing: { mappable: segment, file: undefined, label: `/SYSV${hexKey(segment.key)} (deleted)` },
    offset: 0,
    populate: false,
  });
  if (isErrno(error)) return error;
  segment.attachTime = nowSec(task);
  segment.lastUser = userOf(task);
  return start;
}

function hexKey(key: number): string {
  return (key >>> 0).toString(16).padStart(8, '0');
}

/** Unmaps every piece of the segment that was attached at exactly this address. */
function sysShmdt(task: Task, args: SyscallArgs): MaybeBlocking {
  const addr = args.addr(0);
  const { mm } = task;
  mm.begin(task);
  if (addr !== pageFloor(addr)) return EINVAL;
  const pieces = attachedAt(task, addr);
  const segment = pieces[0]?.backing?.mappable;
  if (!(segment instanceof ShmSegment)) return EINVAL;
  segment.lastUser = userOf(task);
  segment.detachTime = nowSec(task);
  const ranges = rangesOf(pieces);
  // Few ranges are the rule: mprotect(2) and munmap(2) within a segment make more.
  if (pieces.length > RANGES_AT_ONCE) return begin(detachInPieces(task, ranges));
  for (const { start, end } of ranges) mm.unmapRange(task.thread, start, end);
  return 0;
}

interface AddressRange {
  readonly start: number;
  end: number;
}

/** Adjoining pieces are one range. */
function rangesOf(pieces: readonly Vma[]): AddressRange[] {
  const ranges: AddressRange[] = [];
  for (const { start, end } of pieces) {
    const last = ranges.at(-1);
    if (last?.end === start) last.end = end;
    else ranges.push({ start, end });
  }
  return ranges;
}

function* detachInPieces(task: Task, ranges: readonly AddressRange[]): Blocking<SysResult> {
  for (const [index, { start, end }] of ranges.entries()) {
    const error = yield* task.mm.unmapInPieces(task.thread, start, end);
    if (isErrno(error)) return error;
    if (index % RANGES_AT_ONCE === RANGES_AT_ONCE - 1 && isPieceOver(task.kernel.clock)) {
      yield KILLABLE_PAUSE;
      task.mm.begin(task);
    }
  }
  return 0;
}

function attachedAt(task: Task, addr: number): Vma[] {
  let first: ShmSegment | undefined;
  const pieces: Vma[] = [];
  for (const vma of task.mm.map.vmas.overlapping(addr, task.mm.bounds.guestTop)) {
    const mappable = vma.backing?.mappable;
    if (!(mappable instanceof ShmSegment) || vma.start - vma.offset !== addr) continue;
    first ??= mappable;
    if (mappable !== first) continue;
    pieces.push(vma);
  }
  return pieces;
}

function sysShmctl(task: Task, args: SyscallArgs): SysResult {
  const id = args.i32(0);
  const command = args.i32(1);
  const addr = args.addr(2);
  if (id < 0) return EINVAL;
  switch (command) {
    case ipc.IPC_INFO:
      return writeLimits(task, addr);
    case ipc.SHM_INFO:
      return writeUse(task, addr);
    case ipc.IPC_STAT:
    case ipc.SHM_STAT:
    case ipc.SHM_STAT_ANY:
      return writeStatus(
        task,
        task.ipc.shm,
        {
          id,
          addr,
          byPlace: command !== ipc.IPC_STAT,
          unchecked: command === ipc.SHM_STAT_ANY,
        },
        ipc.shmidDs.size,
        (view, segment) => fillStatus(task, view, segment),
      );
    case ipc.IPC_SET: {
      const changed = changeOwner(task, task.ipc.shm, id, addr, ipc.shmidDs.size);
      return isErrno(changed) ? changed : 0;
    }
    case ipc.IPC_RMID: {
      const segment = task.ipc.shm.findOwned(id, task.credentials);
      if (isErrno(segment)) return segment;
      segment.markRemoved();
      return 0;
    }
    case ipc.SHM_LOCK:
    case ipc.SHM_UNLOCK:
      return lock(task, id, command === ipc.SHM_LOCK);
    default:
      return EINVAL;
  }
}

function lock(task: Task, id: number, on: boolean): SysResult {
  const segment = task.ipc.shm.find(id);
  if (isErrno(segment)) return segment;
  if (!isCapable(task.credentials, CAP_IPC_LOCK)) {
    if (!segment.isOwner(task.credentials)) return EPERM;
    if (on && task.group.limits.soft(RLIMIT_MEMLOCK) === 0) return EPERM;
  }
  segment.mode = on ? segment.mode | ipc.SHM_LOCKED : segment.mode & ~ipc.SHM_LOCKED;
  return 0;
}

function fillStatus(task: Task, view: DataView, segment: ShmSegment): void {
  const at = ipc.shmidDs;
  setU64(view, at.segsz, segment.sizeBytes);
  setU64(view, at.atime, segment.attachTime);
  setU64(view, at.dtime, segment.detachTime);
  setU64(view, at.ctime, segment.changeTime);
  view.setInt32(at.cpid, pidSeen(task, segment.creator), true);
  view.setInt32(at.lpid, pidSeen(task, segment.lastUser), true);
  setU64(view, at.nattch, segment.attachCount);
}

function writeLimits(task: Task, addr: number): SysResult {
  const { limits } = task.ipc;
  const view = new DataView(new ArrayBuffer(ipc.shminfo.size));
  setU64(view, ipc.shminfo.shmmax, limits.number('kernel.shmmax'));
  setU64(view, ipc.shminfo.shmmin, ipc.SHMMIN);
  setU64(view, ipc.shminfo.shmmni, limits.number('kernel.shmmni'));
  setU64(view, ipc.shminfo.shmseg, limits.number('kernel.shmmni'));
  setU64(view, ipc.shminfo.shmall, limits.number('kernel.shmall'));
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return isErrno(written) ? written : task.ipc.shm.highestIndex;
}

function writeUse(task: Task, addr: number): SysResult {
  const segments = task.ipc.shm;
  const view = new DataView(new ArrayBuffer(ipc.shmInfo.size));
  view.setInt32(ipc.shmInfo.usedIds, segments.count, true);
  setU64(view, ipc.shmInfo.total, segments.totalBytes / 4096);
  setU64(view, ipc.shmInfo.resident, segments.residentBytes / 4096);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return isErrno(written) ? written : segments.highestIndex;
}

export const shmRows: readonly Row[] = [
  direct(29, 'shmget', ['hex', 'len', 'hex'], sysShmget, { partial: 'no huge pages' }),
  direct(30, 'shmat', ['int', 'addr', 'hex'], sysShmat),
  direct(31, 'shmctl', ['int', 'int', 'addr'], sysShmctl),
  sleeps(67, 'shmdt', ['addr'], sysShmdt),
];
