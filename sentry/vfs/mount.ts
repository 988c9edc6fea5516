// SPDX-License-Identifier: Apache-2.0
// Mounts and the tree of them (mount_namespaces(7)). No propagation: every mount is private.
import {
  EBUSY,
  EINVAL,
  ELOOP,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOTDIR,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { POLLERR, POLLPRI } from '../../abi/poll.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { WaitQueue } from '../base/wait.ts';
import { type Dentry, isWithin, rootDentry } from './dentry.ts';
import type { FileSystem } from './node.ts';
import { Path } from './path.ts';
import type { SpecialFiles } from './special-files.ts';

/** fs.mount-max of Linux. */
export const MOUNT_MAX = 100_000;

let lastMountId = 20;

export interface MountOptions {
  /** MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_RELATIME ... of this mount. */
  readonly flags?: number;
  /** First column of /proc/PID/mounts. */
  readonly source?: string;
  /** A directory or file inside the file system instead of its root (bind mounts). */
  readonly root?: Dentry;
  /** File-system options as /proc/PID/mounts shows them ('size=64k'). */
  readonly data?: string;
}

export class Mount {
  readonly id: number;
  readonly filesystem: FileSystem;
  readonly root: Dentry;
  readonly source: string;
  readonly data: string;
  flags: number;
  parent: Mount | undefined = undefined;
  mountpoint: Dentry | undefined = undefined;
  /** Mounts on dentries of this mount. */
  readonly children: Map<Dentry, Mount> = new Map();
  /** Open files and directories of processes that were reached through this mount (Path.pin). */
  users = 0;
  /** The namespace, set in the root mount of a namespace only. */
  namespace: MountNamespace | undefined = undefined;
  readonly #account: MemoryAccount = currentAccount();

  constructor(filesystem: FileSystem, options: MountOptions = {}) {
    lastMountId += 1;
    this.id = lastMountId;
    this.filesystem = filesystem;
    this.root = options.root ?? rootDentry(filesystem);
    this.source = options.source ?? filesystem.type;
    this.data = options.data ?? '';
    this.flags = options.flags ?? 0;
    this.root.pins += 1;
    filesystem.mountCount = (filesystem.mountCount ?? 0) + 1;
    this.#account.force(OBJECT_COST.mount);
  }

  /** It was taken out of the tree for good. */
  released(): void {
    this.root.pins -= 1;
    this.#account.uncharge(OBJECT_COST.mount);
    // Where somebody still uses a file, the memory stays until the container ends.
    if (this.users > 0) return;
    const { filesystem } = this;
    filesystem.mountCount = (filesystem.mountCount ?? 1) - 1;
    if (filesystem.mountCount === 0) filesystem.unmounted?.();
  }

  get rootPath(): Path {
    return new Path(this, this.root);
  }

  /** Another mount of the same subtree. */
  clone(root: Dentry = this.root): Mount {
    return new Mount(this.filesystem, {
      flags: this.flags,
      source: this.source,
      data: this.data,
      root,
    });
  }
}

/** The mounts on top of a place, down to the last: what a walk lands on. */
export function topOf(mount: Mount | undefined, dentry: Dentry): Path {
  let atMount = mount;
  let at = dentry;
  while (at.mountCount > 0 && atMount !== undefined) {
    const child = atMount.children.get(at);
    if (child === undefined) break;
    atMount = child;
    at = child.root;
  }
  return new Path(atMount, at);
}

/** The namespace that a mount is in; undefined for one that was taken out of the tree. */
export function namespaceOf(mount: Mount | undefined): MountNamespace | undefined {
  let top = mount;
  while (top?.parent !== undefined) top = top.parent;
  return top?.namespace;
}

export interface MountNamespaceParts {
  readonly inode: number;
  readonly specialFiles: SpecialFiles;
}

export class MountNamespace {
  /** The number in /proc/PID/ns/mnt. */
  readonly inode: number;
  /** The meaning of FIFOs and devices to the processes that have this namespace. */
  readonly specialFiles: SpecialFiles;
  /** The wakers of tasks that wait for a change of the mounts. */
  readonly queue: WaitQueue = new WaitQueue();
  #version = 0;
  #root: Mount;
  /** How many mounts there are; undefined where they must be counted. */
  #count: number | undefined = undefined;

  constructor(root: Mount, { inode, specialFiles }: MountNamespaceParts) {
    this.inode = inode;
    this.specialFiles = specialFiles;
    this.#root = root;
    root.namespace = this;
  }

  get root(): Mount {
    return this.#root;
  }

  /** Grows with each change of the mounts. */
  get version(): number {
    return this.#version;
  }

  /** A mount came, went, or has other flags. */
  changed(): void {
    this.#version += 1;
    this.queue.notify(POLLERR | POLLPRI);
  }

  /** The root directory as a process of this namespace starts with it. */
  get rootPath(): Path {
    return topOf(this.#root, this.#root.root);
  }

  /** All mounts, parents first, in the order of mounting among siblings. */
  *mounts(): Generator<Mount> {
    yield* treeOf(this.#root);
  }

  contains(mount: Mount | undefined): boolean {
    for (let at = mount; at !== undefined; at = at.parent) {
      if (at === this.#root) return true;
    }
    return false;
  }

  /** Returns 0, or why there may not be `count` mounts more (count_mounts() of Linux). */
  mayHave(count: number): SysResult {
    if (!currentAccount().hasRoom(count * OBJECT_COST.mount)) return ENOMEM;
    this.#count ??= countTree(this.#root);
    return this.#count + count > MOUNT_MAX ? ENOSPC : 0;
  }

  /** Puts a new mount on top of `at`. Where that fails nothing is left of the mount. */
  attach(mount: Mount, at: Path): SysResult {
    const count = countTree(mount);
    const done = this.#place(mount, at);
    if (isErrno(done)) releaseTree(mount);
    else if (this.#count !== undefined) this.#count += count;
    return done;
  }

  #place(mount: Mount, at: Path): SysResult {
    const place = topOf(at.mount, at.dentry);
    if (place.mount === undefined || !this.contains(place.mount)) return EINVAL;
    if (place.dentry.unlinked) return ENOENT;
    if ((place.node.kind === S_IFDIR) !== (mount.root.node?.kind === S_IFDIR)) return ENOTDIR;
    hang(mount, place.mount, place.dentry);
    this.changed();
    return 0;
  }

  /** A bind mount of `from` (with MS_REC: and of the mounts below it), not yet attached. */
  bind(from: Path, recursive: boolean): Result<Mount> {
    if (from.mount === undefined) return EINVAL;
    const allowed = this.mayHave(recursive ? countTree(from.mount) : 1);
    if (isErrno(allowed)) return allowed;
    const top = from.mount.clone(from.dentry);
    if (recursive) copyChildren(from.mount, top, from.dentry);
    return top;
  }

  /** Takes a mount out of the tree. EBUSY while something is mounted on it, unless `detach` (MNT_DETACH). */
  detach(mount: Mount, detach: boolean): SysResult {
    if (mount === this.#root || mount.parent === undefined) return EINVAL;
    if (mount.children.size > 0 && !detach) return EBUSY;
    if (!detach && mount.users > 0) return EBUSY;
    if (this.#count !== undefined) this.#count -= countTree(mount);
    unhang(mount);
    releaseTree(mount);
    this.changed();
    return 0;
  }

  /** mount(MS_MOVE). */
  move(mount: Mount, to: Path): SysResult {
    if (mount.parent === undefined) return EINVAL;
    const place = topOf(to.mount, to.dentry);
    for (let at = place.mount; at !== undefined; at = at.parent) if (at === mount) return ELOOP;
    if ((place.node.kind === S_IFDIR) !== (mount.root.node?.kind === S_IFDIR)) return ENOTDIR;
    this.#count = undefined;
    unhang(mount);
    return this.#place(mount, place);
  }

  /** pivot_root(2), after its checks: `newRoot` becomes the root, the old one moves onto `putOld`. */
  pivot(newRoot: Mount, putOld: Path): SysResult {
    const oldRoot = topOf(this.#root, this.#root.root).mount ?? this.#root;
    const { parent, mountpoint } = oldRoot;
    unhang(newRoot);
    if (parent !== undefined && mountpoint !== undefined) {
      unhang(oldRoot);
      hang(newRoot, parent, mountpoint);
    } else {
      this.#root.namespace = undefined;
      this.#root = newRoot;
      newRoot.namespace = this;
    }
    hang(oldRoot, putOld.mount ?? newRoot, putOld.dentry);
    this.changed();
    return 0;
  }
}

/**
 * `top` and the mounts below it, parents first. No recursion here nor below: guests stack mounts as
 * deep as they like.
 */
function* treeOf(top: Mount): Generator<Mount> {
  const found = [top];
  for (const mount of found) {
    yield mount;
    for (const child of mount.children.values()) found.push(child);
  }
}

function countTree(top: Mount): number {
  let count = 0;
  for (const _ of treeOf(top)) count += 1;
  return count;
}

/** Releases what nobody can reach any more: not what lies below a directory that somebody is in. */
function releaseTree(top: Mount): void {
  const found = [top];
  for (const mount of found) {
    mount.released();
    if (mount.users === 0) for (const child of mount.children.values()) found.push(child);
  }
}

function hang(mount: Mount, parent: Mount, at: Dentry): void {
  mount.parent = parent;
  mount.mountpoint = at;
  parent.children.set(at, mount);
  at.mountCount += 1;
}

function unhang(mount: Mount): void {
  const { parent, mountpoint } = mount;
  if (parent === undefined || mountpoint === undefined) return;
  parent.children.delete(mountpoint);
  mountpoint.mountCount -= 1;
  mount.parent = undefined;
  mount.mountpoint = undefined;
}

/** Hangs copies of all mounts below `from` that are on dentries within `below` into `to`. */
function copyChildren(from: Mount, to: Mount, below: Dentry): void {
  const pairs: [Mount, Mount, Dentry][] = [[from, to, below]];
  for (const [original, copy, within] of pairs) {
    for (const [dentry, child] of original.children) {
      if (!isWithin(dentry, within)) continue;
      const clone = child.clone();
      hang(clone, copy, dentry);
      pairs.push([child, clone, child.root]);
    }
  }
}
