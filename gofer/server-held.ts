// Regular files without a name that the guest still uses: removed while they are open, or made without one (O_TMPFILE).
// A descriptor here keeps them reachable for what the Sentry may not do by its own: owner, mode, times, opening anew.
import { EBADF, EINVAL, EOPNOTSUPP, EROFS, type SysResult } from '../abi/errno.ts';
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
  if (found < 0) return found;
  const fd = tree.openEntry(directory, name, O_PATH, 0);
  if (fd < 0) return fd;
  const attributes = tree.statFd(fd);
  if (typeof attributes === 'number' || (attributes.mode & S_IFMT) !== S_IFREG) {
    native.close(fd);
    return typeof attributes === 'number' ? attributes : EOPNOTSUPP;
  }
  const id = tree.hold(directory, fd);
  if (id < 0) return id;
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
  if (allowed < 0) return allowed;
  const parentFd = tree.fdOf(directory);
  const fd = parentFd < 0 ? parentFd : native.openat2(parentFd, '.', O_TMPFILE | O_RDWR, 0o600, 0);
  if (fd < 0) return fd;
  const owned = giveTo(fd, '', uid, gid, mode);
  const attributes = owned < 0 ? owned : tree.statFd(fd);
  const id = typeof attributes === 'number' ? attributes : tree.hold(directory, native.dup(fd));
  if (typeof attributes === 'number' || id < 0) {
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
  if (typeof file === 'number') return file;
  const linked = mayLink(held, file);
  const allowed = linked < 0 ? linked : mayUse(tree, directory, MAY_WRITE | MAY_EXECUTE);
  const fd = allowed < 0 ? allowed : tree.fdOf(directory);
  return fd < 0 ? fd : native.linkHeld(held.fd, fd, name);
}
