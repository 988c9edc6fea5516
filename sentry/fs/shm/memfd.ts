// SPDX-License-Identifier: Apache-2.0
// Files of memfd_create(2): tmpfs files without a name, with seals (fcntl(2), F_ADD_SEALS).

import { EBUSY, EINVAL, EPERM, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  FALLOC_FL_KEEP_SIZE,
  O_ACCMODE,
  O_RDONLY,
} from '../../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IFREG } from '../../../abi/stat.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Source } from '../../vfs/io.ts';
import type { AttributeChange } from '../../vfs/node.ts';
import type { Mappable, OpenFile } from '../../vfs/open-file.ts';
import { TmpFile, TmpOpenFile } from '../tmp/file.ts';
import type { FileData } from '../tmp/file-data.ts';
import type { TmpFileSystem } from '../tmp/filesystem.ts';

const ALL_SEALS =
  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;
const WRITE_SEALS = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
const EXECUTE_BITS = 0o111;

export class MemfdNode extends TmpFile {
  /** The name in /proc/PID/fd and /proc/PID/maps. */
  readonly label: string;
  seals: number;
  /** The process that made the memfd: the OOM killer counts the pages as its own. */
  readonly #account: MemoryAccount = currentAccount();
  #opens = 0;
  #mappable: SealedMemory | undefined = undefined;

  constructor(
    filesystem: TmpFileSystem,
    mode: number,
    owner: { uid: number; gid: number },
    label: string,
    seals: number,
  ) {
    super(filesystem, { mode: S_IFREG | mode, ...owner });
    filesystem.adoptInode();
    filesystem.payForInode();
    this.nlink = 0;
    this.label = label;
    this.seals = seals;
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    return new MemfdFile(this, flags);
  }

  protected override dataAccount(): MemoryAccount {
    return this.#account;
  }

  override opened(): void {
    this.#opens += 1;
  }

  /** The last descriptor and mapping (which holds its file) is gone: so are the bytes. */
  override closed(): void {
    this.#opens -= 1;
    if (this.#opens === 0) this.forgotten();
  }

  override mappable(_flags: number): Result<Mappable> {
    if (this.#mappable !== undefined) return this.#mappable;
    const data = this.data();
    if (isErrno(data)) return data;
    this.#mappable = new SealedMemory(this, data);
    return this.#mappable;
  }

  override freePieceBeyond(sizeBytes: number): boolean {
    const isSealed = (this.seals & (WRITE_SEALS | F_SEAL_SHRINK)) !== 0;
    return !isSealed && super.freePieceBeyond(sizeBytes);
  }

  addSeals(seals: number): SysResult {
    if ((seals & ~ALL_SEALS) !== 0) return EINVAL;
    if ((this.seals & F_SEAL_SEAL) !== 0) return EPERM;
    const adds = seals & ~this.seals;
    if ((adds & F_SEAL_WRITE) !== 0 && (this.#mappable?.writers ?? 0) > 0) return EBUSY;
    // An executable that can no longer lose its execute bits must not change either.
    const implied = (seals & F_SEAL_EXEC) !== 0 && (this.mode & EXECUTE_BITS) !== 0;
    this.seals |= seals | (implied ? F_SEAL_SHRINK | F_SEAL_GROW | WRITE_SEALS : 0);
    return 0;
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes !== undefined) {
      if ((this.seals & F_SEAL_SHRINK) !== 0 && change.sizeBytes < this.sizeBytes) return EPERM;
      if ((this.seals & F_SEAL_GROW) !== 0 && change.sizeBytes > this.sizeBytes) return EPERM;
    }
    if (change.mode !== undefined && (this.seals & F_SEAL_EXEC) !== 0) {
      if (((change.mode ^ this.mode) & EXECUTE_BITS) !== 0) return EPERM;
    }
    return super.setAttributes(change);
  }

  override writeAt(source: Source, position: number): SysResult {
    if ((this.seals & WRITE_SEALS) !== 0) return EPERM;
    if ((this.seals & F_SEAL_GROW) !== 0 && position + source.remaining > this.sizeBytes) {
      return this.#writeWithoutGrowing(source, position);
    }
    return super.writeAt(source, position);
  }

  /** Linux writes page by page, and fails at the first page that would have to grow the file. */
  #writeWithoutGrowing(source: Source, position: number): SysResult {
    const wholePages = this.sizeBytes - (this.sizeBytes % PAGE_SIZE);
    const room = wholePages - position;
    return room <= 0 ? EPERM : super.writeAt(new LimitedSource(source, room), position);
  }
}

/** The first `limit` bytes of another source. */
class LimitedSource implements Source {
  readonly #source: Source;
  remaining: number;

  constructor(source: Source, limit: number) {
    this.#source = source;
    this.remaining = Math.min(limit, source.remaining);
  }

  take(dst: Uint8Array): SysResult {
    const taken = this.#source.take(dst.subarray(0, this.remaining));
    if (taken > 0) this.remaining -= taken;
    return taken;
  }

  giveBack(count: number): void {
    this.#source.giveBack(count);
    this.remaining += count;
  }
}

/** The memory of a memfd: what mmap must know of its seals. */
class SealedMemory implements Mappable {
  readonly #node: MemfdNode;
  readonly #data: FileData;
  /** Shared mappings that can write, or could be made to. */
  writers = 0;

  constructor(node: MemfdNode, data: FileData) {
    this.#node = node;
    this.#data = data;
  }

  get dev(): number {
    return this.#data.dev;
  }

  get ino(): number {
    return this.#data.ino;
  }

  hostFd(writable: boolean): SysResult {
    return this.#data.hostFd(writable);
  }

  acquire(): void {
    this.#data.acquire();
  }

  release(): void {
    this.#data.release();
  }

  isWriteSealed(): boolean {
    return (this.#node.seals & WRITE_SEALS) !== 0;
  }

  writerMapped(): void {
    this.writers += 1;
  }

  writerUnmapped(): void {
    this.writers -= 1;
  }
}

export class MemfdFile extends TmpOpenFile {
  readonly #memfd: MemfdNode;

  constructor(node: MemfdNode, flags: number) {
    super(node, flags);
    this.#memfd = node;
  }

  override get description(): string {
    return this.#memfd.label;
  }

  override fallocate(mode: number, offset: number, length: number): SysResult {
    const { seals, sizeBytes } = this.#memfd;
    const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
    if ((mode & ~FALLOC_FL_KEEP_SIZE) !== 0 && (seals & WRITE_SEALS) !== 0) return EPERM;
    if (!keepsSize && (seals & F_SEAL_GROW) !== 0 && offset + length > sizeBytes) return EPERM;
    return super.fallocate(mode, offset, length);
  }

  override seals(): SysResult {
    return this.#memfd.seals;
  }

  override addSeals(seals: number): SysResult {
    return (this.flags & O_ACCMODE) === O_RDONLY ? EPERM : this.#memfd.addSeals(seals);
  }
}
