// SPDX-License-Identifier: Apache-2.0
// splice(2), tee(2), vmsplice(2). Bytes are copied: pages are not the Sentry's to move.
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { O_ACCMODE, O_APPEND, O_WRONLY, SEEK_CUR } from '../../abi/fcntl.ts';
import { SIGPIPE } from '../../abi/signal.ts';
import { getI64 } from '../../abi/time.ts';
import { SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from '../../abi/uio.ts';
import { type Blocking, type MaybeBlocking, sleepOn } from '../base/wait.ts';
import type { Pipe } from '../fs/pipe/pipe.ts';
import { pipeOf } from '../fs/pipe/pipe-end.ts';
import { PipeSink, PipeSource } from '../fs/pipe/pipe-io.ts';
import type { Task } from '../kernel/task.ts';
import type { Source } from '../vfs/io.ts';
import { notifyRead, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { beforeWrite } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import {
  isNonblocking,
  limitedWrite,
  maxTransferBytes,
  raise,
  readableFile,
  readEvents,
  writableFile,
  writeEvents,
} from './transfer.ts';

const spliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

/** One attempt to move bytes: a count, or EAGAIN with the file that is not ready. */
interface Mover {
  attempt(): SysResult;
  /** Where to sleep after EAGAIN. */
  readonly waitFor: OpenFile;
  readonly events: number;
  /** The bytes that attempts which ended with EAGAIN have moved: the answer where there is no further one. */
  readonly moved: number;
}

/** Repeats a mover's attempt until it is done, as long as the caller may sleep. */
function* moveWhenReady(
  mover: Mover,
  held: readonly OpenFile[],
  mayWait: (mover: Mover) => boolean,
): Blocking<SysResult> {
  for (const file of held) file.acquire();
  try {
    for (;;) {
      const wake = yield sleepOn(mover.waitFor, mover.events);
      if (wake === 'signal') return mover.moved > 0 ? mover.moved : ERESTARTSYS;
      const moved = mover.attempt();
      if (moved !== EAGAIN) return moved;
      if (!mayWait(mover)) return mover.moved > 0 ? mover.moved : EAGAIN;
    }
  } finally {
    for (const file of held) file.release();
  }
}

function move(
  task: Task,
  mover: Mover,
  held: readonly OpenFile[],
  mayWait: (mover: Mover) => boolean,
): MaybeBlocking {
  const moved = mover.attempt();
  if (moved !== EAGAIN) return finish(task, moved);
  if (mayWait(mover)) return finishLater(task, moveWhenReady(mover, held, mayWait));
  return mover.moved > 0 ? mover.moved : EAGAIN;
}

function* finishLater(task: Task, call: Blocking<SysResult>): Blocking<SysResult> {
  return finish(task, yield* call);
}

function finish(task: Task, moved: SysResult): SysResult {
  if (moved === EPIPE) raise(task, SIGPIPE);
  return moved;
}

/** Returns a position argument: undefined for a null pointer (the file's own offset). */
export function readPosition(task: Task, addr: number): SysResult | undefined {
  if (addr === 0) return undefined;
  const view = task.memory.view(addr, 8);
  if (isErrno(view)) return view;
  const position = getI64(view, 0);
  return position < 0 ? EINVAL : position;
}

function sysSplice(task: Task, args: SyscallArgs): MaybeBlocking {
  const length = Math.min(args.len(4), maxTransferBytes);
  const flags = args.u32(5);
  if (length === 0) return 0;
  if ((flags & ~spliceFlags) !== 0) return EINVAL;
  const input = readableFile(task, args.i32(0));
  if (isErrno(input)) return input;
  const output = writableFile(task, args.i32(2));
  if (isErrno(output)) return output;
  const inPipe = pipeOf(input);
  const outPipe = pipeOf(output);
  if ((inPipe !== undefined && args.addr(1) !== 0) || (outPipe !== undefined && args.addr(3) !== 0))
    return ESPIPE;
  const nonblocking = (flags & SPLICE_F_NONBLOCK) !== 0;
  if (inPipe !== undefined && outPipe !== undefined) {
    if (inPipe === outPipe) return EINVAL;
    const mayWait = !nonblocking && !isNonblocking(input) && !isNonblocking(output);
    return move(
      task,
      pipeToPipe(input, inPipe, output, outPipe, length, true),
      [input, output],
      () => mayWait,
    );
  }
  if (inPipe !== undefined)
    return pipeToFile(task, args, input, inPipe, output, length, nonblocking);
  if (outPipe !== undefined)
    return fileToPipe(task, args, input, output, outPipe, length, nonblocking);
  return EINVAL;
}

function pipeToPipe(
  input: OpenFile,
  from: Pipe,
  output: OpenFile,
  to: Pipe,
  length: number,
  consume: boolean,
): Mover {
  const mover = {
    waitFor: input,
    events: readEvents,
    moved: 0,
    attempt(): SysResult {
      if (to.readers === 0) return EPIPE;
      mover.waitFor = input;
      mover.events = readEvents;
      if (from.ring.length === 0) return from.writers === 0 ? 0 : EAGAIN;
      mover.waitFor = output;
      mover.events = writeEvents;
      if (to.isFull) return EAGAIN;
      const count = Math.min(length, from.ring.length, to.capacity - to.ring.length);
      const moved = to.write(new PipeSource(from, count), count);
      if (moved > 0 && consume) from.discard(moved);
      return moved;
    },
  };
  return mover;
}

function pipeToFile(
  task: Task,
  args: SyscallArgs,
  input: OpenFile,
  pipe: Pipe,
  output: OpenFile,
  length: number,
  nonblocking: boolean,
): MaybeBlocking {
  const addr = args.addr(3);
  const position = readPosition(task, addr);
  if (isErrno(position)) return position;
  if (position !== undefined && isErrno(output.seek(0, SEEK_CUR))) return EINVAL;
  if ((output.flags & O_APPEND) !== 0 || !output.canSpliceTo) return EINVAL;
  const write = (done: number): SysResult => {
    const at = position === undefined ? undefined : position + done;
    const source = limitedWrite(
      task,
      output,
      new PipeSource(pipe, length - done),
      at ?? output.offset,
    );
    if (isErrno(source)) return source;
    beforeWrite(output, task.credentials);
    const moved = at === undefined ? output.write(source) : output.pwrite(source, at);
    if (moved > 0) pipe.discard(moved);
    if (moved > 0) notifyWritten(output);
    if (moved > 0 && at !== undefined) task.memory.writeU64(addr, at + moved);
    return moved;
  };
  // What is in the pipe goes out before the call returns; for more it waits only where none was there.
  const mover = {
    waitFor: input,
    events: readEvents,
    moved: 0,
    attempt(): SysResult {
      while (mover.moved < length && pipe.ring.length > 0) {
        const count = write(mover.moved);
        mover.waitFor = output;
        mover.events = writeEvents;
        if (count === EAGAIN) return EAGAIN;
        if (count <= 0) return mover.moved > 0 ? mover.moved : count;
        mover.moved += count;
      }
      mover.waitFor = input;
      mover.events = readEvents;
      return mover.moved > 0 || pipe.writers === 0 ? mover.moved : EAGAIN;
    },
  };
  // SPLICE_F_NONBLOCK is about the pipe: a file that blocks still does (splice(2)).
  const mayWaitForPipe = !nonblocking && !isNonblocking(input) && !isNonblocking(output);
  const mayWait = ({ waitFor }: Mover): boolean =>
    waitFor === output ? !isNonblocking(output) : mayWaitForPipe;
  return move(task, mover, [input, output], mayWait);
}

function fileToPipe(
  task: Task,
  args: SyscallArgs,
  input: OpenFile,
  output: OpenFile,
  pipe: Pipe,
  length: number,
  nonblocking: boolean,
): MaybeBlocking {
  const addr = args.addr(1);
  const position = readPosition(task, addr);
  if (isErrno(position)) return position;
  if (position !== undefined && isErrno(input.seek(0, SEEK_CUR))) return EINVAL;
  if (!input.canSpliceFrom) return EINVAL;
  const sink = new PipeSink(pipe, length);
  const read = (): SysResult => {
    if (position === undefined) return input.read(sink);
    const moved = input.pread(sink, position);
    if (moved > 0) task.memory.writeU64(addr, position + moved);
    return moved;
  };
  return readIntoPipe(task, input, output, pipe, read, nonblocking);
}

/** Waits for room in the pipe `output`, and for what `read` puts there out of `input`. */
export function readIntoPipe(
  task: Task,
  input: OpenFile,
  output: OpenFile,
  pipe: Pipe,
  read: () => SysResult,
  nonblocking: boolean,
): MaybeBlocking {
  const mover = {
    waitFor: output,
    events: writeEvents,
    moved: 0,
    attempt(): SysResult {
      if (pipe.readers === 0) return EPIPE;
      mover.waitFor = output;
      mover.events = writeEvents;
      if (pipe.isFull) return EAGAIN;
      mover.waitFor = input;
      mover.events = readEvents;
      const moved = read();
      if (moved > 0) notifyRead(input);
      return moved;
    },
  };
  const mayWait = !nonblocking && !isNonblocking(input) && !isNonblocking(output);
  return move(task, mover, [input, output], () => mayWait);
}

function sysTee(task: Task, args: SyscallArgs): MaybeBlocking {
  const length = Math.min(args.len(2), maxTransferBytes);
  const flags = args.u32(3);
  if ((flags & ~spliceFlags) !== 0) return EINVAL;
  if (length === 0) return 0;
  const input = readableFile(task, args.i32(0));
  if (isErrno(input)) return input;
  const output = writableFile(task, args.i32(1));
  if (isErrno(output)) return output;
  const from = pipeOf(input);
  const to = pipeOf(output);
  if (from === undefined || to === undefined || from === to) return EINVAL;
  const mayWait =
    (flags & SPLICE_F_NONBLOCK) === 0 && !isNonblocking(input) && !isNonblocking(output);
  const mover = pipeToPipe(input, from, output, to, length, false);
  return move(task, mover, [input, output], () => mayWait);
}

/**
 * vmsplice(2): with pages copied, one write to (or read from) a pipe, which takes what there is
 * room for. Only its own flag keeps the call from waiting, not the file's.
 */
function sysVmsplice(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(3);
  if ((flags & ~spliceFlags) !== 0) return EINVAL;
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  const pipe = pipeOf(file);
  if (pipe === undefined) return EBADF;
  const writes = (file.flags & O_ACCMODE) === O_WRONLY;
  const vector = writes
    ? task.memory.sourceOfVector(args.addr(1), args.len(2))
    : task.memory.sinkOfVector(args.addr(1), args.len(2));
  if (isErrno(vector)) return vector;
  if (vector.remaining === 0) return 0;
  const mover: Mover = {
    waitFor: file,
    events: writes ? writeEvents : readEvents,
    moved: 0,
    attempt: () => ('take' in vector ? fillPipe(pipe, vector) : file.read(vector)),
  };
  return move(task, mover, [file], () => (flags & SPLICE_F_NONBLOCK) === 0);
}

/** Any room is enough: PIPE_BUF is for write(2). */
function fillPipe(pipe: Pipe, source: Source): SysResult {
  if (pipe.readers === 0) return EPIPE;
  return pipe.isFull ? EAGAIN : pipe.write(source);
}

export const spliceRows: readonly Row[] = [
  sleeps(275, 'splice', ['fd', 'addr', 'fd', 'addr', 'len', 'hex'], sysSplice),
  sleeps(276, 'tee', ['fd', 'fd', 'len', 'hex'], sysTee),
  sleeps(278, 'vmsplice', ['fd', 'iovec', 'len', 'hex'], sysVmsplice),
];
