// SPDX-License-Identifier: Apache-2.0
// truncate(2), ftruncate(2), fallocate(2).
import {
  EBADF,
  EFBIG,
  EINVAL,
  EISDIR,
  ENODEV,
  ENOSPC,
  EOPNOTSUPP,
  ESPIPE,
  ETXTBSY,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import {
  AT_FDCWD,
  canWrite,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
} from '../../abi/fcntl.ts';
import { RLIMIT_FSIZE } from '../../abi/resource.ts';
import { SIGXFSZ } from '../../abi/signal.ts';
import { S_IFDIR, S_IFIFO, S_IFREG } from '../../abi/stat.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { Node } from '../vfs/node.ts';
import { notifyModified, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { dropPrivileges, MAY_WRITE, mayAccessPath } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { exclusively } from './long-transfer.ts';
import { pathArgument } from './stat.ts';
import { raise } from './transfer.ts';

const fallocateModes =
  FALLOC_FL_KEEP_SIZE |
  FALLOC_FL_PUNCH_HOLE |
  FALLOC_FL_COLLAPSE_RANGE |
  FALLOC_FL_ZERO_RANGE |
  FALLOC_FL_INSERT_RANGE |
  FALLOC_FL_UNSHARE_RANGE;

/** The part of a file that one turn allocates or makes a hole of. */
const ALLOCATED_AT_ONCE = 8 * 1024 * 1024;

/**
 * A piece of a hole that took less than this had little to free, and the next is twice as long: a
 * petabyte of nothing is no more than thirty pieces.
 */
const SHORT_PIECE_NS = 500_000;

/** RLIMIT_FSIZE: EFBIG and SIGXFSZ for a size past it. */
function withinFileLimit(task: Task, sizeBytes: number): SysResult {
  if (sizeBytes <= task.group.limits.soft(RLIMIT_FSIZE)) return 0;
  raise(task, SIGXFSZ);
  return EFBIG;
}

function sysTruncate(task: Task, args: SyscallArgs): MaybeBlocking {
  const sizeBytes = args.i64(1);
  if (sizeBytes < 0) return EINVAL;
  const path = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  if (isErrno(path)) return path;
  if (path.node.kind === S_IFDIR) return EISDIR;
  if (path.node.kind !== S_IFREG) return EINVAL;
  const allowed = mayAccessPath(task.credentials, path, MAY_WRITE);
  if (isErrno(allowed)) return allowed;
  if (path.node.isRunning) return ETXTBSY;
  const limited = withinFileLimit(task, sizeBytes);
  if (isErrno(limited)) return limited;
  const { node, dentry } = path;
  return cut(task, node, sizeBytes, () => {
    dropPrivileges(node, task.credentials);
    const done = node.setAttributes({ sizeBytes });
    if (!isErrno(done)) notifyModified(dentry);
    return done;
  });
}

/** Cuts a file to `sizeBytes` with `last`, after what lies beyond was freed where that is much. */
function cut(task: Task, node: Node, sizeBytes: number, last: () => SysResult): MaybeBlocking {
  if (node.longCall === undefined && !node.freePieceBeyond(sizeBytes)) return last();
  return begin(exclusively([node], () => cutInPieces(task, node, sizeBytes, last)));
}

function* cutInPieces(
  task: Task,
  node: Node,
  sizeBytes: number,
  last: () => SysResult,
): Blocking<SysResult> {
  while (node.freePieceBeyond(sizeBytes)) if (isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
  return last();
}

function sysFtruncate(task: Task, args: SyscallArgs): MaybeBlocking {
  const sizeBytes = args.i64(1);
  if (sizeBytes < 0) return EINVAL;
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (file.node.kind !== S_IFREG || !canWrite(file.flags)) return EINVAL;
  const limited = withinFileLimit(task, sizeBytes);
  if (isErrno(limited)) return limited;
  return cut(task, file.node, sizeBytes, () => {
    dropPrivileges(file.node, task.credentials);
    const done = file.truncate(sizeBytes);
    if (!isErrno(done)) notifyWritten(file);
    return done;
  });
}

function sysFallocate(task: Task, args: SyscallArgs): MaybeBlocking {
  const mode = args.u32(1);
  const offset = args.i64(2);
  const length = args.i64(3);
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (offset < 0 || length <= 0) return EINVAL;
  if ((mode & ~fallocateModes) !== 0) return EOPNOTSUPP;
  const punches = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
  if (punches && (mode & FALLOC_FL_KEEP_SIZE) === 0) return EOPNOTSUPP;
  if (punches && (mode & FALLOC_FL_ZERO_RANGE) !== 0) return EOPNOTSUPP;
  if (!canWrite(file.flags)) return EBADF;
  if (file.node.kind === S_IFIFO) return ESPIPE;
  if (file.node.kind === S_IFDIR) return EISDIR;
  if (file.node.kind !== S_IFREG) return ENODEV;
  if (offset + length > Number.MAX_SAFE_INTEGER) return EFBIG;
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0) {
    const limited = withinFileLimit(task, offset + length);
    if (isErrno(limited)) return limited;
  }
  dropPrivileges(file.node, task.credentials);
  if (length > ALLOCATED_AT_ONCE || file.node.longCall !== undefined)
    return begin(
      exclusively([file.node], () => allocateInPieces(task, file, mode, offset, length)),
    );
  const done = file.fallocate(mode, offset, length);
  if (!isErrno(done)) notifyWritten(file);
  return done;
}

/** The size changes with the last piece. */
function* allocateInPieces(
  task: Task,
  file: OpenFile,
  mode: number,
  offset: number,
  length: number,
): Blocking<SysResult> {
  const end = offset + length;
  const makesHoles = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
  if (!makesHoles && !file.node.hasRoomFor(length)) return ENOSPC;
  file.acquire();
  try {
    const { clock } = task.kernel;
    let piece = ALLOCATED_AT_ONCE;
    for (let at = offset; ; ) {
      const isLast = end - at <= piece;
      const pieceMode = isLast ? mode : mode | FALLOC_FL_KEEP_SIZE;
      const beganNs = clock.monotonicNs();
      const done = file.fallocate(pieceMode, at, isLast ? end - at : piece);
      if (isErrno(done)) {
        if (!makesHoles) giveBack(file, offset, at);
        return done;
      }
      if (isLast) break;
      at += piece;
      const isShort = makesHoles && clock.monotonicNs() - beganNs < SHORT_PIECE_NS;
      piece = isShort ? 2 * piece : ALLOCATED_AT_ONCE;
      if (isPieceOver(clock)) yield KILLABLE_PAUSE;
    }
    notifyWritten(file);
    return 0;
  } finally {
    file.release();
  }
}

/**
 * Gives back what was allocated of a whole that does not fit: all beyond the end of the file.
 * Differs from Linux: holes before its end that were filled stay so.
 */
function giveBack(file: OpenFile, offset: number, end: number): void {
  const attributes = file.node.attributes();
  if (isErrno(attributes)) return;
  const start = Math.max(offset, attributes.sizeBytes);
  if (start < end) file.fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start);
}

export const truncateRows: readonly Row[] = [
  sleeps(76, 'truncate', ['path', 'offset'], sysTruncate),
  sleeps(77, 'ftruncate', ['fd', 'offset'], sysFtruncate),
  sleeps(285, 'fallocate', ['fd', 'hex', 'offset', 'offset'], sysFallocate, {
    partial: 'COLLAPSE_RANGE and INSERT_RANGE answer EOPNOTSUPP, as tmpfs does',
  }),
];
