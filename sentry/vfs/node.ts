// SPDX-License-Identifier: Apache-2.0
// The objects behind names: what a file system implements. Names are byte strings, one char per
// byte (latin1), never '/' and never '.' or '..' here: the path walk handles those.
// No operation sleeps. Permissions are checked by vfs/ before a node is asked, with `attributes`.

import {
  EINVAL,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import type { WallTime } from '../base/clock.ts';
import type { Waitable } from '../base/wait.ts';
import type { Caller } from './caller.ts';
import type { FileLocks } from './locks.ts';
import type { NodeObserver } from './notify.ts';
import type { OpenFile } from './open-file.ts';
import type { Path } from './path.ts';

/** The attributes that stat(2) shows. Times are wall-clock; ids are the sandbox's. */
export interface Attributes {
  readonly dev: number;
  readonly ino: number;
  /** Type and permission bits: S_IFMT | 07777. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly sizeBytes: number;
  readonly blockSize: number;
  /** 512-byte units. */
  readonly blocks: number;
  readonly atime: WallTime;
  readonly mtime: WallTime;
  readonly ctime: WallTime;
  readonly btime: WallTime;
}

/** Owner of a file that is nobody's in the container's user namespace: INVALID_UID of the kernel. */
export const NO_ID = 0xffff_ffff;
/**
 * Owner that the mapping of the mount has no id for. Unlike files of others, such ones cannot be
 * written, removed or changed by anybody (HAS_UNMAPPED_ID in the kernel). No guest can name it.
 */
export const UNMAPPED_ID = -1;
/** The id that programs see in place of an id which they do not have (/proc/sys/fs/overflowuid). */
const OVERFLOW_ID = 65534;

/** An owner as stat(2) gives it. */
export function shownId(id: number): number {
  return id === NO_ID || id === UNMAPPED_ID ? OVERFLOW_ID : id;
}

/** It belongs to somebody in the container. */
export function isOwned({ uid, gid }: Pick<Ownership, 'uid' | 'gid'>): boolean {
  return uid !== NO_ID && gid !== NO_ID && !isUnmapped(uid, gid);
}

export function isUnmapped(uid: number, gid: number): boolean {
  return uid === UNMAPPED_ID || gid === UNMAPPED_ID;
}

/**
 * The part of Attributes that permission checks need. Nodes that keep these as fields are their own
 * Ownership.
 */
export interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Only the fields present change. The vfs has already checked that the caller may. */
export interface AttributeChange {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
  readonly atime?: WallTime;
  readonly mtime?: WallTime;
}

export interface FileSystemStatus {
  readonly type: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameMax: number;
  readonly flags: number;
}

/** statfs(2) of a file system that counts nothing (simple_statfs). */
export function emptyStatus(type: number): FileSystemStatus {
  return {
    type,
    blockSize: PAGE_SIZE,
    blocks: 0,
    blocksFree: 0,
    files: 0,
    filesFree: 0,
    nameMax: 255,
    flags: 0,
  };
}

/** One mounted instance of a file system type. */
export interface FileSystem {
  /**
   * The name of the type in /proc/filesystems and /proc/PID/mounts: 'tmpfs', 'proc', 'overlay',
   * '9p' and so on.
   */
  readonly type: string;
  readonly root: Node;
  /** Device number of the instance (st_dev). */
  readonly dev: number;
  /** The mounts that show the file system: counted by vfs/mount.ts alone. */
  mountCount?: number;
  /** Owners are not shown as they are on the host (mount_setattr(2)). */
  readonly isIdMapped?: boolean;
  /** The last mount has gone, and nobody has a file open: a file system in memory gives it back. */
  unmounted?(): void;
  status(): FileSystemStatus;
  /** Writes back what is dirty (sync, syncfs). */
  sync(): SysResult;
}

/** Owner and mode (umask already applied) of a node to be made. */
export interface NewNode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The state that belongs to a file under whatever nodes it is known. */
export class FileIdentity {
  /** File locks (vfs/locks.ts), once there are any. */
  locks: FileLocks | undefined = undefined;
  /** The observers of the file (vfs/notify.ts), once there are any. */
  observers: Set<NodeObserver> | undefined = undefined;
  /** Address spaces whose program it is (mm/memory-manager.ts): nobody writes to it meanwhile. */
  running = 0;
  /** Descriptions that are open for writing: nobody executes the file meanwhile (i_writecount). */
  writers = 0;
  /** The pipe of a FIFO that was opened (fs/pipe/fifo.ts), which this layer knows no more of. */
  fifoPipe: object | undefined = undefined;
  /** The socket that is bound to the name (net/unix/address.ts). */
  boundSocket: object | undefined = undefined;
}

/**
 * An inode. The same object must be answered for the same file as long as anyone holds it: dentries
 * are keyed by it.
 */
export abstract class Node extends FileIdentity {
  abstract readonly filesystem: FileSystem;
  /** S_IFMT bits of the mode; never changes. */
  abstract readonly kind: number;
  /**
   * Kept by the dentry cache: false for nodes whose names may change behind the Sentry (proc,
   * shared gofer mounts). A walk asks `lookup` again for each child of such a node, and for such a
   * child.
   */
  readonly cacheable: boolean = true;
  /** Dentries that name this node: counted by vfs/dentry.ts alone. */
  dentryCount = 0;
  /** The call that writes this file in pieces. */
  longCall: Waitable | undefined = undefined;

  /** The file itself: other nodes may be of the same one (fs/gofer/shared-identities.ts). */
  get identity(): FileIdentity {
    return this;
  }

  /** The same without making one: undefined where nothing can hang on it yet. */
  get knownIdentity(): FileIdentity | undefined {
    return this;
  }

  /** ETXTBSY for opening for writing, and for truncate(2). */
  get isRunning(): boolean {
    return (this.knownIdentity?.running ?? 0) > 0;
  }

  /** True: execve(2) answers ETXTBSY. */
  get isOpenForWriting(): boolean {
    return (this.knownIdentity?.writers ?? 0) > 0;
  }

  abstract attributes(): Result<Attributes>;

  /** Mode and owner, for permission checks: override where it can be had without building Attributes. */
  ownership(): Result<Ownership> {
    return this.attributes();
  }

  /** The dentry cache dropped the last dentry of this node: nobody in vfs/ holds it any more. */
  forgotten(): void {}

  /**
   * A walk missed the dentry cache here and will look up the names in `path` from `position` on
   * ('/' between them): a remote file system may fetch them at once.
   */
  lookupAhead(_path: string, _position: number): void {}

  setAttributes(_change: AttributeChange): SysResult {
    return EPERM;
  }

  /** Returns whether `bytes` more can be had at all, before they are asked for piece by piece. */
  hasRoomFor(_bytes: number): boolean {
    return true;
  }

  /**
   * Frees a piece of the memory that a cut to `sizeBytes` will free, so that the cut itself does not
   * take long. False where nothing, or little, is left to free, or a cut is not allowed.
   */
  freePieceBeyond(_sizeBytes: number): boolean {
    return false;
  }

  /** Owner or group is UNMAPPED_ID, as far as is known without asking. */
  get isUnmapped(): boolean {
    return false;
  }

  /**
   * May a file here have these owners (undefined: whoever it is)? EINVAL where the container has no
   * such id, EOVERFLOW where the mount's mapping has none.
   */
  mayBelongTo(_uid: number | undefined, _gid: number | undefined): SysResult {
    return 0;
  }

  /** A child, or ENOENT (ENOTDIR where this is no directory). `caller` matters only to proc-like systems. */
  lookup(_name: string, _caller: Caller): Result<Node> {
    return ENOTDIR;
  }

  create(_name: string, _as: NewNode): Result<Node> {
    return EPERM;
  }

  /** A regular file without a name (O_TMPFILE); `link` may give it one. */
  createUnnamed(_as: NewNode): Result<Node> {
    return EOPNOTSUPP;
  }

  mkdir(_name: string, _as: NewNode): Result<Node> {
    return EPERM;
  }

  /** S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK. */
  mknod(_name: string, _as: NewNode, _rdev: number): Result<Node> {
    return EPERM;
  }

  symlink(_name: string, _target: string, _as: NewNode): Result<Node> {
    return EPERM;
  }

  /** Gives `target` (of this file system, no directory) another name here. */
  link(_name: string, _target: Node): SysResult {
    return EPERM;
  }

  unlink(_name: string, _target: Node): SysResult {
    return EPERM;
  }

  rmdir(_name: string, _target: Node): SysResult {
    return EPERM;
  }

  /**
   * Renames `name` here to `newName` in `newParent` (same file system), which is `victim`'s so far.
   * `flags` are RENAME_*.
   */
  rename(
    _name: string,
    _newParent: Node,
    _newName: string,
    _flags: number,
    _victim: Node | undefined,
  ): SysResult {
    return EPERM;
  }

  readlink(_caller: Caller): Result<string> {
    return EINVAL;
  }

  /** Magic links (/proc/PID/fd/N, exe, cwd, root) answer where they lead; undefined for ordinary ones. */
  followMagic(_caller: Caller): Result<MagicTarget> | undefined {
    return undefined;
  }

  /**
   * Opens. `flags` are O_* with access mode; creation, truncation and permission are already done.
   * A FIFO opened by path is opened by vfs/open.ts, never here.
   */
  abstract open(flags: number, caller: Caller): Result<OpenFile>;

  getXattr(_name: string): Result<Uint8Array> {
    return EOPNOTSUPP;
  }

  setXattr(_name: string, _value: Uint8Array, _flags: number): SysResult {
    return EOPNOTSUPP;
  }

  listXattr(): Result<string[]> {
    return [];
  }

  removeXattr(_name: string): SysResult {
    return EOPNOTSUPP;
  }

  /**
   * Removes the capabilities that a program file gives (security.capability), since its bytes or its
   * owner change (ATTR_KILL_PRIV). File systems of the host do nothing: the host's kernel removes
   * them itself.
   */
  dropFileCapabilities(): void {}
}

/** Where a magic link leads. */
export type MagicTarget = Path;
