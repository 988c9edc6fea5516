// SPDX-License-Identifier: Apache-2.0
// Symbolic links, FIFOs, sockets and device nodes in memory.
import { ENXIO, type Result } from '../../../abi/errno.ts';
import { S_IFBLK, S_IFCHR } from '../../../abi/stat.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { NewNode } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { TmpFileSystem } from './filesystem.ts';
import { MemoryNode } from './memory-node.ts';

export class TmpSymlink extends MemoryNode {
  readonly #target: string;
  readonly blocks = 0;

  constructor(filesystem: TmpFileSystem, as: NewNode, target: string, ino?: number) {
    super(filesystem, as, ino);
    this.#target = target;
    this.chargeExtra(target.length);
  }

  get sizeBytes(): number {
    return this.#target.length;
  }

  override readlink(_caller: Caller): Result<string> {
    return this.#target;
  }

  override open(): Result<OpenFile> {
    return ENXIO;
  }
}

/** FIFOs are opened by vfs/open.ts, sockets by connect(2); devices by whoever registered their number. */
export class TmpSpecial extends MemoryNode {
  override readonly rdev: number;
  readonly sizeBytes = 0;
  readonly blocks = 0;

  constructor(filesystem: TmpFileSystem, as: NewNode, rdev: number, ino?: number) {
    super(filesystem, as, ino);
    this.rdev = rdev;
  }

  override open(flags: number, caller: Caller): Result<OpenFile> {
    if (this.kind !== S_IFCHR && this.kind !== S_IFBLK) return ENXIO;
    return caller.specialFiles.openDevice(this.rdev, this.kind, this, flags, caller);
  }
}
