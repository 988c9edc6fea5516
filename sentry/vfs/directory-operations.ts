// SPDX-License-Identifier: Apache-2.0
// Making and removing names: mkdir(2), mknod(2), symlink(2), link(2), unlink(2), rmdir(2).
// Order of the checks as in fs/namei.c: it decides which errno a program sees.
import { CAP_DAC_READ_SEARCH, CAP_MKNOD } from '../../abi/capability.ts';
import {
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EXDEV,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_FOLLOW } from '../../abi/fcntl.ts';
import {
  S_IALLUGO,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISVTX,
} from '../../abi/stat.ts';
import { isCapable } from './credentials.ts';
import { addChild, lookupChild, removeName } from './dentry.ts';
import type { FsCaller } from './fs-context.ts';
import type { NewNode, Node } from './node.ts';
import { hasObservers, notifyCreated, notifyDeleted, notifyLinkCount } from './notify.ts';
import { Path } from './path.ts';
import {
  childOf,
  type ParentWalk,
  WALK_EMPTY,
  WALK_FOLLOW,
  walkParent,
  walkPath,
} from './path-walk.ts';
import { mayChangeInode, mayCreateIn, mayDelete, mayWriteMount, newNode } from './permission.ts';
import { mayLink } from './protected-links.ts';

export function makeDirectory(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  mode: number,
): SysResult {
  const place = placeFor(caller, dirfd, pathname, true);
  if (isErrno(place)) return place;
  const bits = mode & (0o777 | S_ISVTX) & ~caller.fs.umask;
  const made = makeAt(caller, place, S_IFDIR | bits, (directory, as) =>
    directory.mkdir(place.name, as),
  );
  return isErrno(made) ? made : 0;
}

/** mknod(2); also how bind(2) makes the socket's node. Answers where it is. */
export function makeNode(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  mode: number,
  rdev: number,
): Result<Path> {
  const kind = (mode & S_IFMT) === 0 ? S_IFREG : mode & S_IFMT;
  if (kind === S_IFDIR) return EPERM;
  if (
    kind !== S_IFREG &&
    kind !== S_IFCHR &&
    kind !== S_IFBLK &&
    kind !== S_IFIFO &&
    kind !== S_IFSOCK
  )
    return EINVAL;
  const place = placeFor(caller, dirfd, pathname, false);
  if (isErrno(place)) return place;
  const isDevice = kind === S_IFCHR || kind === S_IFBLK;
  // Linux: a character device 0:0 is an overlay whiteout and needs no privilege.
  const isWhiteout = kind === S_IFCHR && rdev === 0;
  if (isDevice && !isWhiteout && !isCapable(caller.credentials, CAP_MKNOD)) return EPERM;
  const bits = mode & S_IALLUGO & ~caller.fs.umask;
  return makeAt(caller, place, kind | bits, (directory, as) =>
    kind === S_IFREG
      ? directory.create(place.name, as)
      : directory.mknod(place.name, as, isDevice ? rdev : 0),
  );
}

export function makeSymlink(
  caller: FsCaller,
  target: string,
  dirfd: number,
  pathname: string,
): SysResult {
  if (target === '') return ENOENT;
  const place = placeFor(caller, dirfd, pathname, false);
  if (isErrno(place)) return place;
  const made = makeAt(caller, place, S_IFLNK | 0o777, (directory, as) =>
    directory.symlink(place.name, target, as),
  );
  return isErrno(made) ? made : 0;
}

export function makeLink(
  caller: FsCaller,
  oldFd: number,
  oldPath: string,
  newFd: number,
  newPath: string,
  flags: number,
): SysResult {
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  let walkFlags = (flags & AT_SYMLINK_FOLLOW) !== 0 ? WALK_FOLLOW : 0;
  if ((flags & AT_EMPTY_PATH) !== 0) {
    if (oldPath === '' && !isCapable(caller.credentials, CAP_DAC_READ_SEARCH)) return ENOENT;
    walkFlags |= WALK_EMPTY;
  }
  const old = walkPath(caller, oldFd, oldPath, walkFlags);
  if (isErrno(old)) return old;
  const place = placeFor(caller, newFd, newPath, false);
  if (isErrno(place)) return place;
  if (old.mount !== place.parent.mount) return EXDEV;
  let allowed = mayChangeInode(old.node);
  if (!isErrno(allowed)) allowed = mayLink(caller.credentials, old.node);
  if (!isErrno(allowed)) allowed = mayCreateIn(caller.credentials, place.parent);
  if (isErrno(allowed)) return allowed;
  if (old.node.kind === S_IFDIR) return EPERM;
  const alive = hasNameOrWantsOne(old);
  if (isErrno(alive)) return alive;
  const linked = place.parent.node.link(place.name, old.node);
  if (isErrno(linked)) return linked;
  addChild(place.parent.dentry, place.name, old.node);
  notifyLinkCount(old.node);
  notifyCreated(place.parent.node, place.name, old.node.kind);
  return 0;
}

