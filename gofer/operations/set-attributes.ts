// SPDX-License-Identifier: Apache-2.0
// The operation behind chmod, chown, truncate and utimensat.
import { EBADF, EINVAL, EISDIR, ENOENT, EROFS, isErrno, type SysResult } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, O_PATH, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFMT, S_IFREG, UTIME_OMIT } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import { CHANGE, UNCHANGED_ID } from '../../protocol/gofer/operations.ts';
import type { HeldFile, HostDirectory, HostTree } from '../host-tree.ts';
import { givenMode, MAY_EXECUTE, mayChange } from '../owners.ts';
import { writePlaceholder } from '../placeholder.ts';
import { type Answer, type GoferContext, isMeant, type Request, targetOf } from './context.ts';
import { changeableFd } from './rights.ts';

type Change = Request<'setAttributes'>;

export function setAttributes({ tree }: GoferContext, change: Change): Answer<'setAttributes'> {
  const target = targetOf(tree, change.place);
  const { directory, held, name } = target;
  let place: SysResult = EBADF;
  if (held !== undefined) place = held.readOnly ? EROFS : native.dup(held.fd);
  else if (directory !== undefined) place = changeablePlace(tree, directory, name);
  if (isErrno(place)) return place;
  const found = tree.statFd(place);
  let done: SysResult = isErrno(found) ? found : ENOENT;
  if (!isErrno(found) && (held !== undefined || isMeant(target, found))) {
    const owned = (held ?? directory) as HostDirectory | HeldFile;
    done = mayChange(owned, found, change);
    if (!isErrno(done)) done = changeAll(tree, place, change, givenMode(owned, found, change));
  }
  const attributes = isErrno(done) ? done : tree.statFd(place);
  native.close(place);
  return isErrno(attributes) ? attributes : { attributes };
}

/** In the order that keeps set-id bits: chown(2) takes them away, and the mode that follows gives them. */
function changeAll(tree: HostTree, place: number, change: Change, newMode: number): SysResult {
  const { mask, uid, gid, size, atime, mtime } = change;
  const owned =
    (mask & CHANGE.owner) === 0
      ? 0
      : native.fchownat(place, '', idOf(uid), idOf(gid), AT_EMPTY_PATH);
  if (isErrno(owned)) return owned;
  const changed = changeContents(tree, place, mask, newMode, size);
  if (isErrno(changed)) return changed;
  if ((mask & (CHANGE.atime | CHANGE.mtime)) === 0) return 0;
  const times: [number, number, number, number] = [
    atime.sec,
    (mask & CHANGE.atime) === 0 ? UTIME_OMIT : atime.nsec,
    mtime.sec,
    (mask & CHANGE.mtime) === 0 ? UTIME_OMIT : mtime.nsec,
  ];
  return native.utimensat(place, '', ...times, AT_EMPTY_PATH);
}

/** Returns the id in the form that chown(2) takes. */
function idOf(id: number): number {
  return id === UNCHANGED_ID ? -1 : id;
}

function changeablePlace(tree: HostTree, directory: HostDirectory, name: string): SysResult {
  const fd = changeableFd(tree, directory, name === '' ? 0 : MAY_EXECUTE);
  if (isErrno(fd)) return fd;
  return name === '' ? native.dup(fd) : tree.openEntry(directory, name, O_PATH, 0);
}

/** A size needs a real descriptor, of a regular file. Links have no mode. */
function changeContents(
  tree: HostTree,
  place: number,
  mask: number,
  mode: number,
  size: number,
): SysResult {
  if ((mask & CHANGE.size) !== 0) {
    const resized = resize(tree, place, size);
    if (isErrno(resized)) return resized;
  }
  return (mask & CHANGE.mode) === 0 ? 0 : changeMode(tree, place, mode & 0o7777);
}

function changeMode(tree: HostTree, place: number, mode: number): SysResult {
  const node = tree.placeholderAt(place);
  if (node === undefined) return native.chmodHeld(place, mode);
  const file = native.reopen(place, O_RDONLY);
  if (isErrno(file)) return file;
  const written = writePlaceholder(file, { mode: (node.mode & S_IFMT) | mode, rdev: node.rdev });
  native.close(file);
  return written;
}

/** The kind is looked at first: a device must not even be opened. */
function resize(tree: HostTree, place: number, size: number): SysResult {
  const attributes = tree.statFd(place);
  if (isErrno(attributes)) return attributes;
  const kind = attributes.mode & S_IFMT;
  if (kind !== S_IFREG) return kind === S_IFDIR ? EISDIR : EINVAL;
  const fd = native.reopen(place, O_RDWR);
  if (isErrno(fd)) return fd;
  const done = native.ftruncate(fd, size);
  native.close(fd);
  return done;
}
