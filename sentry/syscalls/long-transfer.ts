// SPDX-License-Identifier: Apache-2.0
// Reads and writes of more bytes than a turn has time for: they go on in pieces, between which
// other tasks run. Files whose bytes come at once (pipes, sockets, terminals) have bounds of their
// own and are not cut: `OpenFile.pieceBytes`.
import { EAGAIN, ERESTARTSYS, isErrno, type SysResult } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { S_IFREG } from '../../abi/stat.ts';
import { isPieceOver } from '../base/turn.ts';
import {
  type Blocking,
  KILLABLE_PAUSE,
  type MaybeBlocking,
  PAUSE,
  sleepOn,
  WaitQueue,
} from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { HostTransfers, LongCallOwner, OpenFile } from '../vfs/open-file.ts';

/** Never worth a second piece, whatever the file: the test that small calls pay for. */
const SHORT_BYTES = 65_536;

/** Returns whether a transfer of `bytes` is to be made in pieces. */
export function isLong(file: OpenFile, bytes: number): boolean {
  return bytes > SHORT_BYTES && bytes > file.pieceBytes;
}

/** Reads into all of `sink` piece by piece, from `position` on; undefined: at the file's offset. */
export function* readInPieces(
  task: Task,
  file: OpenFile,
  sink: Sink,
  position: number | undefined,
): Blocking<SysResult> {
  const piece = new SinkPiece(sink);
  return yield* inPieces(task, file, piece, (done) => {
    const asked = piece.remaining;
    const at = position === undefined ? undefined : position + done;
    const count = at === undefined ? file.readNow(piece) : file.preadNow(piece, at);
    const host = count === EAGAIN ? file.host : undefined;
    return host === undefined ? count : readFromHost(file, host, piece, asked, at);
  });
}

/**
 * Goes on with a read of `asked` bytes to which `readNow` or `preadNow` answered EAGAIN: the host
 * has to be waited for. `position` undefined: at the file's offset, which is the caller's alone.
 */
export function* readFromHost(
  file: OpenFile,
  host: HostTransfers,
  sink: Sink,
  asked: number,
  position: number | undefined,
): Blocking<SysResult> {
  const from = position ?? file.offset;
  const before = asked - sink.remaining;
  file.acquire();
  try {
    const count = yield* host.read(sink, from + before);
    if (isErrno(count) && before === 0) return count;
    const total = before + Math.max(count, 0);
    if (position === undefined) file.offset = from + total;
    return total;
  } finally {
    file.release();
  }
}

/** Writes all of `source` by way of the host's threads, to `position` or the file's offset. */
export function* writeToHost(
  file: OpenFile,
  source: Source,
  position: number | undefined,
): Blocking<SysResult> {
  const { host } = file;
  if (host === undefined) return 0;
  const at = file.writePosition(position ?? file.offset);
  file.acquire();
  try {
    const count = yield* host.write(source, at);
    if (count > 0 && position === undefined) file.offset = at + count;
    return count;
  } finally {
    file.release();
  }
}

export function* writeInPieces(
  task: Task,
  file: OpenFile,
  source: Source,
  step: (piece: Source, done: number) => SysResult,
): Blocking<SysResult> {
  const piece = new ShortSource(source, 0);
  return yield* inPieces(task, file, piece, (done) => step(piece, done));
}

/** The rest of the piece at hand. */
interface Piece {
  readonly remaining: number;
  readonly isLast: boolean;
  begin(bytes: number): void;
}

function* inPieces(
  task: Task,
  file: OpenFile,
  piece: Piece,
  step: (done: number) => MaybeBlocking,
): Blocking<SysResult> {
  // As in Linux, transfers of regular files are not cut short by signals.
  const pause = file.node.kind === S_IFREG ? KILLABLE_PAUSE : PAUSE;
  let total = 0;
  file.acquire();
  try {
    for (;;) {
      // The first piece too waits for its turn: many who ask for much at once would otherwise be
      // served before anybody else.
      if ((yield pause) === 'signal') return total > 0 ? total : ERESTARTSYS;
      do {
        piece.begin(file.pieceBytes);
        const wanted = piece.remaining;
        const stepped = step(total);
        const count = typeof stepped === 'number' ? stepped : yield* stepped;
        if (count === EAGAIN && file.goesOn) continue;
        if (isErrno(count)) return total > 0 ? total : count;
        total += count;
        if (count < wanted || piece.isLast) return total;
      } while (!isPieceOver(task.kernel.clock));
    }
  } finally {
    file.release();
  }
}

/**
 * Runs `call` while no other long call has one of `owners`, as Linux's locks of file offsets and
 * inodes do.
 */
export function* exclusively(
  owners: readonly LongCallOwner[],
  call: () => Blocking<SysResult>,
): Blocking<SysResult> {
  let owned = 0;
  const mine = { queue: new WaitQueue() };
  try {
    for (const owner of owners) {
      while (owner.longCall !== undefined)
        if ((yield sleepOn(owner.longCall, POLLIN)) === 'signal') return ERESTARTSYS;
      owner.longCall = mine;
      owned += 1;
    }
    return yield* call();
  } finally {
    for (const owner of owners.slice(0, owned)) owner.longCall = undefined;
    mine.queue.notify(POLLIN);
  }
}

/** Goes on with the result of a call that may have slept. */
export function* afterwards(
  call: Blocking<SysResult>,
  then: (result: SysResult) => SysResult,
): Blocking<SysResult> {
  return then(yield* call);
}

class SinkPiece implements Sink, Piece {
  readonly #sink: Sink;
  #left = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  begin(bytes: number): void {
    this.#left = bytes;
  }

  get remaining(): number {
    return Math.min(this.#left, this.#sink.remaining);
  }

  get isLast(): boolean {
    return this.#sink.remaining === 0;
  }

  put(src: Uint8Array): SysResult {
    const count = this.#sink.put(src);
    if (count > 0) this.#left -= count;
    return count;
  }
}

/** The first bytes of another source. */
export class ShortSource implements Source, Piece {
  readonly #source: Source;
  #left: number;

  constructor(source: Source, lengthBytes: number) {
    this.#source = source;
    this.#left = lengthBytes;
  }

  begin(bytes: number): void {
    this.#left = bytes;
  }

  get remaining(): number {
    return Math.min(this.#left, this.#source.remaining);
  }

  get isLast(): boolean {
    return this.#source.remaining === 0;
  }

  take(dst: Uint8Array): SysResult {
    const count = this.#source.take(dst.length > this.#left ? dst.subarray(0, this.#left) : dst);
    if (count > 0) this.#left -= count;
    return count;
  }

  giveBack(count: number): void {
    this.#source.giveBack(count);
    this.#left += count;
  }
}
