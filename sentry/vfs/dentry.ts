// SPDX-License-Identifier: Apache-2.0
// The dentry cache: names that were looked up, found or not, and the tree of names in use. A dentry
// is one name of one node in one file system; mounts of the same file system share them. What keeps
// a dentry: its pins (open files, working directories, mounts: Path.pin), its children, a mount on
// top, and else recent use: past `unusedLimit` dentries the least recently used go (second chance).
// A dentry that somebody holds without a pin stays valid, but a rename may no longer show in its
// path.
import { ENOENT, type Errno, isErrno, type Result } from '../../abi/errno.ts';
import type { Caller } from './caller.ts';
import type { FileSystem, Node } from './node.ts';

export class Dentry {
  name: string;
  parent: Dentry | undefined;
  /** Undefined: negative, a name known not to exist. */
  readonly node: Node | undefined;
  children: Map<string, Dentry> | undefined = undefined;
  pins = 0;
  /** Those of `pins` that watches of inotify(7) hold: for Linux a watch holds the inode, not the name. */
  watchPins = 0;
  /** Told once nobody but watches holds the dentry any more; its file has no name left. */
  atLastUse: (() => void) | undefined = undefined;
  /** Mounts that have this dentry as their mount point. */
  mountCount = 0;
  /** The name was removed (unlink, rmdir, rename over it); paths show ' (deleted)'. */
  unlinked = false;
  /** Used since the cache's hand last passed. */
  used = true;
  /** Place in the cache's ring; -1: not in it (roots, anonymous files, unlinked). */
  slot = -1;
  /** Counted in node.dentryCount. */
  counted = false;

  constructor(name: string, parent: Dentry | undefined, node: Node | undefined) {
    this.name = name;
    this.parent = parent;
    this.node = node;
  }
}

/** Bounds how many dentries nobody uses are kept. */
class DentryCache {
  readonly #ring: Dentry[] = [];
  #hand = 0;
  limit = 20_000;

  get size(): number {
    return this.#ring.length;
  }

