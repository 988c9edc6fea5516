// SPDX-License-Identifier: Apache-2.0
// File systems whose contents are computed: proc, sysfs. A tree of values (entry.ts) becomes nodes
// when names are looked up.
import type { SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Clock, WallTime } from '../../base/clock.ts';
import {
  type Attributes,
  emptyStatus,
  type FileSystem,
  type FileSystemStatus,
  type Node,
  type Ownership,
} from '../../vfs/node.ts';
import { type Entry, type FileOperations, systemOperations } from './entry.ts';

export interface PseudoFileSystemOptions<S extends object> {
  /** The name of the type in /proc/filesystems. */
  readonly type: string;
  /** statfs f_type. */
  readonly magic: number;
  readonly dev: number;
  readonly clock: Clock;
  /** The object that the root directory shows; most often the kernel. */
  readonly subject: S;
  readonly root: Entry<S>;
  /** The operations of files that do not say otherwise: those of /proc itself without this option. */
  readonly operations?: FileOperations;
}

export class PseudoFileSystem<S extends object = object> implements FileSystem {
  readonly type: string;
  readonly dev: number;
  readonly root: Node;
  readonly clock: Clock;
  readonly operations: FileOperations;
  readonly #magic: number;
  #lastInode = 0;

  constructor(options: PseudoFileSystemOptions<S>) {
    this.type = options.type;
    this.dev = options.dev;
    this.clock = options.clock;
    this.operations = options.operations ?? systemOperations;
    this.#magic = options.magic;
    this.root = options.root(this, options.subject);
  }

  nextInode(): number {
    this.#lastInode += 1;
    return this.#lastInode;
  }

  status(): FileSystemStatus {
    return emptyStatus(this.#magic);
  }

  sync(): SysResult {
    return 0;
  }
}

/** The state that the nodes of one pseudo file system keep. */
export class Inode {
  readonly filesystem: PseudoFileSystem;
  readonly ino: number;
  readonly born: WallTime;

  constructor(filesystem: PseudoFileSystem) {
    this.filesystem = filesystem;
    this.ino = filesystem.nextInode();
    this.born = filesystem.clock.realtime();
  }

  attributes(owner: Ownership, nlink: number, sizeBytes = 0): Attributes {
    const { born } = this;
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: owner.mode,
      nlink,
      uid: owner.uid,
      gid: owner.gid,
      rdev: 0,
      sizeBytes,
      blockSize: PAGE_SIZE,
      blocks: 0,
      atime: born,
      mtime: born,
      ctime: born,
      btime: born,
    };
  }
}
