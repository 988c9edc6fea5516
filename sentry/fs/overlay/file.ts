// SPDX-License-Identifier: Apache-2.0
// Regular files of an overlay. Bytes come from the lower file until the first open for writing
// copies them up. A mapping made before that goes on showing the lower file, as on Linux's
// overlayfs; open descriptors read the new bytes (there they would not).
import { isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { canWrite, O_RDONLY } from '../../../abi/fcntl.ts';
import type { Caller } from '../../vfs/caller.ts';
import { BufferSink, type Sink } from '../../vfs/io.ts';
import type { Attributes, NewNode, Node } from '../../vfs/node.ts';
import type { HostTransfers, Mappable, OpenFile } from '../../vfs/open-file.ts';
import { TmpFile } from '../tmp/file.ts';
import type { FileData } from '../tmp/file-data.ts';
import { lowerCaller } from './directory.ts';
import type { OverlayFileSystem } from './filesystem.ts';

export class OverlayFile extends TmpFile {
  readonly #lower: Node;
  readonly #lowerSize: number;
  readonly #lowerBlocks: number;
  /** Open while somebody has this file open and its bytes are the lower file's. */
  #lowerFile: OpenFile | undefined = undefined;
  #openCount = 0;
  #knowsXattrs = false;

  constructor(
    filesystem: OverlayFileSystem,
    as: NewNode,
    ino: number,
    lower: Node,
    attributes: Attributes,
  ) {
    super(filesystem, as, ino);
    this.#lower = lower;
    this.#lowerSize = attributes.sizeBytes;
    this.#lowerBlocks = attributes.blocks;
  }

  override get sizeBytes(): number {
    return this.ownData?.sizeBytes ?? this.#lowerSize;
  }

  override get blocks(): number {
    return this.ownData?.blocks ?? this.#lowerBlocks;
  }

  /** Copies the bytes up, the first time. */
  override data(): Result<FileData> {
    return this.ownData ?? this.#copyUp();
  }

  override readAt(sink: Sink, position: number): SysResult {
    if (this.ownData !== undefined) return super.readAt(sink, position);
    const file = this.#openLower();
    return isErrno(file) ? file : file.pread(sink, position);
  }

  override readAtNow(sink: Sink, position: number): SysResult {
    if (this.ownData !== undefined) return super.readAtNow(sink, position);
    const file = this.#openLower();
    return isErrno(file) ? file : file.preadNow(sink, position);
  }

  /** Those of the lower file, which is only read. */
  override get host(): HostTransfers | undefined {
    return this.ownData === undefined ? this.#lowerFile?.host : undefined;
  }

  override seekData(position: number, whence: number): SysResult {
    if (this.ownData !== undefined) return super.seekData(position, whence);
    const file = this.#openLower();
    return isErrno(file) ? file : file.seek(position, whence);
  }

  override mappable(flags: number): Result<Mappable> {
    if (this.ownData !== undefined || canWrite(flags)) return this.data();
    const file = this.#openLower();
    return isErrno(file) ? file : file.mappable();
  }

  override open(flags: number, caller: Caller): Result<OpenFile> {
    const ready = canWrite(flags) ? this.data() : (this.ownData ?? this.#openLower());
    return isErrno(ready) ? ready : super.open(flags, caller);
  }

  override opened(): void {
    this.#openCount += 1;
  }

  override closed(): void {
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#closeLower();
  }

  override getXattr(name: string): Result<Uint8Array> {
    this.#loadXattrs();
    return super.getXattr(name);
  }

  override setXattr(name: string, value: Uint8Array, flags: number): SysResult {
    this.#loadXattrs();
    return super.setXattr(name, value, flags);
  }

  override listXattr(): Result<string[]> {
    this.#loadXattrs();
    return super.listXattr();
  }

  override removeXattr(name: string): SysResult {
    this.#loadXattrs();
    return super.removeXattr(name);
  }

  override dropFileCapabilities(): void {
    this.#loadXattrs();
    super.dropFileCapabilities();
  }

  protected override resize(sizeBytes: number): SysResult {
    // Nothing of the old bytes would be left: spare the copy.
    if (sizeBytes === 0 && this.ownData === undefined) {
      this.newData();
      this.#closeLower();
      this.modified();
      return 0;
    }
    return super.resize(sizeBytes);
  }

  #copyUp(): Result<FileData> {
    const file = this.#openLower();
    if (isErrno(file)) return file;
    const data = this.newData();
    const copied = data.replaceWith((into, position) => file.pread(new BufferSink(into), position));
    if (isErrno(copied)) {
      this.dropData();
      return copied;
    }
    this.#closeLower();
    this.origin?.keep();
    return data;
  }

  #openLower(): Result<OpenFile> {
    if (this.#lowerFile !== undefined) return this.#lowerFile;
    const file = this.#lower.open(O_RDONLY, lowerCaller);
    if (isErrno(file)) return file;
    file.acquire();
    this.#lowerFile = file;
    return file;
  }

  #closeLower(): void {
    this.#lowerFile?.release();
    this.#lowerFile = undefined;
  }

  /** Takes the lower file's user attributes over, once. */
  #loadXattrs(): void {
    if (this.#knowsXattrs) return;
    this.#knowsXattrs = true;
    const names = this.#lower.listXattr();
    if (isErrno(names)) return;
    for (const name of names) {
      const value = this.#lower.getXattr(name);
      if (!isErrno(value)) this.inheritXattr(name, value);
    }
  }
}
