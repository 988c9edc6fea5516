// SPDX-License-Identifier: Apache-2.0
// read(2), write(2), readv(2), writev(2), pread(2), pwrite(2), preadv2(2), pwritev2(2).
import { EAGAIN, EINVAL, EOPNOTSUPP, ESPIPE, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_APPEND, O_NONBLOCK } from '../../abi/fcntl.ts';
import {
  RWF_APPEND,
  RWF_DSYNC,
  RWF_HIPRI,
  RWF_NOAPPEND,
  RWF_NOWAIT,
  RWF_SYNC,
} from '../../abi/uio.ts';
import { type Blocking, begin, type MaybeBlocking, type Sleep } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { Sink } from '../vfs/io.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import {
  maxTransferBytes,
  notOpenForPosition,
  preadFile,
  pwriteFile,
  readableFile,
  readFile,
  writableFile,
  writeFile,
} from './transfer.ts';

const isNegative = (args: SyscallArgs, index: number): boolean => args.high(index) >>> 31 === 1;

function sysRead(task: Task, args: SyscallArgs): MaybeBlocking {
  const file = readableFile(task, args.i32(0));
  if (isErrno(file)) return file;
  if (isNegative(args, 2)) return EINVAL;
  return readFile(
    task,
    file,
    task.memory.sink(args.addr(1), Math.min(args.len(2), maxTransferBytes)),
  );
}

function sysWrite(task: Task, args: SyscallArgs): MaybeBlocking {
  const file = writableFile(task, args.i32(0));
  if (isErrno(file)) return file;
  if (isNegative(args, 2)) return EINVAL;
  return writeFile(
    task,
    file,
    task.memory.source(args.addr(1), Math.min(args.len(2), maxTransferBytes)),
  );
}

function sysPread64(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  if (position < 0) return EINVAL;
  const file = readableFile(task, args.i32(0));
  if (isErrno(file)) return notOpenForPosition(task, args.i32(0));
  if (isNegative(args, 2)) return EINVAL;
  return preadFile(
    task,
    file,
    task.memory.sink(args.addr(1), Math.min(args.len(2), maxTransferBytes)),
    position,
  );
}

function sysPwrite64(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  if (position < 0) return EINVAL;
  const file = writableFile(task, args.i32(0));
  if (isErrno(file)) return notOpenForPosition(task, args.i32(0));
  if (isNegative(args, 2)) return EINVAL;
  return pwriteFile(
    task,
    file,
    task.memory.source(args.addr(1), Math.min(args.len(2), maxTransferBytes)),
    position,
  );
}

function sysReadv(task: Task, args: SyscallArgs): MaybeBlocking {
  return readVector(task, args, -1, 0);
}

function sysWritev(task: Task, args: SyscallArgs): MaybeBlocking {
  return writeVector(task, args, -1, 0);
}

function sysPreadv(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  return position < 0 ? EINVAL : readVector(task, args, position, 0);
}

function sysPwritev(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  return position < 0 ? EINVAL : writeVector(task, args, position, 0);
}

/** Position -1 means the file's own offset. */
function sysPreadv2(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  return position < -1 ? EINVAL : readVector(task, args, position, args.i32(5));
}

function sysPwritev2(task: Task, args: SyscallArgs): MaybeBlocking {
  const position = args.i64(3);
  return position < -1 ? EINVAL : writeVector(task, args, position, args.i32(5));
}

function readVector(task: Task, args: SyscallArgs, position: number, flags: number): MaybeBlocking {
  const file = readableFile(task, args.i32(0));
  if (isErrno(file)) return position >= 0 ? notOpenForPosition(task, args.i32(0)) : file;
  // As in Linux, pread on a pipe fails before the vector is looked at.
  if (position >= 0 && file.seek(0, 1) === ESPIPE) return ESPIPE;
  const sink = task.memory.sinkOfVector(args.addr(1), args.len(2));
  if (isErrno(sink)) return sink;
  if ((flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT)) !== 0) return EOPNOTSUPP;
  if (sink.remaining === 0) return 0;
  if ((flags & RWF_NOWAIT) !== 0 && file.host !== undefined)
    return readAtHand(file, sink, position);
  if (position >= 0) return preadFile(task, file, sink, position);
  if ((flags & RWF_NOWAIT) !== 0)
    return withFlags(file, O_NONBLOCK, 0, () => readFile(task, file, sink));
  return readFile(task, file, sink);
}

