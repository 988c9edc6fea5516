// SPDX-License-Identifier: Apache-2.0
// open(2), openat2(2): from a path to an open file description. Installing a descriptor is the
// syscall's business.
import {
  EACCES,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  ETXTBSY,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  canWrite,
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TMPFILE_BIT,
  O_TRUNC,
  VALID_OPEN_FLAGS,
} from '../../abi/fcntl.ts';
import { MS_NODEV, MS_NOEXEC } from '../../abi/fs.ts';
import {
  S_IALLUGO,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
} from '../../abi/stat.ts';
import { type Blocking, KILLABLE_PAUSE } from '../base/wait.ts';
import { addChild, unnamedDentry } from './dentry.ts';
import type { FsCaller } from './fs-context.ts';
import type { NewNode, Node } from './node.ts';
import { notifyCreated, notifyModified, notifyOpened } from './notify.ts';
import { OpenFile } from './open-file.ts';
import { Path } from './path.ts';
import { PathFile } from './path-file.ts';
import { PathWalk, WALK_DIRECTORY, WALK_FOLLOW, walkPath } from './path-walk.ts';
import {
  dropPrivileges,
  isOwner,
  MAY_EXEC,
  MAY_READ,
  MAY_WRITE,
  mayAccess,
  mayCreateIn,
  mayWriteMount,
  newNode,
} from './permission.ts';
import { mayOpenInSticky } from './protected-links.ts';
import type { Opening } from './special-files.ts';

export interface OpenHow {
  /** O_*. */
  readonly flags: number;
  /** Permission bits for O_CREAT and O_TMPFILE, umask not yet applied. */
  readonly mode: number;
  /** RESOLVE_*. */
  readonly resolve: number;
}

const pathFlags = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
const creationFlags = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;

/**
 * Opens `pathname`. A generator only where a FIFO has to wait for its other end, or O_TRUNC frees very
 * much.
 */
export function openPath(caller: FsCaller, dirfd: number, pathname: string, how: OpenHow): Opening {
  const flags = cleanFlags(how.flags);
  if (isErrno(flags)) return flags;
  const creates = (flags & O_CREAT) !== 0;
  let walkFlags = how.resolve;
  if ((flags & O_DIRECTORY) !== 0) walkFlags |= WALK_DIRECTORY;
  if ((flags & O_NOFOLLOW) === 0 && !(creates && (flags & O_EXCL) !== 0)) walkFlags |= WALK_FOLLOW;

  const walk = new PathWalk(caller, walkFlags);
  const begun = walk.begin(dirfd, pathname);
  if (isErrno(begun)) return begun;
  if ((flags & O_TMPFILE_BIT) !== 0) return openUnnamed(caller, walk, flags, how.mode);
  if (creates) return openOrCreate(caller, walk, flags, how.mode);
  const path = walk.finish();
  return isErrno(path) ? path : openExisting(caller, path, flags);
}

/**
 * Opens a file like open(2), for kernel callers that cannot wait (loader, boot): a FIFO answers
 * ENXIO.
 */
export function openNow(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  how: OpenHow,
): Result<OpenFile> {
  const opened = openPath(caller, dirfd, pathname, how);
  if (opened instanceof OpenFile || typeof opened === 'number') return opened;
  opened.return(ENXIO);
  return ENXIO;
}

/** Opens a place that was walked to already: open(2) from its permission checks on. */
export function openExisting(caller: FsCaller, path: Path, flags: number): Opening {
  if ((flags & O_PATH) !== 0) {
    const file = new PathFile(path.node, flags & pathFlags & ~O_CLOEXEC);
    return adopt(file, path);
  }
  const truncates = (flags & O_TRUNC) !== 0 && path.node.kind === S_IFREG;
  if (truncates) {
    const readOnly = mayWriteMount(path.mount);
    if (isErrno(readOnly)) return readOnly;
  }
  const allowed = mayOpen(caller, path, flags);
  if (isErrno(allowed)) return allowed;
  if (!truncates) return openNode(caller, path, flags);
  return path.node.freePieceBeyond(0)
    ? truncateInPieces(caller, path, flags)
    : truncateAndOpen(caller, path, flags);
}

