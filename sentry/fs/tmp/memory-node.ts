// SPDX-License-Identifier: Apache-2.0
// What every inode in the Sentry's memory has: owner, mode, times, links, extended attributes
// (inode(7), xattr(7)).
import {
  EEXIST,
  ENODATA,
  ENOSPC,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IALLUGO, S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import { XATTR_CREATE, XATTR_NAME_CAPS, XATTR_REPLACE } from '../../../abi/xattr.ts';
import type { WallTime } from '../../base/clock.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import {
  type AttributeChange,
  type Attributes,
  type NewNode,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { TmpFileSystem } from './filesystem.ts';

/** Bound on the extended attributes of one node, names and values. */
const maxXattrBytes = 128 * 1024;

/** Where a node of fs/overlay came from. */
export interface Origin {
  /** The node differs from the lower one now: it must not be forgotten. */
  keep(): void;
  /** No dentry names the node any more: if it is as it was below, it can go and be found there again. */
  drop(): void;
  /** Its last name and its last holder are gone. */
  freed(): void;
}

export abstract class MemoryNode extends Node implements Ownership {
  readonly filesystem: TmpFileSystem;
  readonly kind: number;
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink = 1;
  atime: WallTime;
  mtime: WallTime;
  ctime: WallTime;
  btime: WallTime;
  origin: Origin | undefined = undefined;
  #xattrs: Map<string, Uint8Array> | undefined = undefined;
  #xattrBytes = 0;
  /** Names beyond the first, which are charged one by one. */
  #furtherNames = 0;
  /** The bytes that the node is charged beside an inode. */
  #extraBytes = 0;

  constructor(filesystem: TmpFileSystem, as: NewNode, ino: number = filesystem.nextIno()) {
    super();
    this.filesystem = filesystem;
    this.kind = as.mode & S_IFMT;
    this.ino = ino;
    this.mode = as.mode;
    this.uid = as.uid;
    this.gid = as.gid;
    const now = filesystem.now();
    this.atime = now;
    this.mtime = now;
    this.ctime = now;
    this.btime = now;
  }

  abstract readonly sizeBytes: number;
  abstract readonly blocks: number;
  readonly rdev: number = 0;

  /** Attributes or entries changed. */
  changed(): void {
    this.ctime = this.filesystem.now();
    this.origin?.keep();
  }

  override ownership(): Ownership {
    return this;
  }

  override attributes(): Result<Attributes> {
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: this.mode,
      nlink: this.nlink,
      uid: this.uid,
      gid: this.gid,
      rdev: this.rdev,
      sizeBytes: this.sizeBytes,
      blockSize: PAGE_SIZE,
      blocks: this.blocks,
      atime: this.atime,
      mtime: this.mtime,
      ctime: this.ctime,
      btime: this.btime,
    };
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes !== undefined) {
      const resized = this.resize(change.sizeBytes);
      if (isErrno(resized)) return resized;
    }
    if (change.mode !== undefined) this.mode = this.kind | (change.mode & S_IALLUGO);
    if (change.uid !== undefined) this.uid = change.uid;
    if (change.gid !== undefined) this.gid = change.gid;
    if (change.atime !== undefined) this.atime = change.atime;
    if (change.mtime !== undefined) this.mtime = change.mtime;
    this.changed();
    return 0;
  }

  /** Charges what the node holds beside itself. Returns false where the account has no room. */
  protected chargeExtra(bytes: number): boolean {
    if (bytes > 0 && !this.filesystem.account.hasRoom(bytes)) return false;
    this.filesystem.account.force(bytes);
    this.#extraBytes += bytes;
    return true;
  }

  /** Only regular files have a size to set. */
  protected resize(_sizeBytes: number): SysResult {
    return EPERM;
  }

  override getXattr(name: string): Result<Uint8Array> {
    return this.#xattrs?.get(name) ?? ENODATA;
  }

  override dropFileCapabilities(): void {
    if (this.#xattrs?.has(XATTR_NAME_CAPS) === true) this.removeXattr(XATTR_NAME_CAPS);
  }

  override setXattr(name: string, value: Uint8Array, flags: number): SysResult {
    // Linux: user attributes are for regular files and directories only.
    if (name.startsWith('user.') && this.kind !== S_IFREG && this.kind !== S_IFDIR) return EPERM;
    const old = this.#xattrs?.get(name);
    if (old === undefined && (flags & XATTR_REPLACE) !== 0) return ENODATA;
    if (old !== undefined && (flags & XATTR_CREATE) !== 0) return EEXIST;
    const grown = this.#xattrBytes + value.length - (old === undefined ? -name.length : old.length);
    if (grown > maxXattrBytes) return ENOSPC;
    const isNew = old === undefined ? OBJECT_COST.xattr : 0;
    if (!this.chargeExtra(grown - this.#xattrBytes + isNew)) return ENOSPC;
    this.#xattrs ??= new Map();
    this.#xattrs.set(name, value.slice());
    this.#xattrBytes = grown;
    this.changed();
    return 0;
  }

  /** An attribute that fs/overlay found below: no change, and no permission asked. */
  protected inheritXattr(name: string, value: Uint8Array): void {
    this.#xattrs ??= new Map();
    this.#xattrs.set(name, value);
    this.#xattrBytes += name.length + value.length;
    this.#extraBytes += name.length + value.length + OBJECT_COST.xattr;
    this.filesystem.account.force(name.length + value.length + OBJECT_COST.xattr);
  }

  override listXattr(): Result<string[]> {
    return this.#xattrs === undefined ? [] : [...this.#xattrs.keys()];
  }

  override removeXattr(name: string): SysResult {
    const old = this.#xattrs?.get(name);
    if (old === undefined) return ENODATA;
    this.#xattrs?.delete(name);
    this.#xattrBytes -= old.length + name.length;
    this.chargeExtra(-(old.length + name.length + OBJECT_COST.xattr));
    this.changed();
    return 0;
  }

  /** One name more. Returns false where the account has no room for the name. */
  addLink(): boolean {
    if (this.nlink > 0) {
      if (!this.chargeExtra(OBJECT_COST.name)) return false;
      this.#furtherNames += 1;
    }
    this.nlink += 1;
    this.changed();
    return true;
  }

  /** One name fewer. */
  dropLink(): void {
    this.nlink -= 1;
    if (this.#furtherNames > 0) {
      this.#furtherNames -= 1;
      this.chargeExtra(-OBJECT_COST.name);
    }
    this.changed();
  }

  override forgotten(): void {
    if (this.nlink === 0) this.free();
    else this.origin?.drop();
  }

  /** The file system has gone: what the node holds on the host goes too. */
  abandon(): void {}

  /** No name and no holder is left. */
  protected free(): void {
    this.filesystem.giveInode();
    this.chargeExtra(-this.#extraBytes);
    this.origin?.freed();
  }
}