  add(dentry: Dentry): void {
    dentry.slot = this.#ring.length;
    this.#ring.push(dentry);
    if (this.#ring.length > this.limit) this.#shrink(dentry);
  }

  remove(dentry: Dentry): void {
    const slot = dentry.slot;
    if (slot < 0) return;
    const last = this.#ring.pop() as Dentry;
    if (last !== dentry) {
      this.#ring[slot] = last;
      last.slot = slot;
    }
    dentry.slot = -1;
  }

  /** Passes a bounded number of dentries, so that a cache full of pinned ones costs no more than that. */
  #shrink(newest: Dentry): void {
    for (let steps = 0; steps < 64 && this.#ring.length > this.limit; steps += 1) {
      if (this.#hand >= this.#ring.length) this.#hand = 0;
      const dentry = this.#ring[this.#hand] as Dentry;
      if (dentry === newest || isHeld(dentry)) {
        this.#hand += 1;
      } else if (dentry.used) {
        dentry.used = false;
        this.#hand += 1;
      } else {
        forget(dentry);
      }
    }
  }
}

const cache = new DentryCache();

/** Sets the bound (tests; small sandboxes). */
export function setDentryLimit(limit: number): void {
  cache.limit = limit;
}

export function cachedDentries(): number {
  return cache.size;
}

const roots = new WeakMap<FileSystem, Dentry>();

/** The one root dentry of a file system. */
export function rootDentry(filesystem: FileSystem): Dentry {
  let root = roots.get(filesystem);
  if (root === undefined) {
    root = new Dentry('', undefined, filesystem.root);
    count(root, filesystem.root);
    roots.set(filesystem, root);
  }
  return root;
}

/** A dentry outside any tree, for files that have no path; `name` is what /proc/PID/fd shows. */
export function anonymousDentry(name: string, node: Node): Dentry {
  return new Dentry(name, undefined, node);
}

/** The dentry of a file that has no name yet (O_TMPFILE). */
export function unnamedDentry(name: string, directory: Dentry, node: Node): Dentry {
  const dentry = new Dentry(name, directory, node);
  dentry.unlinked = true;
  count(dentry, node);
  return dentry;
}

/** The child of a directory. ENOENT where there is none (never a negative dentry). */
export function lookupChild(parent: Dentry, name: string, caller: Caller): Result<Dentry> {
  const directory = parent.node as Node;
  const known = parent.children?.get(name);
  if (known !== undefined) {
    known.used = true;
    if (directory.cacheable) {
      if (known.node === undefined) return ENOENT;
      if (known.node.cacheable) return known;
    }
  }
  return lookupNode(parent, directory, name, known, caller);
}

function lookupNode(
  parent: Dentry,
  directory: Node,
  name: string,
  known: Dentry | undefined,
  caller: Caller,
): Result<Dentry> {
  const found = directory.lookup(name, caller);
  if (isErrno(found)) return missing(parent, directory, name, known, found);
  if (known !== undefined) {
    if (known.node === found) return known;
    unlinkDentry(known);
  }
  return addChild(parent, name, found);
}

function missing(
  parent: Dentry,
  directory: Node,
  name: string,
  known: Dentry | undefined,
  error: Errno,
): Errno {
  if (error !== ENOENT) return error;
  if (known !== undefined && known.node !== undefined) unlinkDentry(known);
  if (directory.cacheable && !parent.unlinked && !parent.children?.has(name))
    addChild(parent, name, undefined);
  return ENOENT;
}

/** Enters a name that was made or found just now; replaces a negative entry. */
export function addChild(parent: Dentry, name: string, node: Node | undefined): Dentry {
  const old = parent.children?.get(name);
  if (old !== undefined) unhash(old);
  const child = new Dentry(name, parent, node);
  if (node !== undefined) count(child, node);
  if (parent.children === undefined) parent.children = new Map();
  parent.children.set(name, child);
  cache.add(child);
  return child;
}

/** The name is gone from its directory (unlink, rmdir). Holders keep the dentry. */
export function removeName(dentry: Dentry): void {
  const parent = dentry.parent;
  unlinkDentry(dentry);
  if (parent?.node?.cacheable === true && !parent.unlinked)
    addChild(parent, dentry.name, undefined);
}

/** A rename: `dentry` becomes `newParent`/`newName`; what had that name is unlinked. */
export function moveName(dentry: Dentry, newParent: Dentry, newName: string): void {
  const replaced = newParent.children?.get(newName);
  if (replaced !== undefined && replaced !== dentry) unlinkDentry(replaced);
  dentry.parent?.children?.delete(dentry.name);
  dentry.name = newName;
  dentry.parent = newParent;
  if (newParent.children === undefined) newParent.children = new Map();
  newParent.children.set(newName, dentry);
}

/** RENAME_EXCHANGE. */
export function exchangeNames(a: Dentry, b: Dentry): void {
  const { name, parent } = a;
  a.name = b.name;
  a.parent = b.parent;
  b.name = name;
  b.parent = parent;
  a.parent?.children?.set(a.name, a);
  b.parent?.children?.set(b.name, b);
}

/** True when `ancestor` is `dentry` or above it. */
export function isWithin(dentry: Dentry, ancestor: Dentry): boolean {
  for (let at: Dentry | undefined = dentry; at !== undefined; at = at.parent) {
    if (at === ancestor) return true;
  }
  return false;
}

function isHeld(dentry: Dentry): boolean {
  return (
    dentry.pins > 0 ||
    dentry.mountCount > 0 ||
    (dentry.children !== undefined && dentry.children.size > 0)
  );
}

/** One more holder that the cache cannot see. */
export function pinDentry(dentry: Dentry): void {
  dentry.pins += 1;
}

export function unpinDentry(dentry: Dentry): void {
  dentry.pins -= 1;
  if (dentry.atLastUse !== undefined && !isInUse(dentry)) {
    const { atLastUse } = dentry;
    dentry.atLastUse = undefined;
    atLastUse();
  }
  if (dentry.pins === 0 && dentry.unlinked) uncount(dentry);
}

/** Says whether an open file, a mapping, a working directory or the like holds the dentry. */
export function isInUse(dentry: Dentry): boolean {
  return dentry.pins > dentry.watchPins;
}

/** Drops an unused dentry: the name is looked up afresh next time. */
function forget(dentry: Dentry): void {
  unhash(dentry);
  uncount(dentry);
}

function unlinkDentry(dentry: Dentry): void {
  unhash(dentry);
  dentry.unlinked = true;
  if (dentry.pins === 0) uncount(dentry);
}

function unhash(dentry: Dentry): void {
  cache.remove(dentry);
  const siblings = dentry.parent?.children;
  if (siblings?.get(dentry.name) === dentry) siblings.delete(dentry.name);
}

function count(dentry: Dentry, node: Node): void {
  dentry.counted = true;
  node.dentryCount += 1;
}

function uncount(dentry: Dentry): void {
  const node = dentry.node;
  if (!dentry.counted || node === undefined) return;
  dentry.counted = false;
  node.dentryCount -= 1;
  if (node.dentryCount === 0) node.forgotten();
}