/** Frees what is too much for one turn, and then opens. */
function* truncateInPieces(
  caller: FsCaller,
  path: Path,
  flags: number,
): Blocking<Result<OpenFile>> {
  path.pin();
  try {
    do yield KILLABLE_PAUSE;
    while (path.node.freePieceBeyond(0));
    const opened = truncateAndOpen(caller, path, flags);
    return opened instanceof OpenFile || typeof opened === 'number' ? opened : yield* opened;
  } finally {
    path.unpin();
  }
}

function truncateAndOpen(caller: FsCaller, path: Path, flags: number): Opening {
  const truncated = truncateForOpen(caller, path);
  return isErrno(truncated) ? truncated : openNode(caller, path, flags);
}

/** open(2)'s flags without unknown bits, or EINVAL. */
function cleanFlags(requested: number): SysResult {
  const flags = requested & VALID_OPEN_FLAGS;
  if ((flags & O_PATH) !== 0) return flags & pathFlags;
  if ((flags & O_TMPFILE_BIT) !== 0) {
    if ((flags & (O_TMPFILE | O_CREAT)) !== O_TMPFILE) return EINVAL;
    return (flags & O_ACCMODE) === O_RDONLY ? EINVAL : flags;
  }
  return (flags & O_CREAT) !== 0 && (flags & O_DIRECTORY) !== 0 ? EINVAL : flags;
}

function openOrCreate(caller: FsCaller, walk: PathWalk, flags: number, mode: number): Opening {
  for (;;) {
    const walked = walk.toParent();
    if (isErrno(walked)) return walked;
    const { parent, name, kind, trailingSlash } = walk.result();
    if (kind === 'name' && trailingSlash) return EISDIR;
    const found = walk.last();
    if (found === undefined) continue; // A link: its target is created or opened instead.
    if (!isErrno(found)) return openFound(caller, parent, found, flags);
    if (found !== ENOENT || kind !== 'name') return found;
    return createAndOpen(caller, parent, name, flags, mode);
  }
}

function openFound(caller: FsCaller, parent: Path, path: Path, flags: number): Opening {
  if ((flags & O_EXCL) !== 0) return EEXIST;
  if (path.node.kind === S_IFDIR) return EISDIR;
  const allowed = mayOpenInSticky(caller.credentials, parent.node, path.node);
  if (isErrno(allowed)) return allowed;
  return openExisting(caller, path, flags);
}

/** `make` for a node of another kind than the directory's `create` gives. */
export function createAndOpen(
  caller: FsCaller,
  parent: Path,
  name: string,
  flags: number,
  mode: number,
  make: (as: NewNode) => Result<Node> = (as) => parent.node.create(name, as),
): Opening {
  const readOnly = mayWriteMount(parent.mount);
  if (isErrno(readOnly)) return readOnly;
  const allowed = mayCreateIn(caller.credentials, parent);
  if (isErrno(allowed)) return allowed;
  const bits = mode & S_IALLUGO & ~caller.fs.umask;
  const node = make(newNode(caller.credentials, parent.node, S_IFREG | bits));
  if (isErrno(node)) return node;
  const dentry = addChild(parent.dentry, name, node);
  notifyCreated(parent.node, name, S_IFREG);
  return openNode(caller, new Path(parent.mount, dentry), flags & ~O_TRUNC);
}

function openUnnamed(caller: FsCaller, walk: PathWalk, flags: number, mode: number): Opening {
  const directory = walk.finish();
  if (isErrno(directory)) return directory;
  if (directory.node.kind !== S_IFDIR) return ENOTDIR;
  const readOnly = mayWriteMount(directory.mount);
  if (isErrno(readOnly)) return readOnly;
  const allowed = mayCreateIn(caller.credentials, directory);
  if (isErrno(allowed)) return allowed;
  const bits = mode & S_IALLUGO & ~caller.fs.umask;
  const node = directory.node.createUnnamed(
    newNode(caller.credentials, directory.node, S_IFREG | bits),
  );
  if (isErrno(node)) return node;
  const attributes = node.attributes();
  // /proc/PID/fd shows '/dir/#ino (deleted)'.
  const dentry = unnamedDentry(
    `#${isErrno(attributes) ? 0 : attributes.ino}`,
    directory.dentry,
    node,
  );
  return openNode(caller, new Path(directory.mount, dentry), flags);
}

