// System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
import { CAP_IPC_LOCK, CAP_SYS_ADMIN } from '../../abi/capability.ts';
import {
  EACCES,
  EFAULT,
  EINVAL,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import * as ipc from '../../abi/ipc.ts';
import { MAP_FIXED, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { RLIMIT_MEMLOCK } from '../../abi/resource.ts';
import { settings } from '../base/settings.ts';
import { pidSeenFrom } from '../kernel/pid-namespace.ts';
import type { Task } from '../kernel/task.ts';
import { pageCeil, pageFloor } from '../mm/page.ts';
import { choosePlace } from '../mm/placement.ts';
import { type SegmentUser, ShmSegment } from '../mm/shm-segments.ts';
import { VMA_SHARED, type Vma } from '../mm/vma.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

const READ_PERMISSION = 0o444;
const WRITE_PERMISSION = 0o222;
const EXECUTE_PERMISSION = 0o111;

const userOf = ({ group, pids }: Task): SegmentUser => ({ id: group.id, pids });
const pidSeen = (task: Task, user: SegmentUser | undefined): number =>
  user === undefined ? 0 : pidSeenFrom(task.pids, user.pids, user.id);

function sysShmget(task: Task, args: SyscallArgs): SysResult {
  const segment = task.kernel.shmSegments.get({
    key: args.i32(0),
    sizeBytes: args.len(1),
    flags: args.u32(2),
    credentials: task.credentials,
    user: userOf(task),
    nowSec: task.kernel.clock.realtime().sec,
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
  const segment = task.kernel.shmSegments.find(args.i32(0));
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
  if (start < 0) return start;
  const error = mm.install(task, {
    start,
    length,
    prot: rights.prot,
    maxProt: rights.maxProt,
    flags: VMA_SHARED,
    backing: { mappable: segment, file: undefined, label: `/SYSV${hexKey(segment.key)} (deleted)` },
    offset: 0,
    populate: false,
  });
  if (error < 0) return error;
  segment.attachTime = task.kernel.clock.realtime().sec;
  segment.lastUser = userOf(task);
  return start;
}

function hexKey(key: number): string {
  return (key >>> 0).toString(16).padStart(8, '0');
}

/** Unmaps every piece of the segment that was attached at exactly this address. */
function sysShmdt(task: Task, args: SyscallArgs): SysResult {
  const addr = args.addr(0);
  const { mm } = task;
  mm.begin(task);
  if (addr !== pageFloor(addr)) return EINVAL;
  const pieces = attachedAt(task, addr);
  const segment = pieces[0]?.backing?.mappable;
  if (!(segment instanceof ShmSegment)) return EINVAL;
  segment.lastUser = userOf(task);
  segment.detachTime = task.kernel.clock.realtime().sec;
  for (const { start, end } of pieces.map((vma) => ({ start: vma.start, end: vma.end }))) {
    mm.unmapRange(task.thread, start, end);
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
      return writeStatus(task, id, command, addr);
    case ipc.IPC_SET:
      return change(task, id, addr);
    case ipc.IPC_RMID: {
      const segment = owned(task, id);
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

function isOwner(task: Task, segment: ShmSegment): boolean {
  const { euid } = task.credentials;
  return euid === segment.uid || euid === segment.creatorUid;
}

/** The segment, where the caller may change or remove it. */
function owned(task: Task, id: number): Result<ShmSegment> {
  const segment = task.kernel.shmSegments.find(id);
  if (isErrno(segment)) return segment;
  return isOwner(task, segment) || isCapable(task.credentials, CAP_SYS_ADMIN) ? segment : EPERM;
}

function change(task: Task, id: number, addr: number): SysResult {
  const view = task.memory.view(addr, ipc.shmidDs.size);
  if (isErrno(view)) return EFAULT;
  const segment = owned(task, id);
  if (isErrno(segment)) return segment;
  const uid = view.getUint32(ipc.shmidDs.uid, true);
  const gid = view.getUint32(ipc.shmidDs.gid, true);
  if (uid === 0xffff_ffff || gid === 0xffff_ffff) return EINVAL;
  segment.uid = uid;
  segment.gid = gid;
  segment.mode = (segment.mode & ~0o777) | (view.getUint32(ipc.shmidDs.mode, true) & 0o777);
  segment.changeTime = task.kernel.clock.realtime().sec;
  return 0;
}

function lock(task: Task, id: number, on: boolean): SysResult {
  const segment = task.kernel.shmSegments.find(id);
  if (isErrno(segment)) return segment;
  if (!isCapable(task.credentials, CAP_IPC_LOCK)) {
    if (!isOwner(task, segment)) return EPERM;
    if (on && task.group.limits.soft(RLIMIT_MEMLOCK) === 0) return EPERM;
  }
  segment.mode = on ? segment.mode | ipc.SHM_LOCKED : segment.mode & ~ipc.SHM_LOCKED;
  return 0;
}

function writeStatus(task: Task, id: number, command: number, addr: number): SysResult {
  const { shmSegments } = task.kernel;
  const byIndex = command !== ipc.IPC_STAT;
  const segment = byIndex ? shmSegments.findIndex(id) : shmSegments.find(id);
  if (isErrno(segment)) return segment;
  if (command !== ipc.SHM_STAT_ANY && !segment.permits(task.credentials, READ_PERMISSION))
    return EACCES;
  const view = new DataView(new ArrayBuffer(ipc.shmidDs.size));
  const at = ipc.shmidDs;
  view.setInt32(at.key, segment.key, true);
  view.setUint32(at.uid, segment.uid, true);
  view.setUint32(at.gid, segment.gid, true);
  view.setUint32(at.cuid, segment.creatorUid, true);
  view.setUint32(at.cgid, segment.creatorGid, true);
  view.setUint32(at.mode, segment.mode, true);
  view.setUint16(at.seq, segment.seq, true);
  setU64(view, at.segsz, segment.sizeBytes);
  setU64(view, at.atime, segment.attachTime);
  setU64(view, at.dtime, segment.detachTime);
  setU64(view, at.ctime, segment.changeTime);
  view.setInt32(at.cpid, pidSeen(task, segment.creator), true);
  view.setInt32(at.lpid, pidSeen(task, segment.lastUser), true);
  setU64(view, at.nattch, segment.attachCount);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  if (written < 0) return written;
  return byIndex ? segment.id : 0;
}

function writeLimits(task: Task, addr: number): SysResult {
  const view = new DataView(new ArrayBuffer(ipc.shminfo.size));
  setU64(view, ipc.shminfo.shmmax, settings.number('kernel.shmmax'));
  setU64(view, ipc.shminfo.shmmin, ipc.SHMMIN);
  setU64(view, ipc.shminfo.shmmni, settings.number('kernel.shmmni'));
  setU64(view, ipc.shminfo.shmseg, settings.number('kernel.shmmni'));
  setU64(view, ipc.shminfo.shmall, settings.number('kernel.shmall'));
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return written < 0 ? written : task.kernel.shmSegments.highestIndex;
}

function writeUse(task: Task, addr: number): SysResult {
  const { shmSegments } = task.kernel;
  const view = new DataView(new ArrayBuffer(ipc.shmInfo.size));
  view.setInt32(ipc.shmInfo.usedIds, shmSegments.count, true);
  setU64(view, ipc.shmInfo.total, shmSegments.totalBytes / 4096);
  setU64(view, ipc.shmInfo.resident, shmSegments.totalBytes / 4096);
  const written = task.memory.write(addr, new Uint8Array(view.buffer));
  return written < 0 ? written : shmSegments.highestIndex;
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

export const shmRows: readonly Row[] = [
  direct(29, 'shmget', ['hex', 'len', 'hex'], sysShmget, { partial: 'no huge pages' }),
  direct(30, 'shmat', ['int', 'addr', 'hex'], sysShmat),
  direct(31, 'shmctl', ['int', 'int', 'addr'], sysShmctl),
  direct(67, 'shmdt', ['addr'], sysShmdt),
];
