// splice(2), tee(2), vmsplice(2), sendfile(2). Bytes are copied: pages are not the Sentry's to move.
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EOVERFLOW,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { O_ACCMODE, O_APPEND, O_NONBLOCK, O_WRONLY } from '../../abi/fcntl.ts';
import { SIGPIPE } from '../../abi/signal.ts';
import { S_IFBLK, S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import { getI64 } from '../../abi/time.ts';
import { SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from '../../abi/uio.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, type MaybeBlocking, PAUSE, sleepOn } from '../base/wait.ts';
import type { Pipe } from '../fs/pipe/pipe.ts';
import { pipeOf } from '../fs/pipe/pipe-end.ts';
import { PipeSink, PipeSource } from '../fs/pipe/pipe-io.ts';
import type { Task } from '../kernel/task.ts';
import { BufferSink, BufferSource } from '../vfs/io.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import {
  isNonblocking,
  limitedWrite,
  maxTransferBytes,
  raise,
  readableFile,
  readEvents,
  readFile,
  writableFile,
  writeEvents,
  writeFile,
} from './transfer.ts';

const spliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
const chunkBytes = 65536;
/** From here on sendfile(2) waits for its turn before it begins. */
const LONG_BYTES = 1_048_576;
/** Bytes on their way from one file to another; nothing else runs while they are here. */
const chunk = new Uint8Array(chunkBytes);

/** One attempt to move bytes: a count, or EAGAIN with the file that is not ready. */
interface Mover {
  attempt(): SysResult;
  /** Where to sleep after EAGAIN. */
  readonly waitFor: OpenFile;
  readonly events: number;
}

/** Repeats a mover's attempt until it moves something; EAGAIN at once where the caller may not sleep. */
function* moveWhenReady(mover: Mover, held: readonly OpenFile[]): Blocking<SysResult> {
  for (const file of held) file.acquire();
  try {
    for (;;) {
      const moved = mover.attempt();
      if (moved !== EAGAIN) return moved;
      const wake = yield sleepOn(mover.waitFor, mover.events);
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    for (const file of held) file.release();
  }
}

function move(
  task: Task,
  mover: Mover,
  held: readonly OpenFile[],
  mayWait: boolean,
): MaybeBlocking {
  const moved = mover.attempt();
  if (moved === EAGAIN && mayWait) return finishLater(task, moveWhenReady(mover, held));
  return finish(task, moved);
}

function* finishLater(task: Task, call: Blocking<SysResult>): Blocking<SysResult> {
  return finish(task, yield* call);
}

function finish(task: Task, moved: SysResult): SysResult {
  if (moved === EPIPE) raise(task, SIGPIPE);
  return moved;
}

/** A position argument: undefined for a null pointer (the file's own offset). */
function readPosition(task: Task, addr: number): SysResult | undefined {
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
      mayWait,
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
  if (position !== undefined && isErrno(output.seek(0, 1))) return EINVAL;
  if ((output.flags & O_APPEND) !== 0) return EINVAL;
  const mover = {
    waitFor: input,
    events: readEvents,
    attempt(): SysResult {
      mover.waitFor = input;
      mover.events = readEvents;
      if (pipe.ring.length === 0) return pipe.writers === 0 ? 0 : EAGAIN;
      mover.waitFor = output;
      mover.events = writeEvents;
      const source = limitedWrite(
        task,
        output,
        new PipeSource(pipe, length),
        position ?? output.offset,
      );
      if (isErrno(source)) return source;
      const moved = position === undefined ? output.write(source) : output.pwrite(source, position);
      if (moved > 0) pipe.discard(moved);
      if (moved > 0 && position !== undefined) task.memory.writeU64(addr, position + moved);
      return moved;
    },
  };
  return move(
    task,
    mover,
    [input, output],
    !nonblocking && !isNonblocking(input) && !isNonblocking(output),
  );
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
  if (position !== undefined && isErrno(input.seek(0, 1))) return EINVAL;
  if (input.node.kind === S_IFDIR) return EINVAL;
  const mover = {
    waitFor: output,
    events: writeEvents,
    attempt(): SysResult {
      if (pipe.readers === 0) return EPIPE;
      mover.waitFor = output;
      mover.events = writeEvents;
      if (pipe.isFull) return EAGAIN;
      mover.waitFor = input;
      mover.events = readEvents;
      const sink = new PipeSink(pipe, length);
      const moved = position === undefined ? input.read(sink) : input.pread(sink, position);
      if (moved > 0 && position !== undefined) task.memory.writeU64(addr, position + moved);
      return moved;
    },
  };
  return move(
    task,
    mover,
    [input, output],
    !nonblocking && !isNonblocking(input) && !isNonblocking(output),
  );
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
  return move(task, pipeToPipe(input, from, output, to, length, false), [input, output], mayWait);
}

/** vmsplice(2): with pages copied it is writev (or readv) on a pipe. */
function sysVmsplice(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(3);
  if ((flags & ~spliceFlags) !== 0) return EINVAL;
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  if (pipeOf(file) === undefined) return EBADF;
  const writes = (file.flags & O_ACCMODE) === O_WRONLY;
  const old = file.flags;
  const vector = writes
    ? task.memory.sourceOfVector(args.addr(1), args.len(2))
    : task.memory.sinkOfVector(args.addr(1), args.len(2));
  if (isErrno(vector)) return vector;
  if (vector.remaining === 0) return 0;
  if ((flags & SPLICE_F_NONBLOCK) !== 0) file.flags |= O_NONBLOCK;
  const result = 'take' in vector ? writeFile(task, file, vector) : readFile(task, file, vector);
  file.flags = old;
  return result;
}

function sysSendfile(task: Task, args: SyscallArgs): MaybeBlocking {
  const input = readableFile(task, args.i32(1));
  if (isErrno(input)) return input;
  const output = writableFile(task, args.i32(0));
  if (isErrno(output)) return output;
  const addr = args.addr(2);
  const position = readPosition(task, addr);
  if (isErrno(position)) return position;
  const kind = input.node.kind;
  if (kind !== S_IFREG && kind !== S_IFBLK) return position === undefined ? EINVAL : ESPIPE;
  if ((output.flags & O_APPEND) !== 0) return EINVAL;
  if (args.high(3) >>> 31 === 1) return EINVAL;
  const start = position ?? input.offset;
  const length = Math.min(args.len(3), maxTransferBytes);
  if (start + length > Number.MAX_SAFE_INTEGER) return EOVERFLOW;
  const call = new Sendfile(
    task,
    input,
    output,
    start,
    length,
    position === undefined ? undefined : addr,
  );
  if (length > LONG_BYTES) return call.goOn(true);
  const done = call.step();
  return done === EAGAIN && call.mayWait ? call.goOn(false) : call.finish(done);
}

/** One sendfile call: goes on through waits until all is sent, the input ends, or a signal comes. */
class Sendfile {
  readonly #task: Task;
  readonly #input: OpenFile;
  readonly #output: OpenFile;
  readonly #addr: number | undefined;
  readonly #start: number;
  readonly #end: number;
  #position: number;

  constructor(
    task: Task,
    input: OpenFile,
    output: OpenFile,
    start: number,
    length: number,
    addr: number | undefined,
  ) {
    this.#task = task;
    this.#input = input;
    this.#output = output;
    this.#addr = addr;
    this.#start = start;
    this.#end = start + length;
    this.#position = start;
  }

  /** The last EAGAIN came from the clock or the input, which go on in a later turn, and not from the output. */
  #isPaused = false;

  get mayWait(): boolean {
    return this.#isPaused || !isNonblocking(this.#output);
  }

  /** Sends until nothing is left (0) or an error, EAGAIN included, stops it. */
  step(): SysResult {
    this.#isPaused = false;
    while (this.#position < this.#end) {
      const room = chunk.subarray(0, Math.min(chunkBytes, this.#end - this.#position));
      const read = this.#input.pread(new BufferSink(room), this.#position);
      if (read === EAGAIN) this.#isPaused = true;
      if (read <= 0) return read;
      const source = limitedWrite(
        this.#task,
        this.#output,
        new BufferSource(chunk.subarray(0, read)),
        this.#output.offset,
      );
      if (isErrno(source)) return source;
      const written = this.#output.write(source);
      if (isErrno(written)) return written;
      this.#position += written;
      if (written === 0) return 0;
      if (this.#position < this.#end && isPieceOver(this.#task.kernel.clock)) {
        this.#isPaused = true;
        return EAGAIN;
      }
    }
    return 0;
  }

  /** Goes on until it is done. `isLong`: nothing was sent yet, and others come first. */
  *goOn(isLong: boolean): Blocking<SysResult> {
    this.#input.acquire();
    this.#output.acquire();
    this.#isPaused ||= isLong;
    try {
      for (;;) {
        const wake = yield this.#isPaused ? PAUSE : sleepOn(this.#output, writeEvents);
        if (wake === 'signal') return this.finish(ERESTARTSYS);
        const done = this.step();
        if (done !== EAGAIN || !this.mayWait) return this.finish(done);
      }
    } finally {
      this.#input.release();
      this.#output.release();
    }
  }

  /** The count sent so far wins over an error; offsets move by it. */
  finish(done: SysResult): SysResult {
    const sent = this.#position - this.#start;
    if (done === EPIPE) raise(this.#task, SIGPIPE);
    if (sent === 0 && isErrno(done)) return done;
    if (this.#addr === undefined) this.#input.offset = this.#position;
    else {
      const stored = this.#task.memory.writeU64(this.#addr, this.#position);
      if (isErrno(stored)) return stored;
    }
    return sent;
  }
}

export const spliceRows: readonly Row[] = [
  sleeps(40, 'sendfile', ['fd', 'fd', 'addr', 'len'], sysSendfile),
  sleeps(275, 'splice', ['fd', 'addr', 'fd', 'addr', 'len', 'hex'], sysSplice),
  sleeps(276, 'tee', ['fd', 'fd', 'len', 'hex'], sysTee),
  sleeps(278, 'vmsplice', ['fd', 'iovec', 'len', 'hex'], sysVmsplice),
];
