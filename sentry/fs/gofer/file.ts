// SPDX-License-Identifier: Apache-2.0
// Regular files of a Gofer tree. The Gofer opens them and passes the descriptor; bytes are read and
// written by the Sentry itself, and guests map the same descriptor. One read-only and one
// read-write descriptor a node serve all its open file descriptions (positions are the Sentry's
// own).
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EOPNOTSUPP,
  EROFS,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { AT_EMPTY_PATH, canRead, canWrite, O_RDONLY, O_RDWR } from '../../../abi/fcntl.ts';
import { statxLayout } from '../../../abi/stat.ts';
import { XATTR_NAME_CAPS } from '../../../abi/xattr.ts';
import { native } from '../../../native/addon.ts';
import type { WallTime } from '../../base/clock.ts';
import type { Blocking, MaybeBlocking } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { AttributeChange, Attributes } from '../../vfs/node.ts';
import type { HostTransfers, Mappable, OpenFile } from '../../vfs/open-file.ts';
import { PositionedFile } from '../../vfs/positioned-file.ts';
import type { HostDescriptor, HostWork } from './host-work.ts';
import { GoferNode } from './node.ts';
import { isExact } from './shared-identities.ts';

const staging = new Uint8Array(256 * 1024);
const statxBytes = new Uint8Array(statxLayout.size);
const statxView = new DataView(statxBytes.buffer);

export class GoferFile extends GoferNode implements Mappable {
  #readFd = -1;
  #writeFd = -1;
  /** Open file descriptions and mappings. */
  #users = 0;
  #capabilities: { readonly ctime: WallTime; readonly value: Result<Uint8Array> } | undefined =
    undefined;

  get dev(): number {
    return this.lastKnown.dev;
  }

  get ino(): number {
    return this.lastKnown.ino;
  }

  /** Other trees of the sandbox may have the same file. */
  get sharedName(): string | undefined {
    return this.key !== '' && isExact(this.ino) ? `host:${this.key}` : undefined;
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    const writes = canWrite(flags);
    if (writes && this.filesystem.readOnly) return EROFS;
    const fd = this.hostFd(writes);
    if (isErrno(fd)) return fd;
    return new GoferOpenFile(this, flags);
  }

