// SPDX-License-Identifier: Apache-2.0
// Inodes without names: pipefs, sockfs and anon_inodefs as fstat(2) and statfs(2) show them.

import { EINVAL, EIO, ENXIO, type Result, type SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IFMT } from '../../../abi/stat.ts';
import type { Clock, WallTime } from '../../base/clock.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Credentials } from '../../vfs/credentials.ts';
import {
  type AttributeChange,
  type Attributes,
  emptyStatus,
  type FileSystem,
  type FileSystemStatus,
  Node,
} from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';

const epoch: WallTime = { sec: 0, nsec: 0 };

/** One of the kernel's internal mounts. Inode numbers are unique in each. */
export class AnonymousFileSystem implements FileSystem {
  readonly type: string;
  readonly dev: number;
  readonly root: Node;
  readonly #magic: number;
  #lastInode = 1;

  constructor(type: string, dev: number, magic: number) {
    this.type = type;
    this.dev = dev;
    this.#magic = magic;
    this.root = new AnonymousNode(this, 0o040555, 1, { uid: 0, gid: 0, time: epoch });
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

interface Birth {
  readonly uid: number;
  readonly gid: number;
  readonly time: WallTime;
}

/** An inode that only descriptors (and /proc/PID/fd) lead to. */
export class AnonymousNode extends Node {
  readonly filesystem: AnonymousFileSystem;
  readonly kind: number;
  readonly ino: number;
  #mode: number;
  #uid: number;
  #gid: number;
  #atime: WallTime;
  #mtime: WallTime;
  #ctime: WallTime;

  constructor(filesystem: AnonymousFileSystem, mode: number, ino: number, birth: Birth) {
    super();
    this.filesystem = filesystem;
    this.kind = mode & S_IFMT;
    this.ino = ino;
    this.#mode = mode;
    this.#uid = birth.uid;
    this.#gid = birth.gid;
    this.#atime = birth.time;
    this.#mtime = birth.time;
    this.#ctime = birth.time;
  }

  attributes(): Attributes {
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: this.#mode,
      nlink: 1,
      uid: this.#uid,
      gid: this.#gid,
      rdev: 0,
      sizeBytes: 0,
      blockSize: PAGE_SIZE,
      blocks: 0,
      atime: this.#atime,
      mtime: this.#mtime,
      ctime: this.#ctime,
      btime: epoch,
    };
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes !== undefined) return EINVAL;
    if (change.mode !== undefined) this.#mode = this.kind | (change.mode & 0o7777);
    this.#uid = change.uid ?? this.#uid;
    this.#gid = change.gid ?? this.#gid;
    this.#atime = change.atime ?? this.#atime;
    this.#mtime = change.mtime ?? this.#mtime;
    return 0;
  }

  /** Re-opening through /proc/PID/fd: sockets answer ENXIO, anonymous inodes likewise; pipes are FIFOs. */
  open(_flags: number, _caller: Caller): Result<OpenFile> {
    return this.kind === 0 ? EIO : ENXIO;
  }
}

export const pipefs: AnonymousFileSystem = new AnonymousFileSystem('pipefs', 13, 0x5049_5045);
export const sockfs: AnonymousFileSystem = new AnonymousFileSystem('sockfs', 8, 0x534f_434b);
export const anonInodefs: AnonymousFileSystem = new AnonymousFileSystem(
  'anon_inodefs',
  14,
  0x0904_1934,
);

/** All eventfds, epolls and the like share one inode, as in Linux. */
export const anonInode: AnonymousNode = new AnonymousNode(anonInodefs, 0o600, 1, {
  uid: 0,
  gid: 0,
  time: epoch,
});

/** A new inode of `filesystem` that belongs to the caller. */
export function newAnonymousNode(
  filesystem: AnonymousFileSystem,
  mode: number,
  credentials: Credentials,
  clock: Clock,
): AnonymousNode {
  const birth = { uid: credentials.fsuid, gid: credentials.fsgid, time: clock.realtime() };
  return new AnonymousNode(filesystem, mode, filesystem.nextInode(), birth);
}
