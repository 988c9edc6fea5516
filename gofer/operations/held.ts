// SPDX-License-Identifier: Apache-2.0
// Regular files without a name that the guest still uses: removed while they are open, or made
// without one (O_TMPFILE). A descriptor here keeps them reachable for what the Sentry may not do by
// its own: owner, mode, times, opening anew.
import { EBADF, EOPNOTSUPP, EROFS, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { O_PATH, O_RDWR, O_TMPFILE } from '../../abi/fcntl.ts';
import { S_IFMT, S_IFREG } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import type { HostAttributes } from '../../protocol/gofer/host-attributes.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { MAY_EXECUTE, MAY_WRITE, mayLink, mayMake, mayUse } from '../owners.ts';
import { type Answer, type GoferContext, giveTo, type Request } from './context.ts';

export function hold({ tree }: GoferContext, { id, name }: Request<'hold'>): Answer<'hold'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.sealed) return EOPNOTSUPP;
  const found = mayUse(tree, directory, MAY_EXECUTE);
  if (isErrno(found)) return found;
  const fd = tree.openEntry(directory, name, O_PATH, 0);
  if (isErrno(fd)) return fd;
  const attributes = tree.statFd(fd);
  if (isErrno(attributes) || (attributes.mode & S_IFMT) !== S_IFREG) {
    native.close(fd);
    return isErrno(attributes) ? attributes : EOPNOTSUPP;
  }
  const heldId = tree.hold(directory, fd);
  return isErrno(heldId) ? heldId : { heldId };
}

export function createUnnamed(
  { tree }: GoferContext,
  { id, mode, uid, gid }: Request<'createUnnamed'>,
): Answer<'createUnnamed'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  if (isErrno(allowed)) return allowed;
  const parentFd = tree.fdOf(directory);
  const fd = isErrno(parentFd)
    ? parentFd
    : native.openat2(parentFd, '.', O_TMPFILE | O_RDWR, 0o600, 0);
  if (isErrno(fd)) return fd;
  const held = holdUnnamed(tree, directory, fd, giveTo(fd, '', uid, gid, mode));
  if (isErrno(held)) {
    native.close(fd);
    return held;
  }
  return { ...held, fd };
}

/** Returns the file that was made, unless giving it to its owner failed. */
function holdUnnamed(
  tree: HostTree,
  directory: HostDirectory,
  fd: number,
  given: SysResult,
): Result<{ readonly attributes: HostAttributes; readonly heldId: number }> {
  const attributes = isErrno(given) ? given : tree.statFd(fd);
  if (isErrno(attributes)) return attributes;
  const heldId = tree.hold(directory, native.dup(fd));
  return isErrno(heldId) ? heldId : { attributes, heldId };
}

export function linkHeld(
  { tree }: GoferContext,
  { heldId, newId, newName }: Request<'linkHeld'>,
): Answer<'linkHeld'> {
  const held = tree.heldFile(heldId);
  const directory = tree.get(newId);
  if (held === undefined || directory === undefined) return EBADF;
  if (held.readOnly || directory.readOnly || directory.sealed) return EROFS;
  const file = tree.statFd(held.fd);
  if (isErrno(file)) return file;
  const linked = mayLink(held, file);
  const allowed = isErrno(linked) ? linked : mayUse(tree, directory, MAY_WRITE | MAY_EXECUTE);
  const fd = isErrno(allowed) ? allowed : tree.fdOf(directory);
  return isErrno(fd) ? fd : native.linkHeld(held.fd, fd, newName);
}
