// SPDX-License-Identifier: Apache-2.0
// From a path name to a place: path_resolution(7), openat2(2) RESOLVE_*.
// One PathWalk object a walk. A symbolic link's target is put in front of what is left of the path,
// so there is one loop and no recursion.
import {
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  EXDEV,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  AT_FDCWD,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';
import { MAXSYMLINKS, MS_NOSYMFOLLOW, NAME_MAX, PATH_MAX } from '../../abi/fs.ts';
import { S_IFDIR, S_IFLNK } from '../../abi/stat.ts';
import { type Dentry, lookupChild } from './dentry.ts';
import type { FsCaller } from './fs-context.ts';
import { Path } from './path.ts';
import { MAY_EXEC, mayAccess } from './permission.ts';
import { mayFollowLink } from './protected-links.ts';

/** Flags of a walk: RESOLVE_* (openat2) in the low byte, and these. */
export const WALK_FOLLOW = 0x100;
export const WALK_DIRECTORY = 0x200;
/** AT_EMPTY_PATH: an empty path names dirfd itself. */
export const WALK_EMPTY = 0x400;

/** The kind of the last component. */
export type LastKind = 'name' | 'dot' | 'dotdot' | 'root';

/** The directory of a name, for calls that make or remove it. */
export interface ParentWalk {
  readonly parent: Path;
  /** The last component; '' unless kind is 'name'. */
  readonly name: string;
  readonly kind: LastKind;
  /** The path ended in '/'. */
  readonly trailingSlash: boolean;
}

/** The place that `pathname` names, seen from dirfd. */
export function walkPath(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  flags: number,
): Result<Path> {
  if (pathname === '' && (flags & WALK_EMPTY) !== 0) return startOf(caller, dirfd, false);
  const walk = new PathWalk(caller, flags);
  const begun = walk.begin(dirfd, pathname);
  return isErrno(begun) ? begun : walk.finish();
}

/** Everything but the last component. Its name is not looked up, and no link followed for it. */
export function walkParent(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  flags = 0,
): Result<ParentWalk> {
  const walk = new PathWalk(caller, flags);
  const begun = walk.begin(dirfd, pathname);
  if (isErrno(begun)) return begun;
  const walked = walk.toParent();
  return isErrno(walked) ? walked : walk.result();
}

/** Looks `name` up in a directory, mounts on it included. Permission to search is the walk's business. */
export function childOf(caller: FsCaller, directory: Path, name: string): Result<Path> {
  const child = lookupChild(directory.dentry, name, caller);
  return isErrno(child) ? child : crossMounts(directory.mount, child);
}

function crossMounts(mount: Path['mount'], dentry: Dentry): Path {
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

/** The directory (or with `asDirectory` false, file) that a relative path starts at. */
function startOf(caller: FsCaller, dirfd: number, asDirectory: boolean): Result<Path> {
  if (dirfd === AT_FDCWD) return caller.fs.cwd;
  const file = caller.files.getAny(dirfd);
  if (isErrno(file)) return file;
  const path = file.path;
  if (path === undefined)
    return asDirectory ? ENOTDIR : new Path(undefined, caller.files.anonymousDentryOf(file));
  return asDirectory && path.node.kind !== S_IFDIR ? ENOTDIR : path;
}

export class PathWalk {
  readonly #caller: FsCaller;
  readonly #flags: number;
  #mount: Path['mount'];
  #dentry: Dentry;
  /**
   * Where '..' stops and '/' leads: the process's root, or the start for RESOLVE_IN_ROOT and
   * RESOLVE_BENEATH.
   */
  #root: Path;
  #rest = '';
  #at = 0;
  #links = 0;
  #name = '';
  #kind: LastKind = 'root';
  #trailing = false;

  constructor(caller: FsCaller, flags: number) {
    this.#caller = caller;
    this.#flags = flags;
    this.#root = caller.fs.root;
    this.#mount = this.#root.mount;
    this.#dentry = this.#root.dentry;
  }

  /** 0, or why the walk cannot start. */
  begin(dirfd: number, pathname: string): SysResult {
    if (pathname === '') return ENOENT;
    if (pathname.length >= PATH_MAX) return ENAMETOOLONG;
    const scoped = (this.#flags & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0;
    const absolute = pathname.charCodeAt(0) === SLASH;
    if (absolute && (this.#flags & RESOLVE_BENEATH) !== 0) return EXDEV;
    if (!absolute || scoped) {
      const start = startOf(this.#caller, dirfd, true);
      if (isErrno(start)) return start;
      this.#mount = start.mount;
      this.#dentry = start.dentry;
      if (scoped) this.#root = start;
    }
    this.#rest = pathname;
    this.#at = 0;
    return 0;
  }

  /** Resolves all of it. */
  finish(): Result<Path> {
    for (;;) {
      const walked = this.toParent();
      if (isErrno(walked)) return walked;
      const found = this.last();
      if (found !== undefined) return found;
    }
  }

  result(): ParentWalk {
    return {
      parent: new Path(this.#mount, this.#dentry),
      name: this.#name,
      kind: this.#kind,
      trailingSlash: this.#trailing,
    };
  }

  /** Walks up to the last component, which result() then names. */
  toParent(): SysResult {
    for (;;) {
      this.#skipSlashes();
      if (this.#at >= this.#rest.length) {
        this.#kind = 'root';
        this.#name = '';
        this.#trailing = true;
        return this.#checkDirectory();
      }
      const end = this.#componentEnd();
      const next = this.#afterSlashes(end);
      const isLast = next >= this.#rest.length;
      const kind = this.#classify(this.#at, end);

      const allowed = this.#maySearch();
      if (isErrno(allowed)) return allowed;
      if (end - this.#at > NAME_MAX) return ENAMETOOLONG;
      const name = kind === 'name' ? this.#rest.slice(this.#at, end) : '';
      this.#at = next;
      if (isLast) {
        this.#kind = kind;
        this.#name = name;
        this.#trailing = next > end;
        return 0;
      }
      const stepped = this.#step(kind, name, true, false);
      if (isErrno(stepped)) return stepped;
    }
  }

  /**
   * The last component after toParent(). Undefined: it was a link that is followed; walk on with
   * toParent().
   */
  last(): Result<Path> | undefined {
    const follow = this.#trailing || (this.#flags & WALK_FOLLOW) !== 0;
    const stepped = this.#step(this.#kind, this.#name, follow, true);
    if (isErrno(stepped)) return stepped;
    if (stepped === FOLLOWED) return undefined;
    const mustBeDirectory = this.#trailing || (this.#flags & WALK_DIRECTORY) !== 0;
    if (mustBeDirectory && this.#dentry.node?.kind !== S_IFDIR) return ENOTDIR;
    return new Path(this.#mount, this.#dentry);
  }

  /** One component. 0, FOLLOWED where a link's target now is the rest of the path, or an errno. */
  #step(kind: LastKind, name: string, follow: boolean, isLast: boolean): SysResult {
    if (kind === 'dotdot') return this.#up();
    if (kind !== 'name') return 0;
    const parent = this.#dentry;
    const mayBeKnown = parent.node?.cacheable === true && parent.children?.has(name) === true;
    if (this.#at < this.#rest.length && !mayBeKnown) {
      parent.node?.lookupAhead(`${name}/${this.#rest.slice(this.#at)}`, 0);
    }
    const child = lookupChild(parent, name, this.#caller);
    if (isErrno(child)) return child;
    if (child.mountCount > 0) {
      const crossed = crossMounts(this.#mount, child);
      if (crossed.mount !== this.#mount && (this.#flags & RESOLVE_NO_XDEV) !== 0) return EXDEV;
      this.#mount = crossed.mount;
      this.#dentry = crossed.dentry;
      return 0;
    }
    if (follow && child.node?.kind === S_IFLNK) return this.#follow(child, isLast);
    this.#dentry = child;
    return 0;
  }

  #follow(link: Dentry, isLast: boolean): SysResult {
    if ((this.#flags & RESOLVE_NO_SYMLINKS) !== 0) return ELOOP;
    this.#links += 1;
    if (this.#links > MAXSYMLINKS) return ELOOP;
    if (this.#mount !== undefined && (this.#mount.flags & MS_NOSYMFOLLOW) !== 0) return ELOOP;
    const node = link.node;
    const directory = this.#dentry.node;
    if (node === undefined || directory === undefined) return ENOENT;
    const allowed = isLast ? mayFollowLink(this.#caller.credentials, directory, node) : 0;
    if (isErrno(allowed)) return allowed;
    const magic = node.followMagic(this.#caller);
    if (magic !== undefined) return this.#jump(magic);

    const target = node.readlink(this.#caller);
    if (isErrno(target)) return target;
    if (target === '') return ENOENT;
    if (target.length + this.#rest.length - this.#at > 64 * PATH_MAX) return ENAMETOOLONG;
    if (target.charCodeAt(0) === SLASH) {
      const bad = this.#toRoot();
      if (isErrno(bad)) return bad;
    }
    const more =
      this.#at < this.#rest.length ? `/${this.#rest.slice(this.#at)}` : this.#trailing ? '/' : '';
    this.#rest = target + more;
    this.#at = 0;
    return FOLLOWED;
  }

  #toRoot(): SysResult {
    if ((this.#flags & RESOLVE_BENEATH) !== 0) return EXDEV;
    if ((this.#flags & RESOLVE_NO_XDEV) !== 0 && this.#mount !== this.#root.mount) return EXDEV;
    this.#mount = this.#root.mount;
    this.#dentry = this.#root.dentry;
    return 0;
  }

  /** A magic link: straight to its target. */
  #jump(target: Result<Path>): SysResult {
    if (isErrno(target)) return target;
    if ((this.#flags & RESOLVE_NO_MAGICLINKS) !== 0) return ELOOP;
    if ((this.#flags & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) !== 0) return EXDEV;
    if ((this.#flags & RESOLVE_NO_XDEV) !== 0 && target.mount !== this.#mount) return EXDEV;
    this.#mount = target.mount;
    this.#dentry = target.dentry;
    return 0;
  }

  #up(): SysResult {
    for (;;) {
      if (this.#dentry === this.#root.dentry && this.#mount === this.#root.mount) {
        if ((this.#flags & RESOLVE_BENEATH) !== 0) return EXDEV;
        return this.#intoMounts();
      }
      if (this.#mount === undefined || this.#dentry !== this.#mount.root) break;
      const { parent, mountpoint } = this.#mount;
      if (parent === undefined || mountpoint === undefined) return this.#intoMounts();
      if ((this.#flags & RESOLVE_NO_XDEV) !== 0) return EXDEV;
      this.#mount = parent;
      this.#dentry = mountpoint;
    }
    if (this.#dentry.parent !== undefined) this.#dentry = this.#dentry.parent;
    return this.#intoMounts();
  }

  /** Steps onto what is mounted on the directory that was reached by '..'. */
  #intoMounts(): SysResult {
    if (this.#dentry.mountCount === 0) return 0;
    const path = crossMounts(this.#mount, this.#dentry);
    if (path.mount !== this.#mount && (this.#flags & RESOLVE_NO_XDEV) !== 0) return EXDEV;
    this.#mount = path.mount;
    this.#dentry = path.dentry;
    return 0;
  }

  #maySearch(): SysResult {
    const node = this.#dentry.node;
    if (node === undefined) return ENOENT;
    if (node.kind !== S_IFDIR) return ENOTDIR;
    return mayAccess(this.#caller.credentials, node, MAY_EXEC);
  }

  #checkDirectory(): SysResult {
    return this.#dentry.node?.kind === S_IFDIR ? 0 : ENOTDIR;
  }

  #skipSlashes(): void {
    this.#at = this.#afterSlashes(this.#at);
  }

  #afterSlashes(from: number): number {
    let at = from;
    while (at < this.#rest.length && this.#rest.charCodeAt(at) === SLASH) at += 1;
    return at;
  }

  #componentEnd(): number {
    const slash = this.#rest.indexOf('/', this.#at);
    return slash < 0 ? this.#rest.length : slash;
  }

  #classify(from: number, end: number): LastKind {
    const length = end - from;
    if (length > 2 || this.#rest.charCodeAt(from) !== DOT) return 'name';
    if (length === 1) return 'dot';
    return this.#rest.charCodeAt(from + 1) === DOT ? 'dotdot' : 'name';
  }
}

const SLASH = 47;
const DOT = 46;
/** Answer of #step: not an errno, and not 0. */
const FOLLOWED = 1;

/** For chdir(2), chroot(2): a directory that the caller may search. */
export function searchable(caller: FsCaller, path: Path): SysResult {
  if (path.node.kind !== S_IFDIR) return ENOTDIR;
  return mayAccess(caller.credentials, path.node, MAY_EXEC);
}
