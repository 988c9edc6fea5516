// SPDX-License-Identifier: Apache-2.0
// Regular files in memory, and their open descriptions.
import {
  EBADF,
  EFBIG,
  EINVAL,
  ENXIO,
  EOPNOTSUPP,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  canRead,
  canWrite,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_NOATIME,
} from '../../../abi/fcntl.ts';
import type { WallTime } from '../../base/clock.ts';
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { NewNode } from '../../vfs/node.ts';
import type { HostTransfers, Mappable, OpenFile } from '../../vfs/open-file.ts';
import { PositionedFile } from '../../vfs/positioned-file.ts';
import { FileData, maxFileBytes } from './file-data.ts';
import type { TmpFileSystem } from './filesystem.ts';
import { MemoryNode } from './memory-node.ts';

export class TmpFile extends MemoryNode {
  /** Undefined: nothing was written yet (and in fs/overlay: the lower file's bytes count). */
  #data: FileData | undefined = undefined;
  #freed = false;

  constructor(filesystem: TmpFileSystem, as: NewNode, ino?: number) {
    super(filesystem, as, ino);
  }

  /** The bytes, where they are held here. */
  protected get ownData(): FileData | undefined {
    return this.#data;
  }

  /** The account that pays for the bytes. */
  protected dataAccount(): MemoryAccount {
    return this.filesystem.data;
  }

  /** Bytes for a file that had none of its own. */
  protected newData(): FileData {
    this.#data = new FileData(this.filesystem.dev, this.ino, this.dataAccount());
    return this.#data;
  }

  /** newData() turned out to be in vain. */
  protected dropData(): void {
    this.#data?.release();
    this.#data = undefined;
  }

  /** The bytes, to be changed. Made when there are none; fs/overlay copies the lower file up. */
  data(): Result<FileData> {
    return this.#data ?? this.newData();
  }

  get sizeBytes(): number {
    return this.#data?.sizeBytes ?? 0;
  }

  get blocks(): number {
    return this.#data?.blocks ?? 0;
  }

  readAt(sink: Sink, position: number): SysResult {
    return this.#data === undefined ? 0 : this.#data.read(sink, position);
  }

  /** The same without waiting for the host (`OpenFile.preadNow`). */
  readAtNow(sink: Sink, position: number): SysResult {
    return this.readAt(sink, position);
  }

  /** Waits for the host where `readAtNow` answered EAGAIN; undefined: it does not. */
  get host(): HostTransfers | undefined {
    return undefined;
  }

  writeAt(source: Source, position: number): SysResult {
    const data = this.data();
    if (isErrno(data)) return data;
    const done = data.write(source, position);
    if (done > 0) this.modified();
    return done;
  }

  seekData(position: number, whence: number): SysResult {
    return this.#data === undefined ? ENXIO : this.#data.seek(position, whence);
  }

  mappable(_flags: number): Result<Mappable> {
    return this.data();
  }

  modified(): void {
    const now = this.filesystem.now();
    this.mtime = now;
    this.ctime = now;
    this.origin?.keep();
  }

  /** An open file description of it is there, or gone: fs/overlay holds the lower file open meanwhile. */
  opened(): void {}

  closed(): void {}

  /** relatime: at most once between two changes, or a day. */
  accessed(): void {
    const { atime, mtime, ctime } = this;
    if (!isLater(mtime, atime) && !isLater(ctime, atime)) {
      // Cheap test first: the clock is asked only for files that could be a day old.
      const now = this.filesystem.now();
      if (now.sec - atime.sec < 86_400) return;
      this.atime = now;
      return;
    }
    this.atime = this.filesystem.now();
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    return new TmpOpenFile(this, flags);
  }

  protected override resize(sizeBytes: number): SysResult {
    const data = this.data();
    if (isErrno(data)) return data;
    const done = data.truncate(sizeBytes);
    if (!isErrno(done)) this.modified();
    return done;
  }

  override hasRoomFor(bytes: number): boolean {
    const data = this.data();
    return isErrno(data) || data.hasRoomFor(bytes);
  }

  override freePieceBeyond(sizeBytes: number): boolean {
    return this.#data?.freePieceBeyond(sizeBytes) === true;
  }

  override abandon(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#data?.release();
    this.#data = undefined;
  }

  protected override free(): void {
    if (this.#freed) return;
    this.#freed = true;
    super.free();
    this.#data?.release();
    this.#data = undefined;
  }
}

function isLater(a: WallTime, b: WallTime): boolean {
  return a.sec > b.sec || (a.sec === b.sec && a.nsec >= b.nsec);
}

export class TmpOpenFile extends PositionedFile {
  readonly node: TmpFile;

  constructor(node: TmpFile, flags: number) {
    super(flags);
    this.node = node;
    node.opened();
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override close(): void {
    this.node.closed();
  }

  override pread(sink: Sink, position: number): SysResult {
    if (!canRead(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    const count = this.node.readAt(sink, position);
    if (count > 0 && (this.flags & O_NOATIME) === 0) this.node.accessed();
    return count;
  }

  override preadNow(sink: Sink, position: number): SysResult {
    if (!canRead(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    const count = this.node.readAtNow(sink, position);
    if (count > 0 && (this.flags & O_NOATIME) === 0) this.node.accessed();
    return count;
  }

  override get host(): HostTransfers | undefined {
    return this.node.host;
  }

  protected override endFor(): number {
    return this.node.sizeBytes;
  }

  protected override get maxOffset(): number {
    return maxFileBytes;
  }

  protected override seekData(position: number, whence: number): SysResult {
    return this.node.seekData(position, whence);
  }

  override mappable(): Result<Mappable> {
    return this.node.mappable(this.flags);
  }

  override truncate(sizeBytes: number): SysResult {
    if (!canWrite(this.flags)) return EINVAL;
    return this.node.setAttributes({ sizeBytes });
  }

  override fallocate(mode: number, offset: number, length: number): SysResult {
    const data = this.node.data();
    if (isErrno(data)) return data;
    const done = allocateRange(data, mode, offset, length);
    if (!isErrno(done)) this.node.modified();
    return done;
  }

  override sync(): SysResult {
    return 0;
  }

  protected override writeAt(source: Source, position: number): SysResult {
    if (!canWrite(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    if (position >= maxFileBytes) return EFBIG;
    return this.node.writeAt(source, position);
  }
}

/** fallocate(2) on memory: what tmpfs has, and FALLOC_FL_ZERO_RANGE. */
export function allocateRange(
  data: FileData,
  mode: number,
  offset: number,
  length: number,
): SysResult {
  const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
      return data.allocate(offset, length, keepSize);
    case FALLOC_FL_PUNCH_HOLE:
      return keepSize ? data.punch(offset, length) : EOPNOTSUPP;
    case FALLOC_FL_ZERO_RANGE: {
      const punched = data.punch(offset, length);
      return isErrno(punched) ? punched : data.allocate(offset, length, keepSize);
    }
    default:
      return EOPNOTSUPP;
  }
}
