// SPDX-License-Identifier: Apache-2.0
// Open files with positions: read(2) and write(2) are pread(2) and pwrite(2) at the file offset,
// which lseek(2) moves.
import { EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_APPEND, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../../abi/fcntl.ts';
import type { Sink, Source } from './io.ts';
import { OpenFile } from './open-file.ts';

/** Copied in a fraction of a millisecond. */
const PIECE_BYTES = 1_048_576;

export abstract class PositionedFile extends OpenFile {
  override get pollable(): boolean {
    return false;
  }

  override get pieceBytes(): number {
    return PIECE_BYTES;
  }

  abstract override pread(sink: Sink, position: number): SysResult;

  override read(sink: Sink): SysResult {
    const count = this.pread(sink, this.offset);
    if (count > 0) this.offset += count;
    return count;
  }

  override readNow(sink: Sink): SysResult {
    const count = this.preadNow(sink, this.offset);
    if (count > 0) this.offset += count;
    return count;
  }

  override write(source: Source): SysResult {
    const position = this.writePosition(this.offset);
    const count = this.writeAt(source, position);
    if (!isErrno(count)) this.offset = position + count;
    return count;
  }

  override pwrite(source: Source, position: number): SysResult {
    return this.writeAt(source, this.writePosition(position));
  }

  /** pwrite(2) at `position`, whatever O_APPEND says. EINVAL from files that take no bytes. */
  protected writeAt(_source: Source, _position: number): SysResult {
    return EINVAL;
  }

  override writePosition(position: number): number {
    return (this.flags & O_APPEND) === 0 ? position : (this.endFor('append') ?? position);
  }

  /** Where the file ends, for O_APPEND or SEEK_END; undefined where a file heeds neither. */
  protected endFor(_purpose: 'append' | 'seek'): number | undefined {
    return undefined;
  }

  /** The largest offset that lseek(2) may reach. */
  protected get maxOffset(): number {
    return Number.POSITIVE_INFINITY;
  }

  override seek(position: number, whence: number): SysResult {
    const target = this.#seekTarget(position, whence);
    if (isErrno(target)) return target;
    if (target > this.maxOffset) return EINVAL;
    this.offset = target;
    return target;
  }

  #seekTarget(position: number, whence: number): SysResult {
    if (whence === SEEK_DATA || whence === SEEK_HOLE) return this.seekData(position, whence);
    const end = whence === SEEK_END ? this.endFor('seek') : undefined;
    return seekTarget(this.offset, position, whence, end);
  }

  /** SEEK_DATA and SEEK_HOLE, for files that know their holes. */
  protected seekData(_position: number, _whence: number): SysResult {
    return EINVAL;
  }
}

/**
 * Where lseek(2) by SEEK_SET, SEEK_CUR or SEEK_END leads from `offset`. `end`: undefined refuses
 * SEEK_END.
 */
export function seekTarget(
  offset: number,
  position: number,
  whence: number,
  end?: number,
): SysResult {
  const bases = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? offset : undefined;
  const base = whence === SEEK_END ? end : bases;
  return base === undefined || base + position < 0 ? EINVAL : base + position;
}
