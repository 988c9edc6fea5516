// Regular files without a name that the guest still uses: removed while they are open, or made without one (O_TMPFILE).
// A descriptor here keeps them reachable for what the Sentry may not do by its own: owner, mode, times, opening anew.
import { EBADF, EOPNOTSUPP, EROFS } from '../../abi/errno.ts';
import { O_PATH, O_RDWR, O_TMPFILE } from '../../abi/fcntl.ts';
import { S_IFMT, S_IFREG } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import { MAY_EXECUTE, MAY_WRITE, mayLink, mayMake, mayUse } from '../owners.ts';
import { type Answer, type GoferContext, giveTo, type Request } from './context.ts';

export function hold({ tree }: GoferContext, { id, name }: Request<'hold'>): Answer<'hold'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.sealed) return EOPNOTSUPP;
  const found = mayUse(tree, directory, MAY_EXECUTE);
  if (found < 0) return found;
  const fd = tree.openEntry(directory, name, O_PATH, 0);
  if (fd < 0) return fd;
  const attributes = tree.statFd(fd);
  if (typeof attributes === 'number' || (attributes.mode & S_IFMT) !== S_IFREG) {
    native.close(fd);
    return typeof attributes === 'number' ? attributes : EOPNOTSUPP;
  }
  const heldId = tree.hold(directory, fd);
  return heldId < 0 ? heldId : { heldId };
}

export function createUnnamed(
  { tree }: GoferContext,
  { id, mode, uid, gid }: Request<'createUnnamed'>,
): Answer<'createUnnamed'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  if (allowed < 0) return allowed;
  const parentFd = tree.fdOf(directory);
  const fd = parentFd < 0 ? parentFd : native.openat2(parentFd, '.', O_TMPFILE | O_RDWR, 0o600, 0);
  if (fd < 0) return fd;
  const owned = giveTo(fd, '', uid, gid, mode);
  const attributes = owned < 0 ? owned : tree.statFd(fd);
  const heldId = typeof attributes === 'number' ? attributes : tree.hold(directory, native.dup(fd));
  if (typeof attributes === 'number' || heldId < 0) {
    native.close(fd);
    return heldId;
  }
  return { attributes, heldId, fd };
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
  if (typeof file === 'number') return file;
  const linked = mayLink(held, file);
  const allowed = linked < 0 ? linked : mayUse(tree, directory, MAY_WRITE | MAY_EXECUTE);
  const fd = allowed < 0 ? allowed : tree.fdOf(directory);
  return fd < 0 ? fd : native.linkHeld(held.fd, fd, newName);
}
