// SPDX-License-Identifier: Apache-2.0
// Bodies shared by read(2), write(2), sendfile(2) and their kin: waiting, SIGPIPE, RLIMIT_FSIZE.
import {
  EAGAIN,
  EBADF,
  EFBIG,
  EINTR,
  EINVAL,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { canRead, canWrite, O_APPEND, O_NONBLOCK, O_PATH, SEEK_CUR } from '../../abi/fcntl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../abi/poll.ts';
import { RLIM_INFINITY, RLIMIT_FSIZE } from '../../abi/resource.ts';
import { SI_USER, SIGPIPE, SIGXFSZ } from '../../abi/signal.ts';
import { S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import { isPieceOver } from '../base/turn.ts';
import {
  type Blocking,
  KILLABLE_PAUSE,
  type MaybeBlocking,
  PAUSE,
  type Sleep,
  sleepOn,
} from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { notifyRead, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { beforeWrite } from '../vfs/permission.ts';
import {
  afterwards,
  exclusively,
  isLong,
  readFromHost,
  readInPieces,
  ShortSource,
  writeInPieces,
  writeToHost,
} from './long-transfer.ts';

/** MAX_RW_COUNT: INT_MAX rounded down to a page. */
export const maxTransferBytes = 0x7fff_f000;

export const readEvents: number = POLLIN | POLLRDNORM | POLLHUP | POLLERR | POLLRDHUP;
export const writeEvents: number = POLLOUT | POLLWRNORM | POLLHUP | POLLERR;

/** The file behind a descriptor that may be read: EBADF for write-only and O_PATH ones. */
export function readableFile(task: Task, fd: number): Result<OpenFile> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  const flags = file.flags;
  return !canRead(flags) || (flags & O_PATH) !== 0 ? EBADF : file;
}

/**
 * The error of a positioned read or write for which the descriptor is not open: Linux looks first
 * whether the file has positions at all.
 */
export function notOpenForPosition(task: Task, fd: number): SysResult {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return (file.flags & O_PATH) === 0 && file.seek(0, SEEK_CUR) === ESPIPE ? ESPIPE : EBADF;
}

export function writableFile(task: Task, fd: number): Result<OpenFile> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  const flags = file.flags;
  return !canWrite(flags) || (flags & O_PATH) !== 0 ? EBADF : file;
}

export function isNonblocking(file: OpenFile): boolean {
  return (file.flags & O_NONBLOCK) !== 0;
}

/** When a wait with a relative time-out ends. */
export function deadlineAfter(task: Task, timeoutNs: number): number {
  return timeoutNs === Number.POSITIVE_INFINITY
    ? timeoutNs
    : task.kernel.clock.monotonicNs() + timeoutNs;
}

/**
 * Returns the sleep of a long copy into `output` between two pieces, in which others get their
 * turn. As in Linux, only death cuts a copy into a regular file short.
 */
export function betweenPieces(output: OpenFile): Sleep {
  return output.node.kind === S_IFREG ? KILLABLE_PAUSE : PAUSE;
}

/**
 * Returns the result of an interrupted call, by Linux's sock_intr_errno: a call with a time-out of
 * its own is not restarted.
 */
export function interrupted(timeoutNs: number): SysResult {
  return timeoutNs === Number.POSITIVE_INFINITY ? ERESTARTSYS : EINTR;
}

/** Reads at the file's offset, waiting where the file is blocking. */
export function readFile(task: Task, file: OpenFile, sink: Sink): MaybeBlocking {
  if (isLong(file, sink.remaining) || file.longCall !== undefined)
    return afterwards(readLong(task, file, sink), (all) => readDone(file, all));
  const asked = sink.remaining;
  const count = file.readNow(sink);
  if (count === EAGAIN) {
    const { host } = file;
    if (host !== undefined)
      return afterwards(
        exclusively([file], () => readFromHost(file, host, sink, asked, undefined)),
        (all) => readDone(file, all),
      );
    if (file.goesOn) return afterwards(readLong(task, file, sink), (more) => readDone(file, more));
    if (!isNonblocking(file)) return waitAndRead(task, file, sink);
  }
  if (count > 0) notifyRead(file);
  return count;
}

function readLong(task: Task, file: OpenFile, sink: Sink): Blocking<SysResult> {
  return exclusively([file], () => readInPieces(task, file, sink, undefined));
}

function readDone(file: OpenFile, count: SysResult): SysResult {
  if (count > 0) notifyRead(file);
  return count;
}

function* waitAndRead(task: Task, file: OpenFile, sink: Sink): Blocking<SysResult> {
  const timeoutNs = file.readTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  file.acquire();
  try {
    for (;;) {
      const wake = yield sleepOn(file, readEvents, deadlineNs);
      if (wake === 'signal') return interrupted(timeoutNs);
      const count = file.read(sink);
      if (count === EAGAIN && wake === 'event') continue;
      if (count > 0) notifyRead(file);
      return count;
    }
  } finally {
    file.release();
  }
}

/** Writes at the file's offset. A blocking byte stream takes everything before the call returns. */
export function writeFile(task: Task, file: OpenFile, source: Source): MaybeBlocking {
  const limited = limitedWrite(task, file, source, file.offset);
  if (isErrno(limited)) return limited;
  if (file.node.kind === S_IFREG) {
    beforeWrite(file, task.credentials);
    if (isLongWrite(file, limited) || file.host?.writes === true)
      return afterwards(writeLong(task, file, limited), (all) => writeDone(task, file, all));
  }
  const count = file.write(limited);
  if (
    !isErrno(count) ? !wantsMore(file, limited, count) : count !== EAGAIN || isNonblocking(file)
  ) {
    return writeDone(task, file, count);
  }
  return waitAndWrite(task, file, limited, Math.max(count, 0));
}

/** Written in pieces, or after another call that writes in pieces. */
function isLongWrite(file: OpenFile, source: Source): boolean {
  return (
    isLong(file, source.remaining) ||
    file.longCall !== undefined ||
    file.node.longCall !== undefined
  );
}

function writeLong(task: Task, file: OpenFile, source: Source): Blocking<SysResult> {
  return exclusively([file, file.node], () =>
    file.host?.writes === true
      ? writeToHost(file, source, undefined)
      : writeInPieces(task, file, source, (piece) => file.write(piece)),
  );
}

function wantsMore(file: OpenFile, source: Source, count: number): boolean {
  return count > 0 && source.remaining > 0 && file.isByteStream && !isNonblocking(file);
}

function* waitAndWrite(
  task: Task,
  file: OpenFile,
  source: Source,
  already: number,
): Blocking<SysResult> {
  const timeoutNs = file.writeTimeoutNs;
  const deadlineNs = deadlineAfter(task, timeoutNs);
  let total = already;
  file.acquire();
  try {
    for (;;) {
      const count = file.write(source);
      if (count > 0) total += count;
      if (!isErrno(count) && !wantsMore(file, source, count)) return writeDone(task, file, total);
      if (!isErrno(count)) {
        if (isPieceOver(task.kernel.clock) && (yield KILLABLE_PAUSE) === 'signal')
          return writeDone(task, file, total);
        continue;
      }
      // An error after a part was taken is reported by the next call; a pipe's SIGPIPE comes at once.
      if (count !== EAGAIN || isNonblocking(file)) return partWritten(task, file, total, count);
      const wake = yield sleepOn(file, writeEvents, deadlineNs);
      if (wake === 'signal') return partWritten(task, file, total, interrupted(timeoutNs));
      if (wake === 'deadline') return partWritten(task, file, total, EAGAIN);
    }
  } finally {
    file.release();
  }
}

function partWritten(task: Task, file: OpenFile, total: number, error: SysResult): SysResult {
  if (total === 0) return writeDone(task, file, error);
  if (error === EPIPE && file.node.kind !== S_IFSOCK) writeDone(task, file, error);
  return writeDone(task, file, total);
}

function writeDone(task: Task, file: OpenFile, result: SysResult): SysResult {
  if (result > 0) notifyWritten(file);
  else if (result === EPIPE && file.raisesSigpipe) raise(task, SIGPIPE);
  return result;
}

/** Sends a signal that the task's own call caused. */
export function raise(task: Task, signal: number): void {
  task.sendSignal({ signal, code: SI_USER, pid: task.group.id, uid: task.credentials.uid });
}

/** A transfer may not end above the largest loff_t: rw_verify_area of fs/read_write.c. */
function passesLargestOffset(position: number, lengthBytes: number): boolean {
  return position + lengthBytes >= 2 ** 63;
}

/** pread(2) on any file. Those with positions wait for nobody but the host. */
export function preadFile(task: Task, file: OpenFile, sink: Sink, position: number): MaybeBlocking {
  if (passesLargestOffset(position, sink.remaining)) return EINVAL;
  if (!isLong(file, sink.remaining)) {
    const asked = sink.remaining;
    const count = file.preadNow(sink, position);
    const host = count === EAGAIN ? file.host : undefined;
    if (host !== undefined)
      return afterwards(readFromHost(file, host, sink, asked, position), (all) =>
        readDone(file, all),
      );
    if (count !== EAGAIN || !file.goesOn) return readDone(file, count);
  }
  return afterwards(readInPieces(task, file, sink, position), (all) => readDone(file, all));
}

export function pwriteFile(
  task: Task,
  file: OpenFile,
  source: Source,
  position: number,
): MaybeBlocking {
  if (passesLargestOffset(position, source.remaining)) return EINVAL;
  const limited = limitedWrite(task, file, source, position);
  if (isErrno(limited)) return limited;
  if (file.node.kind === S_IFREG) {
    beforeWrite(file, task.credentials);
    if (
      isLong(file, limited.remaining) ||
      file.node.longCall !== undefined ||
      file.host?.writes === true
    )
      return afterwards(pwriteLong(task, file, limited, position), (all) =>
        writeDone(task, file, all),
      );
  }
  const count = file.pwrite(limited, position);
  if (count > 0) notifyWritten(file);
  return count;
}

function pwriteLong(
  task: Task,
  file: OpenFile,
  source: Source,
  position: number,
): Blocking<SysResult> {
  return exclusively([file.node], () =>
    file.host?.writes === true
      ? writeToHost(file, source, position)
      : writeInPieces(task, file, source, (piece, done) => file.pwrite(piece, position + done)),
  );
}

/** Applies RLIMIT_FSIZE: the source cut short, or EFBIG with SIGXFSZ where nothing may be written. */
export function limitedWrite(
  task: Task,
  file: OpenFile,
  source: Source,
  position: number,
): Result<Source> {
  const allowed = limitedLength(task, file, source.remaining, position);
  if (isErrno(allowed)) return allowed;
  return allowed === source.remaining ? source : new ShortSource(source, allowed);
}

/** How many of `length` bytes RLIMIT_FSIZE lets be written at `position`, or EFBIG with SIGXFSZ for none. */
export function limitedLength(
  task: Task,
  file: OpenFile,
  length: number,
  position: number,
): SysResult {
  const limit = task.group.limits.soft(RLIMIT_FSIZE);
  if (limit === RLIM_INFINITY || file.node.kind !== S_IFREG || length === 0) return length;
  let start = position;
  if ((file.flags & O_APPEND) !== 0) {
    const attributes = file.node.attributes();
    if (isErrno(attributes)) return attributes;
    start = attributes.sizeBytes;
  }
  if (start >= limit) {
    raise(task, SIGXFSZ);
    return EFBIG;
  }
  return Math.min(length, limit - start);
}