  /** A descriptor with just that right, opened now if there is none. */
  hostFd(writable: boolean): SysResult {
    if (writable ? this.#writeFd >= 0 : this.#readFd >= 0)
      return writable ? this.#writeFd : this.#readFd;
    const isAhead = !writable && this.filesystem.exclusive && this.heldId === 0;
    const ahead = isAhead ? this.parent?.own.openAhead(this.name, this.ino) : undefined;
    const fd = ahead ?? this.#openNow(writable ? O_RDWR : O_RDONLY);
    if (isErrno(fd)) return fd;
    if (writable) this.#writeFd = fd;
    else this.#readFd = fd;
    if (this.#users === 0) this.filesystem.fileIdle(this);
    return fd;
  }

  #openNow(mode: number): SysResult {
    const { place } = this;
    if (isErrno(place)) return place;
    const opened = this.filesystem.client.open(place, mode);
    if (isErrno(opened)) return opened;
    if (opened.attributes.ino === this.ino) return opened.fd;
    // The name is another file's by now.
    native.close(opened.fd);
    return EBADF;
  }

  /** Calls on it may hang for ever: a network file system's, one in a process of the host. */
  get mayHang(): boolean {
    return this.filesystem.mayHang(this);
  }

  /** For calls that somebody else makes: the descriptor stays open until they are done. */
  descriptor(fd: number): HostDescriptor {
    return { fd, file: this, mayHang: this.mayHang };
  }

  /** From create: a read-write descriptor. */
  adoptHostFd(fd: number): void {
    if (this.#writeFd >= 0) native.close(fd);
    else this.#writeFd = fd;
    if (this.#users === 0) this.filesystem.fileIdle(this);
  }

  acquire(): void {
    this.#users += 1;
    if (this.#users !== 1) return;
    this.filesystem.fileUsed(this);
    if (!this.filesystem.readOnly) this.filesystem.openFiles.add(this);
  }

  /** Its name is about to go while it is open: the Gofer keeps it reachable. */
  beforeUnlink(): void {
    if (this.#users === 0 || this.heldId !== 0) return;
    const id = this.filesystem.client.hold(this.directoryId(), this.name);
    if (id > 0) this.heldId = id;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users !== 0) return;
    // What was written is over: one look at the descriptor, and it is known until somebody else writes.
    if (this.#writeFd >= 0 && this.cache.isOwnerKnown && this.isReported()) this.fetch();
    this.filesystem.openFiles.delete(this);
    if (this.isForgotten) this.closeHostFds();
    else this.filesystem.fileIdle(this);
  }

  closeHostFds(): void {
    if (this.#readFd >= 0) native.close(this.#readFd);
    if (this.#writeFd >= 0) native.close(this.#writeFd);
    this.#readFd = -1;
    this.#writeFd = -1;
  }

  override forgotten(): void {
    super.forgotten();
    if (this.#users > 0) return;
    this.filesystem.fileUsed(this);
    this.closeHostFds();
  }

  /** Every exec asks for the capabilities: they are what they were while the file's ctime is. */
  override getXattr(name: string): Result<Uint8Array> {
    if (name !== XATTR_NAME_CAPS) return super.getXattr(name);
    const attributes = this.attributes();
    if (isErrno(attributes)) return attributes;
    const { ctime } = attributes;
    const known = this.#capabilities;
    if (known?.ctime.sec === ctime.sec && known.ctime.nsec === ctime.nsec) return known.value;
    const value = super.getXattr(name);
    this.#capabilities = { ctime, value };
    return value;
  }

  override setAttributes(change: AttributeChange): SysResult {
    // A file that is open may have no name any more: its size is set by descriptor.
    if (change.sizeBytes !== undefined && this.#writeFd >= 0) {
      const done = native.ftruncate(this.#writeFd, change.sizeBytes);
      this.changed();
      if (isErrno(done)) return done;
      const { sizeBytes: _done, ...rest } = change;
      return Object.keys(rest).length === 0 ? 0 : super.setAttributes(rest);
    }
    return super.setAttributes(change);
  }

  /** An open file is asked by its descriptor: it may have no name any more, and this needs no request. */
  protected override fetch(): Result<Attributes> {
    const fd = this.#writeFd >= 0 ? this.#writeFd : this.#readFd;
    // It does not tell the owner as the Gofer does.
    if (!this.cache.isOwnerKnown && this.heldId === 0) {
      const host = this.filesystem.client.getAttributes(this.directoryId(), this.name);
      if (!isErrno(host) && host.ino === this.ino) {
        this.learned(this.filesystem.localAttributes(host));
        return this.lastKnown;
      }
    }
    if (fd < 0 || isErrno(native.statx(fd, '', AT_EMPTY_PATH, statxBytes, 0))) return super.fetch();
    const { at } = statxLayout;
    const known = this.lastKnown;
    const u32 = (offset: number): number => statxView.getUint32(offset, true);
    const u64 = (offset: number): number => u32(offset) + u32(offset + 4) * 0x1_0000_0000;
    const time = (offset: number) => ({
      sec: u32(offset) + statxView.getInt32(offset + 4, true) * 0x1_0000_0000,
      nsec: u32(offset + 8),
    });
    // Owners stay as the Gofer shows them: its user namespace is not ours.
    this.learned({
      ...known,
      mode: statxView.getUint16(at.mode, true),
      nlink: u32(at.nlink),
      sizeBytes: u64(at.size),
      blocks: u64(at.blocks),
      atime: time(at.atime),
      mtime: time(at.mtime),
      ctime: time(at.ctime),
    });
    return this.lastKnown;
  }

  /**
   * Returns whether changes of this file are reported. Writes through a mapping are not: while
   * there may be a mapping of ours the descriptor is asked.
   */
  override isReported(): boolean {
    return (this.#writeFd < 0 || this.#users === 0) && super.isReported();
  }

  /** Size right now, for O_APPEND and SEEK_END. */
  currentSize(): number {
    const attributes = this.attributes();
    return isErrno(attributes) ? this.lastKnown.sizeBytes : attributes.sizeBytes;
  }
}

export class GoferOpenFile extends PositionedFile {
  readonly node: GoferFile;

  #host: GoferTransfers | undefined = undefined;

  constructor(node: GoferFile, flags: number) {
    super(flags);
    this.node = node;
    node.acquire();
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override close(): void {
    this.node.release();
  }

  override pread(sink: Sink, position: number): SysResult {
    if (!canRead(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    const fd = this.hostFd();
    if (isErrno(fd)) return fd;
    let done = 0;
    while (sink.remaining > 0) {
      const count = native.pread(
        fd,
        staging,
        0,
        Math.min(sink.remaining, staging.length),
        position + done,
      );
      if (count <= 0) return done > 0 ? done : count;
      const put = sink.put(staging.subarray(0, count));
      if (isErrno(put)) return done > 0 ? done : put;
      done += put;
      if (put < count || count < staging.length) break;
    }
    return done;
  }

  /** O_APPEND must not miss what others of the host have written. */
  protected override endFor(purpose: 'append' | 'seek'): number {
    if (purpose === 'append' || !this.node.filesystem.exclusive) this.node.cache.changed();
    return this.node.currentSize();
  }

  protected override seekData(position: number, whence: number): SysResult {
    const fd = this.hostFd();
    return isErrno(fd) ? fd : native.lseek(fd, position, whence);
  }

  override mappable(): Result<Mappable> {
    return this.node;
  }

  override truncate(sizeBytes: number): SysResult {
    if (!canWrite(this.flags)) return EINVAL;
    return this.node.setAttributes({ sizeBytes });
  }

  override fallocate(mode: number, offset: number, length: number): SysResult {
    const fd = this.node.hostFd(true);
    if (isErrno(fd)) return fd;
    this.node.changed();
    return native.fallocate(fd, mode, offset, length);
  }

  override sync(): MaybeBlocking {
    const fd = this.hostFd();
    if (isErrno(fd) || !canWrite(this.flags)) return Math.min(fd, 0);
    const { hostWork } = this.node.filesystem;
    return hostWork === undefined ? native.fsync(fd) : hostWork.sync(this.node.descriptor(fd));
  }

  override get host(): HostTransfers | undefined {
    const { hostWork } = this.node.filesystem;
    if (hostWork === undefined) return undefined;
    this.#host ??= new GoferTransfers(this, hostWork);
    return this.#host;
  }

  override preadNow(sink: Sink, position: number): SysResult {
    if (this.node.filesystem.hostWork === undefined) return this.pread(sink, position);
    if (!canRead(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    const fd = this.hostFd();
    if (isErrno(fd)) return fd;
    let done = 0;
    while (sink.remaining > 0) {
      const wanted = Math.min(sink.remaining, staging.length);
      const count = native.preadNow(fd, staging, 0, wanted, position + done);
      // The host cannot tell what is at hand: a local file system has an answer soon all the same.
      if (count === EOPNOTSUPP && !this.node.mayHang) {
        const rest = this.pread(sink, position + done);
        return done === 0 ? rest : done + Math.max(rest, 0);
      }
      if (count === EAGAIN || count === EOPNOTSUPP) return EAGAIN;
      if (count <= 0) return done > 0 ? done : count;
      const put = sink.put(staging.subarray(0, count));
      if (isErrno(put)) return done > 0 ? done : put;
      done += put;
      if (put < count) break;
      // A part: the end of the file, or of what is at hand.
      if (count < wanted && position + done === this.node.lastKnown.sizeBytes) break;
    }
    return done;
  }

  protected override writeAt(source: Source, position: number): SysResult {
    if (!canWrite(this.flags)) return EBADF;
    if (position < 0) return EINVAL;
    const fd = this.node.hostFd(true);
    if (isErrno(fd)) return fd;
    this.node.changed();
    let done = 0;
    while (source.remaining > 0) {
      const taken = source.take(staging.subarray(0, Math.min(source.remaining, staging.length)));
      if (taken <= 0) return done > 0 ? done : taken;
      const count = native.pwrite(fd, staging, 0, taken, position + done);
      if (count <= 0) return done > 0 ? done : count;
      done += count;
      if (count < taken) break;
    }
    return done;
  }

  /** Readers that also write use the one read-write descriptor. */
  hostFd(): SysResult {
    return this.node.hostFd(canWrite(this.flags));
  }
}

/** Reads and writes that wait for the host in a thread of their own. */
class GoferTransfers implements HostTransfers {
  readonly #file: GoferOpenFile;
  readonly #work: HostWork;

  constructor(file: GoferOpenFile, work: HostWork) {
    this.#file = file;
    this.#work = work;
  }

  get writes(): boolean {
    return canWrite(this.#file.flags) && this.#file.node.mayHang;
  }

  *read(sink: Sink, position: number): Blocking<SysResult> {
    return yield* this.#all(sink, position, (descriptor, at) =>
      this.#work.read(descriptor, sink, at),
    );
  }

  *write(source: Source, position: number): Blocking<SysResult> {
    if (!canWrite(this.#file.flags)) return EBADF;
    if (position < 0) return EINVAL;
    this.#file.node.changed();
    const count = yield* this.#all(source, position, (descriptor, at) =>
      this.#work.write(descriptor, source, at),
    );
    this.#file.node.changed();
    return count;
  }

  /** Piece after piece, until there is nothing left or the host has no more. */
  *#all(
    left: { readonly remaining: number },
    position: number,
    piece: (descriptor: HostDescriptor, at: number) => Blocking<SysResult>,
  ): Blocking<SysResult> {
    const file = this.#file;
    let done = 0;
    while (left.remaining > 0) {
      const fd = file.hostFd();
      if (isErrno(fd)) return done > 0 ? done : fd;
      const count = yield* piece(file.node.descriptor(fd), position + done);
      if (count <= 0) return done > 0 ? done : count;
      done += count;
    }
    return done;
  }
}
