// Regular files without a name that the guest still uses: removed while they are open, or made without one (O_TMPFILE).
// A descriptor here keeps them reachable for what the Sentry may not do by its own: owner, mode, times, opening anew.
import { EBADF, EINVAL, EOPNOTSUPP, EROFS, isErrno, type SysResult } from '../abi/errno.ts';
import { O_PATH, O_RDWR, O_TMPFILE } from '../abi/fcntl.ts';
import { S_IFMT, S_IFREG } from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import { MAY_EXECUTE, MAY_WRITE, mayLink, mayMake, mayUse } from './owners.ts';
import { isEntryName } from './protocol.ts';
import { type GoferContext, giveTo } from './server-context.ts';

export function hold(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const name = request.text();
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
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
  const id = tree.hold(directory, fd);
  if (isErrno(id)) return id;
  reply.u32(id);
  return 0;
}

export function createUnnamed(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const [mode, uid, gid] = [request.u32(), request.u32(), request.u32()];
  if (!request.isComplete) return EINVAL;
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  if (isErrno(allowed)) return allowed;
  const parentFd = tree.fdOf(directory);
  const fd = isErrno(parentFd)
    ? parentFd
    : native.openat2(parentFd, '.', O_TMPFILE | O_RDWR, 0o600, 0);
  if (isErrno(fd)) return fd;
  const owned = giveTo(fd, '', uid, gid, mode);
  const attributes = isErrno(owned) ? owned : tree.statFd(fd);
  const id = isErrno(attributes) ? attributes : tree.hold(directory, native.dup(fd));
  if (isErrno(attributes) || isErrno(id)) {
    native.close(fd);
    return id;
  }
  reply.attributes(attributes).u32(id);
  context.passFd(fd);
  return 0;
}

export function linkHeld({ tree, request }: GoferContext): SysResult {
  const held = tree.heldFile(request.u32());
  const directory = tree.get(request.u32());
  const name = request.text();
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  if (held === undefined || directory === undefined) return EBADF;
  if (held.readOnly || directory.readOnly || directory.sealed) return EROFS;
  const file = tree.statFd(held.fd);
  if (isErrno(file)) return file;
  const linked = mayLink(held, file);
  const allowed = isErrno(linked) ? linked : mayUse(tree, directory, MAY_WRITE | MAY_EXECUTE);
  const fd = isErrno(allowed) ? allowed : tree.fdOf(directory);
  return isErrno(fd) ? fd : native.linkHeld(held.fd, fd, name);
}