/** RWF_NOWAIT: what is read without waiting for the host. */
function readAtHand(file: OpenFile, sink: Sink, position: number): SysResult {
  const asked = sink.remaining;
  const count = position >= 0 ? file.preadNow(sink, position) : file.readNow(sink);
  const part = asked - sink.remaining;
  if (count !== EAGAIN || part === 0) return count;
  if (position < 0) file.offset += part;
  return part;
}

function writeVector(
  task: Task,
  args: SyscallArgs,
  position: number,
  flags: number,
): MaybeBlocking {
  const file = writableFile(task, args.i32(0));
  if (isErrno(file)) return position >= 0 ? notOpenForPosition(task, args.i32(0)) : file;
  if (position >= 0 && file.seek(0, 1) === ESPIPE) return ESPIPE;
  const source = task.memory.sourceOfVector(args.addr(1), args.len(2));
  if (isErrno(source)) return source;
  if ((flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)) !== 0)
    return EOPNOTSUPP;
  if ((flags & RWF_APPEND) !== 0 && (flags & RWF_NOAPPEND) !== 0) return EINVAL;
  if (source.remaining === 0) return 0;
  const set =
    ((flags & RWF_APPEND) !== 0 ? O_APPEND : 0) | ((flags & RWF_NOWAIT) !== 0 ? O_NONBLOCK : 0);
  const clear = (flags & RWF_NOAPPEND) !== 0 ? O_APPEND : 0;
  const call = (): MaybeBlocking =>
    position >= 0 ? pwriteFile(task, file, source, position) : writeFile(task, file, source);
  const result = set === 0 && clear === 0 ? call() : withFlags(file, set, clear, call);
  if ((flags & (RWF_DSYNC | RWF_SYNC)) === 0) return result;
  return begin(writtenAndSynced(file, result));
}

function* writtenAndSynced(file: OpenFile, writing: MaybeBlocking): Blocking<SysResult> {
  const count = typeof writing === 'number' ? writing : yield* writing;
  if (count <= 0) return count;
  file.acquire();
  try {
    const syncing = file.sync();
    if (typeof syncing !== 'number') yield* syncing;
    return count;
  } finally {
    file.release();
  }
}

/** Runs `call` with other status flags, each piece of it where it goes on later. */
function withFlags(
  file: OpenFile,
  set: number,
  clear: number,
  call: () => MaybeBlocking,
): MaybeBlocking {
  const run = <T>(step: () => T): T => {
    const flags = file.flags;
    file.flags = (flags | set) & ~clear;
    try {
      return step();
    } finally {
      file.flags = flags;
    }
  };
  const result = run(call);
  return typeof result === 'number' ? result : stepByStep(result, run);
}

function* stepByStep(
  call: Blocking<SysResult>,
  run: (step: () => IteratorResult<Sleep, SysResult>) => IteratorResult<Sleep, SysResult>,
): Blocking<SysResult> {
  try {
    let step = run(() => call.next());
    while (step.done !== true) {
      const wake = yield step.value;
      step = run(() => call.next(wake));
    }
    return step.value;
  } finally {
    run(() => call.return(0));
  }
}

export const readWriteRows: readonly Row[] = [
  sleeps(0, 'read', ['fd', 'outBuffer', 'len'], sysRead),
  sleeps(1, 'write', ['fd', 'inBuffer', 'len'], sysWrite),
  sleeps(17, 'pread64', ['fd', 'outBuffer', 'len', 'offset'], sysPread64),
  sleeps(18, 'pwrite64', ['fd', 'inBuffer', 'len', 'offset'], sysPwrite64),
  sleeps(19, 'readv', ['fd', 'iovec', 'len'], sysReadv),
  sleeps(20, 'writev', ['fd', 'iovec', 'len'], sysWritev),
  sleeps(295, 'preadv', ['fd', 'iovec', 'len', 'offset', 'offset'], sysPreadv),
  sleeps(296, 'pwritev', ['fd', 'iovec', 'len', 'offset', 'offset'], sysPwritev),
  sleeps(327, 'preadv2', ['fd', 'iovec', 'len', 'offset', 'offset', 'hex'], sysPreadv2),
  sleeps(328, 'pwritev2', ['fd', 'iovec', 'len', 'offset', 'offset', 'hex'], sysPwritev2),
];
