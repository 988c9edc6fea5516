// SPDX-License-Identifier: Apache-2.0
// Operations that make a file, directory, link or node in a writable volume.
import {
  EBADF,
  EINVAL,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import type { HostEntry } from '../../protocol/gofer/host-attributes.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { mayMake } from '../owners.ts';
import { type DeviceNode, PLACEHOLDER_MODE, writePlaceholder } from '../placeholder.ts';
import {
  type Answer,
  entryOf,
  firstMode,
  type GoferContext,
  giveTo,
  madeFor,
  type Request,
} from './context.ts';
import { makingFd } from './rights.ts';

/** The entry that was just made. */
function madeEntry(tree: HostTree, directory: HostDirectory, name: string): Result<HostEntry> {
  const attributes = tree.stat(directory, name);
  return isErrno(attributes) ? attributes : entryOf(tree, directory, name, attributes);
}

export function create(
  { tree }: GoferContext,
  { id, name, mode, uid, gid }: Request<'create'>,
): Answer<'create'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  if (isErrno(allowed)) return allowed;
  // Set-id bits only once the owner is right.
  const first = firstMode(uid, mode, 0o600);
  const fd = tree.openEntry(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, first);
  if (isErrno(fd)) return fd;
  const attributes = madeFor(tree, fd, uid, gid, mode);
  if (isErrno(attributes)) {
    native.close(fd);
    return attributes;
  }
  return { entry: { attributes, id: 0, watch: 0, target: '' }, fd };
}

export function makeDirectory(
  { tree }: GoferContext,
  { id, name, mode, uid, gid }: Request<'makeDirectory'>,
): Answer<'makeDirectory'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd)) return fd;
  const made = native.mkdirat(fd, name, firstMode(uid, mode, 0o700));
  if (isErrno(made)) return made;
  const own = tree.openEntry(directory, name, O_RDONLY | O_DIRECTORY, 0);
  if (isErrno(own)) return own;
  const attributes = madeFor(tree, own, uid, gid, mode);
  const entry = isErrno(attributes) ? attributes : madeEntry(tree, directory, name);
  const answer = isErrno(entry) ? entry : { entry, isEmpty: isEmpty(own) };
  native.close(own);
  return answer;
}

const someEntries = new Uint8Array(1024);
/**
 * The size of the entries of an empty directory: '.' and '..', whose records end at a multiple of
 * 8.
 */
const emptyBytes = 2 * 24;

/** Looked at after the watch was made: the Sentry knows that no other name is in it. */
function isEmpty(fd: number): boolean {
  return (
    native.getdents64(fd, someEntries) === emptyBytes && native.getdents64(fd, someEntries) === 0
  );
}

export function symlink(
  { tree }: GoferContext,
  { id, name, uid, gid, target }: Request<'symlink'>,
): Answer<'symlink'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd)) return fd;
  const made = native.symlinkat(target, fd, name);
  if (isErrno(made)) return made;
  return givenEntry(tree, directory, name, giveTo(fd, name, uid, gid, undefined));
}

/** FIFOs and sockets; devices are never made on the host (placeholder.ts). */
export function makeNode(
  { tree }: GoferContext,
  { id, name, mode, uid, gid, rdev }: Request<'makeNode'>,
): Answer<'makeNode'> {
  const directory = tree.get(id);
  const kind = mode & S_IFMT;
  const isDevice = kind === S_IFCHR || kind === S_IFBLK;
  if (!isDevice && kind !== S_IFIFO && kind !== S_IFSOCK) return EINVAL;
  if (directory === undefined) return EBADF;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd)) return fd;
  if (isDevice) {
    const made = makePlaceholder(tree, directory, name, { mode, uid, gid, rdev });
    return givenEntry(tree, directory, name, made);
  }
  const made = native.mknodat(fd, name, kind | (mode & 0o777), 0);
  if (isErrno(made)) return made;
  return givenEntry(tree, directory, name, giveTo(fd, name, uid, gid, undefined));
}

/** Returns the entry that was made, unless giving it to its owner failed. */
function givenEntry(
  tree: HostTree,
  directory: HostDirectory,
  name: string,
  given: SysResult,
): Result<{ readonly entry: HostEntry }> {
  const entry = isErrno(given) ? given : madeEntry(tree, directory, name);
  return isErrno(entry) ? entry : { entry };
}

function makePlaceholder(
  tree: HostTree,
  directory: HostDirectory,
  name: string,
  node: DeviceNode & { readonly uid: number; readonly gid: number },
): SysResult {
  const file = tree.openEntry(directory, name, O_RDWR | O_CREAT | O_EXCL, 0o600);
  if (isErrno(file)) return file;
  let made = writePlaceholder(file, node);
  if (!isErrno(made)) made = giveTo(file, '', node.uid, node.gid, PLACEHOLDER_MODE);
  native.close(file);
  if (!isErrno(made)) return 0;
  const fd = tree.fdOf(directory);
  if (!isErrno(fd)) native.unlinkat(fd, name, 0);
  // A file system without such attributes holds no device nodes.
  return made === EOPNOTSUPP ? EPERM : made;
}
