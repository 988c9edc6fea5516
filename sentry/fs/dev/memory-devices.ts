// SPDX-License-Identifier: Apache-2.0
// null(4), zero, full(4), random(4), urandom: character devices of major 1.
import { EINVAL, ENOSPC, ENOTTY, EPERM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { SEEK_END } from '../../../abi/fcntl.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';

const zeros = new Uint8Array(65536);
const random = new Uint8Array(32_768);
const ZEROS_PIECE_BYTES = 1_048_576;
/** Random bytes cost the host ten times as much. */
const RANDOM_PIECE_BYTES = 131_072;

/** include/uapi/linux/random.h. */
const RNDGETENTCNT = 0x80045200;
const RNDADDTOENTCNT = 0x40045201;
const RNDADDENTROPY = 0x40085203;
const RNDZAPENTCNT = 0x5204;
const RNDCLEARPOOL = 0x5206;
const RNDRESEEDCRNG = 0x5207;
const poolBits = 256;

abstract class MemoryDevice extends OpenFile {
  readonly node: Node;

  constructor(node: Node, flags: number) {
    super(flags);
    this.node = node;
  }

  override get pieceBytes(): number {
    return ZEROS_PIECE_BYTES;
  }

  override get pollable(): boolean {
    return false;
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override pread(sink: Sink, _position: number): SysResult {
    return this.read(sink);
  }

  override pwrite(source: Source, _position: number): SysResult {
    return this.write(source);
  }

  /** Accepts all bytes without reading them. */
  override write(source: Source): SysResult {
    return source.remaining;
  }

  override seek(_position: number, _whence: number): SysResult {
    return 0;
  }
}

export class NullFile extends MemoryDevice {
  override get canSpliceFrom(): boolean {
    return false;
  }

  override read(_sink: Sink): SysResult {
    return 0;
  }
}

export class ZeroFile extends MemoryDevice {
  override get mapsAsAnonymous(): boolean {
    return true;
  }

  override read(sink: Sink): SysResult {
    return putRepeatedly(sink, () => zeros);
  }
}

export class FullFile extends MemoryDevice {
  override get canSpliceTo(): boolean {
    return false;
  }

  override read(sink: Sink): SysResult {
    return putRepeatedly(sink, () => zeros);
  }

  override write(source: Source): SysResult {
    return source.remaining === 0 ? 0 : ENOSPC;
  }
}

/**
 * /dev/random and /dev/urandom: the same since Linux 5.6, and always ready. Only the former can be
 * polled.
 */
export class RandomFile extends MemoryDevice {
  readonly #fill: (bytes: Uint8Array) => void;
  readonly #pollable: boolean;

  constructor(
    node: Node,
    flags: number,
    fill: (bytes: Uint8Array) => void,
    options: { readonly pollable: boolean },
  ) {
    super(node, flags);
    this.#fill = fill;
    this.#pollable = options.pollable;
  }

  override get pollable(): boolean {
    return this.#pollable;
  }

  override get pieceBytes(): number {
    return RANDOM_PIECE_BYTES;
  }

  override read(sink: Sink): SysResult {
    return putRepeatedly(sink, () => {
      const piece = sink.remaining < random.length ? random.subarray(0, sink.remaining) : random;
      this.#fill(piece);
      return piece;
    });
  }

  override seek(position: number, whence: number): SysResult {
    return whence === SEEK_END || position < 0 ? EINVAL : position;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    switch (command) {
      case RNDGETENTCNT:
        return caller.memory.writeU32(argument, poolBits);
      // The generator is the host's: nobody inside adds to it or empties it.
      case RNDADDTOENTCNT:
      case RNDADDENTROPY:
      case RNDZAPENTCNT:
      case RNDCLEARPOOL:
      case RNDRESEEDCRNG:
        return EPERM;
      default:
        return ENOTTY;
    }
  }
}

/** Fills `sink` with what `next` gives, piece by piece. */
function putRepeatedly(sink: Sink, next: () => Uint8Array): SysResult {
  let total = 0;
  while (sink.remaining > 0) {
    const piece = next();
    const wanted = Math.min(piece.length, sink.remaining);
    const put = sink.put(piece.subarray(0, wanted));
    if (isErrno(put)) return total === 0 ? put : total;
    total += put;
    if (put < wanted) break;
  }
  return total;
}