export function removeFile(caller: FsCaller, dirfd: number, pathname: string): SysResult {
  const place = walkParent(caller, dirfd, pathname);
  if (isErrno(place)) return place;
  if (place.kind !== 'name') return EISDIR;
  const readOnly = mayWriteMount(place.parent.mount);
  if (isErrno(readOnly)) return readOnly;
  const victim = childNoMount(caller, place);
  if (isErrno(victim)) return victim;
  if (place.trailingSlash) return victim.node.kind === S_IFDIR ? EISDIR : ENOTDIR;
  return removeAt(caller, place, victim, false);
}

export function removeDirectory(caller: FsCaller, dirfd: number, pathname: string): SysResult {
  const place = walkParent(caller, dirfd, pathname);
  if (isErrno(place)) return place;
  if (place.kind === 'dotdot') return ENOTEMPTY;
  if (place.kind === 'dot') return EINVAL;
  if (place.kind === 'root') return EBUSY;
  const readOnly = mayWriteMount(place.parent.mount);
  if (isErrno(readOnly)) return readOnly;
  const victim = childNoMount(caller, place);
  if (isErrno(victim)) return victim;
  return removeAt(caller, place, victim, true);
}

/** unlink(2) of a name in a directory that was found already. */
export function removeChild(caller: FsCaller, parent: Path, name: string): SysResult {
  const child = lookupChild(parent.dentry, name, caller);
  if (isErrno(child)) return child;
  const place: ParentWalk = { parent, name, kind: 'name', trailingSlash: false };
  return removeAt(caller, place, new Path(parent.mount, child), false);
}

function removeAt(
  caller: FsCaller,
  place: ParentWalk,
  victim: Path,
  asDirectory: boolean,
): SysResult {
  const { parent, name } = place;
  const allowed = mayDelete(caller.credentials, parent, victim.dentry, asDirectory);
  if (isErrno(allowed)) return allowed;
  const node = victim.node;
  const done = asDirectory ? parent.node.rmdir(name, node) : parent.node.unlink(name, node);
  if (isErrno(done)) return done;
  if (hasObservers())
    notifyDeleted(parent.node, victim.dentry, asDirectory || linkCount(node) === 0);
  removeName(victim.dentry);
  return 0;
}

/** The place for a new name: EEXIST where it is taken. */
function placeFor(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  isDirectory: boolean,
): Result<ParentWalk> {
  const place = walkParent(caller, dirfd, pathname);
  if (isErrno(place)) return place;
  if (place.kind !== 'name') return EEXIST;
  const there = childOf(caller, place.parent, place.name);
  if (!isErrno(there)) return EEXIST;
  if (there !== ENOENT) return there;
  if (place.trailingSlash && !isDirectory) return ENOENT;
  const readOnly = mayWriteMount(place.parent.mount);
  return isErrno(readOnly) ? readOnly : place;
}

function makeAt(
  caller: FsCaller,
  place: ParentWalk,
  mode: number,
  make: (directory: Node, as: NewNode) => Result<Node>,
): Result<Path> {
  const { parent, name } = place;
  const allowed = mayCreateIn(caller.credentials, parent);
  if (isErrno(allowed)) return allowed;
  const node = make(parent.node, newNode(caller.credentials, parent.node, mode));
  if (isErrno(node)) return node;
  const dentry = addChild(parent.dentry, name, node);
  notifyCreated(parent.node, name, node.kind);
  return new Path(parent.mount, dentry);
}

/** The entry itself, not what is mounted on it. */
export function childNoMount(caller: FsCaller, place: ParentWalk): Result<Path> {
  const found = childOf(caller, place.parent, place.name);
  if (isErrno(found) || found.mount === place.parent.mount) return found;
  let at: Path = found;
  while (
    at.mount !== place.parent.mount &&
    at.mount?.parent !== undefined &&
    at.mount.mountpoint !== undefined
  ) {
    at = new Path(at.mount.parent, at.mount.mountpoint);
  }
  return at;
}

/** A file whose last name is gone cannot get a new one, unless it never had one (O_TMPFILE). */
function hasNameOrWantsOne(path: Path): SysResult {
  const attributes = path.node.attributes();
  if (isErrno(attributes)) return attributes;
  if (attributes.nlink > 0) return 0;
  return path.dentry.unlinked && path.dentry.name === `#${attributes.ino}` ? 0 : ENOENT;
}

function linkCount(node: Node): number {
  const attributes = node.attributes();
  return isErrno(attributes) ? 0 : attributes.nlink;
}
