// SPDX-License-Identifier: Apache-2.0
// Open files over host descriptors that the sandbox was given: its standard input, output and error
// where they are no terminals (those are fs/tty's) and no sockets (net/given). Pipes, /dev/null and
// regular files.
import {
  EACCES,
  EINVAL,
  ESPIPE,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  O_ACCMODE,
  O_APPEND,
  O_RDONLY,
  O_RDWR,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../../abi/fcntl.ts';
import { S_IFIFO } from '../../../abi/stat.ts';
import { native } from '../../../native/addon.ts';
import type { Clock } from '../../base/clock.ts';
import type { WaitQueue } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { AttributeChange, Attributes } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { seekTarget } from '../../vfs/positioned-file.ts';
import { AnonymousFileSystem, AnonymousNode } from '../anon/anonymous-node.ts';
import type { GivenDescriptor } from './given-descriptor.ts';

const hostfs = new AnonymousFileSystem('hostfs', 9, 0x0000_00c0);

/** Makes an open file of a host descriptor that is no socket (net/given has those). */
export function openGivenDescriptor(descriptor: GivenDescriptor, clock: Clock): OpenFile {
  const birth = { uid: 0, gid: 0, time: clock.realtime() };
  const node = new GivenNode(hostfs, descriptor.mode, hostfs.nextInode(), birth, descriptor);
  const file = new GivenFile(node, descriptor.access | descriptor.append);
  if (descriptor.isSeekable) file.shareOffset();
  return file;
}

class GivenNode extends AnonymousNode {
  readonly descriptor: GivenDescriptor;

  constructor(
    filesystem: AnonymousFileSystem,
    mode: number,
    ino: number,
    birth: ConstructorParameters<typeof AnonymousNode>[3],
    descriptor: GivenDescriptor,
  ) {
    super(filesystem, mode, ino, birth);
    this.descriptor = descriptor;
  }

  override attributes(): Attributes {
    const sizeBytes = this.descriptor.isSeekable ? this.descriptor.sizeBytes() : 0;
    return { ...super.attributes(), sizeBytes, blocks: Math.ceil(sizeBytes / 512) };
  }

  /** Truncation by `cp x /dev/stdout`; owner and mode of a host file stay the host's. */
  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes === undefined) return super.setAttributes(change);
    if (!this.descriptor.isSeekable || this.descriptor.access === O_RDONLY) return EINVAL;
    return native.ftruncate(this.descriptor.hostFd, change.sizeBytes);
  }

  /** /dev/stdin and /proc/self/fd/0: a description of its own, with its own offset where there is one. */
  override open(flags: number, _caller: Caller): Result<OpenFile> {
    const wanted = flags & O_ACCMODE;
    const has = this.descriptor.access;
    if (has !== O_RDWR && wanted !== has) return EACCES;
    return this.descriptor.isSeekable ? new ReopenedFile(this, flags) : new GivenFile(this, flags);
  }
}

class GivenFile extends OpenFile {
  override readonly queue: WaitQueue;
  readonly node: GivenNode;
  readonly #descriptor: GivenDescriptor;

  constructor(node: GivenNode, flags: number) {
    super(flags);
    this.node = node;
    this.#descriptor = node.descriptor;
    this.queue = node.descriptor.queue;
    this.#descriptor.opened();
  }

  override get canSignal(): boolean {
    return !this.#descriptor.isSeekable;
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override close(): void {
    this.#descriptor.closed();
  }

  /** The offset is the host descriptor's own: copy_file_range and sendfile move it too. */
  shareOffset(): void {
    const hostFd = this.#descriptor.hostFd;
    Object.defineProperty(this, 'offset', {
      get: () => Math.max(0, native.lseek(hostFd, 0, SEEK_CUR)),
      set: (position: number) => native.lseek(hostFd, position, SEEK_SET),
    });
  }

  override get description(): string {
    const kind = this.node.kind;
    if (kind === S_IFIFO) return `pipe:[${this.node.ino}]`;
    return `host:[${this.node.ino}]`;
  }

  override get isByteStream(): boolean {
    return !this.#descriptor.isSeekable;
  }

  override get raisesSigpipe(): boolean {
    return this.node.kind === S_IFIFO;
  }

  override get pollable(): boolean {
    return !this.#descriptor.isSeekable;
  }

  override poll(): number {
    return this.#descriptor.poll();
  }

  override read(sink: Sink): SysResult {
    return this.#descriptor.read(sink);
  }

  override write(source: Source): SysResult {
    return this.#descriptor.write(source);
  }

  override pread(sink: Sink, position: number): SysResult {
    return this.#descriptor.isSeekable ? this.#descriptor.pread(sink, position) : ESPIPE;
  }

  override pwrite(source: Source, position: number): SysResult {
    return this.#descriptor.isSeekable ? this.#descriptor.write(source, position) : ESPIPE;
  }

  override seek(position: number, whence: number): SysResult {
    if (!this.#descriptor.isSeekable) return ESPIPE;
    return native.lseek(this.#descriptor.hostFd, position, whence);
  }

  override truncate(sizeBytes: number): SysResult {
    if (!this.#descriptor.isSeekable || this.#descriptor.access === O_RDONLY) return EINVAL;
    return native.ftruncate(this.#descriptor.hostFd, sizeBytes);
  }

  override sync(): SysResult {
    return this.#descriptor.isSeekable ? native.fsync(this.#descriptor.hostFd) : EINVAL;
  }
}

/** A regular file that the guest opened again by its /proc name. */
class ReopenedFile extends GivenFile {
  override read(sink: Sink): SysResult {
    return this.#advance(this.pread(sink, this.offset));
  }

  override write(source: Source): SysResult {
    if ((this.flags & O_APPEND) !== 0) this.offset = this.node.descriptor.sizeBytes();
    return this.#advance(this.pwrite(source, this.offset));
  }

  override seek(position: number, whence: number): SysResult {
    const end = whence === SEEK_END ? this.node.descriptor.sizeBytes() : undefined;
    const target = seekTarget(this.offset, position, whence, end);
    if (!isErrno(target)) this.offset = target;
    return target;
  }

  #advance(count: SysResult): SysResult {
    if (count > 0) this.offset += count;
    return count;
  }
}