/** permission and type checks: may_open of fs/namei.c. */
function mayOpen(caller: FsCaller, path: Path, flags: number): SysResult {
  const node = path.node;
  const mask = accessMask(flags);
  switch (node.kind) {
    case S_IFLNK:
      return ELOOP;
    case S_IFSOCK:
      return ENXIO;
    case S_IFDIR:
      if ((mask & MAY_WRITE) !== 0) return EISDIR;
      break;
    case S_IFCHR:
    case S_IFBLK:
      if (path.mount !== undefined && (path.mount.flags & MS_NODEV) !== 0) return EACCES;
      break;
  }
  if ((flags & O_DIRECTORY) !== 0 && node.kind !== S_IFDIR) return ENOTDIR;
  const allowed = mayAccess(caller.credentials, node, mask);
  if (isErrno(allowed)) return allowed;
  if ((mask & MAY_WRITE) !== 0 && node.kind === S_IFREG) {
    const writable = mayWriteMount(path.mount);
    if (isErrno(writable)) return writable;
    if (node.isRunning) return ETXTBSY;
  }
  if ((flags & O_NOATIME) === 0) return 0;
  const owner = node.ownership();
  if (isErrno(owner)) return owner;
  return isOwner(caller.credentials, owner) ? 0 : EPERM;
}

/** Access mode 3 asks for both and gives neither. */
function accessMask(flags: number): number {
  const mode = flags & O_ACCMODE;
  const mask = mode === 0 ? MAY_READ : mode === 1 ? MAY_WRITE : MAY_READ | MAY_WRITE;
  return (flags & O_TRUNC) !== 0 ? mask | MAY_WRITE : mask;
}

function truncateForOpen(caller: FsCaller, path: Path): SysResult {
  dropPrivileges(path.node, caller.credentials);
  const changed = path.node.setAttributes({ sizeBytes: 0 });
  if (!isErrno(changed)) notifyModified(path.dentry);
  return changed;
}

function openNode(caller: FsCaller, path: Path, flags: number): Opening {
  if ((flags & O_DIRECT) !== 0 && path.node.kind !== S_IFREG) return EINVAL;
  const kept = (flags & ~creationFlags) | O_LARGEFILE;
  if (path.node.kind !== S_IFIFO)
    return adopt(path.node.open(kept | (flags & O_NOCTTY), caller), path, kept);
  const opened = caller.specialFiles.openFifo(path.node, kept, caller);
  if (opened instanceof OpenFile || typeof opened === 'number') return adopt(opened, path);
  return adoptLater(opened, path);
}

function* adoptLater(opening: Blocking<Result<OpenFile>>, path: Path): Blocking<Result<OpenFile>> {
  path.pin();
  const opened = yield* opening;
  const adopted = adopt(opened, path);
  path.unpin();
  return adopted;
}

/** The file is now open by this path. */
function adopt(opened: Result<OpenFile>, path: Path, flags?: number): Result<OpenFile> {
  if (isErrno(opened)) return opened;
  // A device may answer a file that has a path of its own (/dev/fd, /dev/tty).
  if (opened.path === undefined) {
    opened.path = path;
    path.pin();
    if (flags !== undefined && canWrite(flags) && path.node.kind === S_IFREG)
      opened.writes(path.node.identity);
  }
  if (flags !== undefined) opened.flags = flags;
  notifyOpened(opened);
  return opened;
}

/**
 * Opens a program for execve(2): a regular file that may be executed, read permission or not
 * (do_open_execat of fs/exec.c). `walkFlags` as for walkPath.
 */
export function openForExec(
  caller: FsCaller,
  dirfd: number,
  pathname: string,
  walkFlags: number,
): Result<OpenFile> {
  const path = walkPath(caller, dirfd, pathname, walkFlags);
  if (isErrno(path)) return path;
  if (path.node.kind === S_IFLNK) return ELOOP;
  if (path.node.kind !== S_IFREG) return EACCES;
  const allowed = mayAccess(caller.credentials, path.node, MAY_EXEC);
  if (isErrno(allowed)) return allowed;
  if (path.mount !== undefined && (path.mount.flags & MS_NOEXEC) !== 0) return EACCES;
  if (path.node.isOpenForWriting) return ETXTBSY;
  return adopt(path.node.open(O_RDONLY, caller), path);
}
