// SPDX-License-Identifier: Apache-2.0
// copy_file_range(2).
import {
  EBADF,
  EINVAL,
  EISDIR,
  EOVERFLOW,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { canRead, canWrite, O_APPEND } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import { getI64 } from '../../abi/time.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { BufferSink, BufferSource } from '../vfs/io.ts';
import { notifyRead, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { beforeWrite } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { betweenPieces, limitedLength, maxTransferBytes } from './transfer.ts';

/** Copied before others get their turn. */
const PIECE_BYTES = 1_048_576;
const buffer = new Uint8Array(256 * 1024);

/** The bytes of one file that go to another. */
interface Copy {
  readonly from: OpenFile;
  readonly inPosition: number;
  readonly to: OpenFile;
  readonly outPosition: number;
  readonly length: number;
}

function sysCopyFileRange(task: Task, args: SyscallArgs): MaybeBlocking {
  const from = task.files.get(args.i32(0));
  if (isErrno(from)) return from;
  const to = task.files.get(args.i32(2));
  if (isErrno(to)) return to;
  const inAddr = args.addr(1);
  const outAddr = args.addr(3);
  const inPosition = positionArgument(task, inAddr, from);
  if (isErrno(inPosition)) return inPosition;
  const outPosition = positionArgument(task, outAddr, to);
  if (isErrno(outPosition)) return outPosition;
  const checked = check(from, to, args.u32(5));
  if (isErrno(checked)) return checked;
  const length = lengthToCopy(task, from, inPosition, to, outPosition, args.len(4));
  if (isErrno(length)) return length;
  const copy = { from, inPosition, to, outPosition, length };
  if (length > 0) beforeWrite(to, task.credentials);
  const finish = (copied: SysResult): SysResult => {
    if (copied <= 0) return copied;
    notifyRead(from);
    notifyWritten(to);
    const advancedIn = advance(task, inAddr, from, inPosition + copied);
    if (isErrno(advancedIn)) return advancedIn;
    const advancedOut = advance(task, outAddr, to, outPosition + copied);
    return isErrno(advancedOut) ? advancedOut : copied;
  };
  const count = copyPiece(copy, 0);
  return count === PIECE_BYTES && count < length ? goOn(task, copy, count, finish) : finish(count);
}

function check(from: OpenFile, to: OpenFile, flags: number): SysResult {
  if (flags !== 0) return EINVAL;
  if (from.node.kind === S_IFDIR || to.node.kind === S_IFDIR) return EISDIR;
  if (from.node.kind !== S_IFREG || to.node.kind !== S_IFREG) return EINVAL;
  if (!canRead(from.flags) || !canWrite(to.flags) || (to.flags & O_APPEND) !== 0) return EBADF;
  return 0;
}

/**
 * Returns the length that generic_copy_file_checks leaves: up to the end of the file and to
 * RLIMIT_FSIZE, and no overlap within one file.
 */
function lengthToCopy(
  task: Task,
  from: OpenFile,
  inPosition: number,
  to: OpenFile,
  outPosition: number,
  wanted: number,
): SysResult {
  const attributes = from.node.attributes();
  if (isErrno(attributes)) return attributes;
  const there = Math.max(0, attributes.sizeBytes - inPosition);
  const length = limitedLength(task, to, Math.min(wanted, there), outPosition);
  if (isErrno(length)) return length;
  const overlaps = inPosition < outPosition + length && outPosition < inPosition + length;
  if (from.node === to.node && overlaps) return EINVAL;
  return Math.min(length, maxTransferBytes);
}

function* goOn(
  task: Task,
  copy: Copy,
  already: number,
  finish: (copied: SysResult) => SysResult,
): Blocking<SysResult> {
  let done = already;
  copy.from.acquire();
  copy.to.acquire();
  try {
    for (;;) {
      const wake = yield betweenPieces(copy.to);
      if (wake === 'signal') return finish(done);
      const copied = copyPiece(copy, done);
      if (copied > 0) done += copied;
      if (copied < PIECE_BYTES || done === copy.length) return finish(done);
    }
  } finally {
    copy.from.release();
    copy.to.release();
  }
}

/**
 * Copies a piece, before which `before` bytes were copied already. The bytes copied: fewer at the
 * end or an error.
 */
function copyPiece({ from, inPosition, to, outPosition, length }: Copy, before: number): SysResult {
  const pieceBytes = Math.min(PIECE_BYTES, length - before);
  let done = 0;
  while (done < pieceBytes) {
    const at = before + done;
    const sink = new BufferSink(buffer.subarray(0, Math.min(buffer.length, pieceBytes - done)));
    const count = from.pread(sink, inPosition + at);
    if (count <= 0) return done > 0 ? done : count;
    const written = to.pwrite(new BufferSource(buffer.subarray(0, count)), outPosition + at);
    if (written <= 0) return done > 0 ? done : written;
    done += written;
    if (written < count) break;
  }
  return done;
}

function positionArgument(task: Task, addr: number, file: OpenFile): SysResult {
  if (addr === 0) return file.offset;
  const view: Result<DataView> = task.memory.view(addr, 8);
  if (isErrno(view)) return view;
  const position = getI64(view, 0);
  return position < 0 ? EINVAL : position > Number.MAX_SAFE_INTEGER ? EOVERFLOW : position;
}

function advance(task: Task, addr: number, file: OpenFile, position: number): SysResult {
  if (addr !== 0) return task.memory.writeU64(addr, position);
  file.offset = position;
  return 0;
}

export const copyRangeRows: readonly Row[] = [
  sleeps(326, 'copy_file_range', ['fd', 'addr', 'fd', 'addr', 'len', 'hex'], sysCopyFileRange),
];
