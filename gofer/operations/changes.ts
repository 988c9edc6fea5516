// SPDX-License-Identifier: Apache-2.0
// Operations that change the names of a writable volume: remove, rename, link.
import { EACCES, EINVAL, ENOENT, isErrno, type SysResult } from '../../abi/errno.ts';
import { AT_REMOVEDIR } from '../../abi/fcntl.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/fs.ts';
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { MAY_EXECUTE, MAY_WRITE, mayLink, rightsTo } from '../owners.ts';
import { type Answer, type GoferContext, isMeant, type Request, targetOf } from './context.ts';
import { changeableFd, takingFd, writableFd } from './rights.ts';

export function remove(
  { tree }: GoferContext,
  { id, name, isDirectory }: Request<'remove'>,
): Answer<'remove'> {
  const taken = takingFd(tree, tree.get(id), name);
  return isErrno(taken) ? taken : native.unlinkat(taken, name, isDirectory ? AT_REMOVEDIR : 0);
}

export function rename(
  { tree }: GoferContext,
  { id, name, newId, newName, flags }: Request<'rename'>,
): Answer<'rename'> {
  const from = tree.get(id);
  const to = tree.get(newId);
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return EINVAL;
  const fromFd = heldFd(takingFd(tree, from, name));
  if (isErrno(fromFd) || from === undefined) return fromFd;
  const toFd = replacingFd(tree, { from, name, to, newName });
  const done = isErrno(toFd) ? toFd : native.renameat2(fromFd, name, toFd, newName, flags);
  native.close(fromFd);
  if (isErrno(done) || to === undefined) return done;
  noteMoved(tree, to, newName);
  if ((flags & RENAME_EXCHANGE) !== 0) noteMoved(tree, from, name);
  return 0;
}

interface Renaming {
  readonly from: HostDirectory;
  readonly name: string;
  readonly to: HostDirectory | undefined;
  readonly newName: string;
}

/** The directory that something is renamed to. What has that name goes; a directory that moves is written. */
function replacingFd(tree: HostTree, { from, name, to, newName }: Renaming): SysResult {
  const taken = takingFd(tree, to, newName);
  const fd = taken === ENOENT ? writableFd(tree, to) : taken;
  if (isErrno(fd) || from.owners === undefined || from === to || to === undefined) return fd;
  const moving = tree.stat(from, name);
  if (isErrno(moving)) return moving;
  const isDirectory = (moving.mode & S_IFMT) === S_IFDIR;
  if (isDirectory && (rightsTo(from, moving) & MAY_WRITE) === 0) return EACCES;
  return tree.fdOf(to);
}

/** A descriptor of its own: looking up the second directory may close the first one's. */
function heldFd(fd: SysResult): SysResult {
  return isErrno(fd) ? fd : native.dup(fd);
}

function noteMoved(tree: HostTree, directory: HostDirectory, name: string): void {
  const attributes = tree.stat(directory, name);
  if (isErrno(attributes) || (attributes.mode & S_IFMT) !== S_IFDIR) return;
  tree.moved(attributes, directory, name);
}

export function link(
  { tree }: GoferContext,
  { place, newId, newName }: Request<'link'>,
): Answer<'link'> {
  const target = targetOf(tree, place);
  const { directory, name } = target;
  // A directory itself has no second name.
  if (name === '') return EINVAL;
  const fromFd = heldFd(changeableFd(tree, directory, MAY_EXECUTE));
  if (isErrno(fromFd) || directory === undefined) return fromFd;
  const found = tree.statAt(fromFd, name);
  let done: SysResult = isErrno(found) ? found : ENOENT;
  if (!isErrno(found) && isMeant(target, found)) {
    const allowed = mayLink(directory, found);
    const toFd = isErrno(allowed) ? allowed : writableFd(tree, tree.get(newId));
    // Flags 0: a symbolic link is linked itself, never followed.
    done = isErrno(toFd) ? toFd : native.linkat(fromFd, name, toFd, newName, 0);
  }
  native.close(fromFd);
  return done;
}
