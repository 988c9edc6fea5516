// SPDX-License-Identifier: Apache-2.0
// The operation that opens a file: the Sentry reads and writes by the descriptor that it gets.
import {
  EACCES,
  EBADF,
  EINVAL,
  EISDIR,
  EOPNOTSUPP,
  EROFS,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import {
  O_ACCMODE,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from '../../abi/fcntl.ts';
import { S_IFMT, S_IFREG } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import { OPENED_MAX, type OpenedFile } from '../../protocol/gofer/opened.ts';
import { type HostTree, RESOLVE_ENTRY } from '../host-tree.ts';
import { MAY_EXECUTE, MAY_READ, MAY_WRITE, mayUse, rightsTo } from '../owners.ts';
import {
  type Answer,
  type GoferContext,
  openTarget,
  type Request,
  type Target,
  targetOf,
} from './context.ts';
import { RESOLVE_TREE } from './tree.ts';

/** Regular files and directories only, and never by their name: a device must not even be opened. */
export function open({ tree }: GoferContext, { place, mode }: Request<'open'>): Answer<'open'> {
  const target = targetOf(tree, place);
  const { directory } = target;
  if (mode !== O_RDONLY && mode !== O_RDWR) return EINVAL;
  const owned = target.held ?? directory;
  if (owned === undefined) return EBADF;
  if (owned.readOnly && (mode & O_ACCMODE) !== O_RDONLY) return EROFS;
  if (directory?.sealed === true) return EACCES;
  const fd = openAllowed(tree, target, mode);
  if (isErrno(fd)) return fd;
  const attributes = tree.statFd(fd);
  // A directory's descriptor would be a way past this process: it is never passed.
  if (isErrno(attributes) || (attributes.mode & S_IFMT) !== S_IFREG) {
    native.close(fd);
    return isErrno(attributes) ? attributes : EISDIR;
  }
  return { attributes, fd };
}

/** Descriptors for reading, of a directory whose files need not be judged one by one. */
export function openMany(
  { tree }: GoferContext,
  { id, path, names }: Request<'openMany'>,
): Answer<'openMany'> {
  const base = tree.get(id);
  if (base === undefined) return EBADF;
  if (base.sealed) return EACCES;
  if (base.owners !== undefined) return EOPNOTSUPP;
  const from = tree.fdOf(base);
  if (isErrno(from)) return from;
  if (path === '') return openFiles(tree, from, names);
  const directory = native.openat2(from, path, O_PATH | O_DIRECTORY, 0, RESOLVE_TREE);
  if (isErrno(directory)) return directory;
  const answer = openFiles(tree, directory, names);
  native.close(directory);
  return answer;
}

function openFiles(
  tree: HostTree,
  directory: number,
  names: readonly string[],
): Exclude<Answer<'openMany'>, number> {
  const opened: OpenedFile[] = [];
  const fds: number[] = [];
  for (const [index, name] of names.slice(0, OPENED_MAX).entries()) {
    const place = native.openat2(directory, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_ENTRY);
    if (isErrno(place)) continue;
    const attributes = tree.statFd(place);
    const isRegular = !isErrno(attributes) && (attributes.mode & S_IFMT) === S_IFREG;
    const fd = isRegular ? native.reopen(place, O_RDONLY | O_NONBLOCK) : EISDIR;
    native.close(place);
    if (isErrno(fd) || isErrno(attributes)) continue;
    opened.push({ index, ino: attributes.ino });
    fds.push(fd);
  }
  return { opened, fds };
}

/**
 * Opens a file. For reading and writing it is opened for writing alone where the container may not
 * read it.
 */
function openAllowed(tree: HostTree, target: Target, mode: number): SysResult {
  const { held, directory } = target;
  const place = held ?? directory;
  if (place?.owners === undefined) return openTarget(tree, target, mode);
  if (held === undefined && directory !== undefined && target.name !== '') {
    const found = mayUse(tree, directory, MAY_EXECUTE);
    if (isErrno(found)) return found;
  }
  const fd = openTarget(tree, target, O_RDONLY);
  if (isErrno(fd)) return fd;
  const attributes = tree.statFd(fd);
  if (isErrno(attributes)) {
    native.close(fd);
    return attributes;
  }
  const rights = rightsTo(place, attributes);
  // A program that may be executed has to be read for it.
  const reads = (rights & (MAY_READ | MAY_EXECUTE)) !== 0;
  let opened: SysResult = fd;
  if (mode === O_RDONLY) opened = reads ? fd : EACCES;
  else if ((rights & MAY_WRITE) === 0) opened = EACCES;
  else opened = native.reopen(fd, ((rights & MAY_READ) === 0 ? O_WRONLY : mode) | O_NONBLOCK);
  if (opened !== fd) native.close(fd);
  return opened;
}
