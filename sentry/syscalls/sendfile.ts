// SPDX-License-Identifier: Apache-2.0
// sendfile(2): fs/read_write.c and fs/splice.c of Linux. Bytes are copied in pieces, between which
// other tasks run.
import {
  EAGAIN,
  EINVAL,
  EOVERFLOW,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { O_APPEND, SEEK_CUR } from '../../abi/fcntl.ts';
import { SIGPIPE } from '../../abi/signal.ts';
import { type Blocking, type MaybeBlocking, sleepOn } from '../base/wait.ts';
import { pipeOf } from '../fs/pipe/pipe-end.ts';
import { PipeSink } from '../fs/pipe/pipe-io.ts';
import type { Task } from '../kernel/task.ts';
import { BufferSink, BufferSource } from '../vfs/io.ts';
import { notifyRead, notifyWritten } from '../vfs/notify.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { beforeWrite } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';
import { readIntoPipe, readPosition } from './splice.ts';
import {
  betweenPieces,
  isNonblocking,
  limitedWrite,
  maxTransferBytes,
  raise,
  readableFile,
  writableFile,
  writeEvents,
} from './transfer.ts';

/** Copied before others get their turn. */
const PIECE_BYTES = 1_048_576;
const CHUNK_BYTES = 65_536;
/** Bytes on their way from one file to another; nothing else runs while they are here. */
const chunk = new Uint8Array(CHUNK_BYTES);

function sysSendfile(task: Task, args: SyscallArgs): MaybeBlocking {
  const input = readableFile(task, args.i32(1));
  if (isErrno(input)) return input;
  const output = writableFile(task, args.i32(0));
  if (isErrno(output)) return output;
  const addr = args.addr(2);
  const position = readPosition(task, addr);
  if (isErrno(position)) return position;
  const isSeekable = !isErrno(input.seek(0, SEEK_CUR));
  if (!isSeekable && position !== undefined) return ESPIPE;
  if (args.high(3) >>> 31 === 1) return EINVAL;
  const length = Math.min(args.len(3), maxTransferBytes);
  if (!input.canSpliceFrom || !output.canSpliceTo) return EINVAL;
  if (!isSeekable) return sendStream(task, input, output, length);
  if ((output.flags & O_APPEND) !== 0 && pipeOf(output) === undefined) return EINVAL;
  const start = position ?? input.offset;
  if (start + length > Number.MAX_SAFE_INTEGER) return EOVERFLOW;
  const call = new Sendfile(task, input, output, start, length, position === undefined ? 0 : addr);
  return call.begin();
}

/** Only a pipe takes what a stream gives: elsewhere bytes could be lost on the way. */
function sendStream(task: Task, input: OpenFile, output: OpenFile, length: number): MaybeBlocking {
  const pipe = pipeOf(output);
  if (pipe === undefined) return EINVAL;
  const read = (): SysResult => input.read(new PipeSink(pipe, length));
  return readIntoPipe(task, input, output, pipe, read, false);
}

/**
 * One sendfile call: goes on through waits and pauses until all is sent, the input ends, or a
 * signal comes.
 */
class Sendfile {
  readonly #task: Task;
  readonly #input: OpenFile;
  readonly #output: OpenFile;
  /** Where the program keeps the position; 0: the file does. */
  readonly #addr: number;
  readonly #start: number;
  readonly #end: number;
  #position: number;

  constructor(
    task: Task,
    input: OpenFile,
    output: OpenFile,
    start: number,
    length: number,
    addr: number,
  ) {
    this.#task = task;
    this.#input = input;
    this.#output = output;
    this.#addr = addr;
    this.#start = start;
    this.#end = start + length;
    this.#position = start;
  }

  begin(): MaybeBlocking {
    beforeWrite(this.#output, this.#task.credentials);
    const done = this.#piece();
    const isOver = done !== undefined && (done !== EAGAIN || isNonblocking(this.#output));
    return isOver ? this.#finish(done) : this.#goOn(done);
  }

  /**
   * Sends a piece. Undefined: there is more to send; 0: there is not; or the error, EAGAIN
   * included, that stops it.
   */
  #piece(): SysResult | undefined {
    const pieceEnd = Math.min(this.#end, this.#position + PIECE_BYTES);
    while (this.#position < pieceEnd) {
      const room = chunk.subarray(0, Math.min(CHUNK_BYTES, pieceEnd - this.#position));
      const read = this.#input.pread(new BufferSink(room), this.#position);
      if (read === EAGAIN && this.#input.goesOn) return undefined;
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
    }
    return this.#position < this.#end ? undefined : 0;
  }

  *#goOn(before: SysResult | undefined): Blocking<SysResult> {
    let done = before;
    this.#input.acquire();
    this.#output.acquire();
    try {
      for (;;) {
        const wake = yield done === EAGAIN
          ? sleepOn(this.#output, writeEvents)
          : betweenPieces(this.#output);
        if (wake === 'signal') return this.#finish(ERESTARTSYS);
        done = this.#piece();
        if (done === undefined || (done === EAGAIN && !isNonblocking(this.#output))) continue;
        return this.#finish(done);
      }
    } finally {
      this.#input.release();
      this.#output.release();
    }
  }

  /** The count sent so far wins over an error; offsets move by it. */
  #finish(done: SysResult): SysResult {
    const sent = this.#position - this.#start;
    if (done === EPIPE) raise(this.#task, SIGPIPE);
    if (sent > 0) {
      notifyRead(this.#input);
      notifyWritten(this.#output);
    }
    if (sent === 0 && isErrno(done)) return done;
    if (this.#addr === 0) this.#input.offset = this.#position;
    else {
      const stored = this.#task.memory.writeU64(this.#addr, this.#position);
      if (isErrno(stored)) return stored;
    }
    return sent;
  }
}

export const sendfileRows: readonly Row[] = [
  sleeps(40, 'sendfile', ['fd', 'fd', 'addr', 'len'], sysSendfile),
];
