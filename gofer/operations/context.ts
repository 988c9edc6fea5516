// SPDX-License-Identifier: Apache-2.0
// What the Gofer's operations share: what they work with, the form of requests and answers, and the
// safe ways to an entry.
import {
  EBADF,
  EINVAL,
  EIO,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  type Errno,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
} from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import type { Place } from '../../protocol/gofer/fields.ts';
import type { HostAttributes, HostEntry } from '../../protocol/gofer/host-attributes.ts';
import {
  FIRST_HELD,
  type OperationName,
  type operations,
  type ReplyOf,
  type RequestOf,
} from '../../protocol/gofer/operations.ts';
import type { AttachPoint, HeldFile, HostDirectory, HostTree } from '../host-tree.ts';
import type { OpenListing } from './list.ts';

/** The state that the handlers of single operations work with. */
export interface GoferContext {
  readonly tree: HostTree;
  readonly attachPoints: readonly AttachPoint[];
  readonly listing: OpenListing;
}

/**
 * The values of a request, checked as protocol/gofer/fields.ts says, and nothing more: the Sentry
 * may be hostile.
 */
export type Request<Name extends OperationName> = RequestOf<(typeof operations)[Name]>;

/**
 * The answer of a handler: an errno, or the values of the reply. `fd` among them is sent along, and
 * closed by the server loop afterwards. A handler whose reply has no fields answers 0.
 */
export type Answer<Name extends OperationName> = keyof ReplyOf<
  (typeof operations)[Name]
> extends never
  ? SysResult
  : ReplyOf<(typeof operations)[Name]> | Errno;

/**
 * The file that a place in a request means: an entry of a directory (itself for the name ''), or a
 * held file.
 */
export interface Target {
  readonly directory: HostDirectory | undefined;
  readonly held: HeldFile | undefined;
  readonly name: string;
  /** Inode number that it must have; 0: any. */
  readonly ino: number;
}

export function targetOf(tree: HostTree, [id, name, ino]: Place): Target {
  const held = id > FIRST_HELD && name === '' ? tree.heldFile(id) : undefined;
  return { directory: tree.get(id), held, name, ino };
}

/** Whether the file that was found is the one that was meant: its name may be another's by now. */
export function isMeant({ ino }: Target, found: HostAttributes): boolean {
  return ino === 0 || ino === found.ino;
}

/** Attributes, id and link target of an entry that is known to be there. */
export function entryOf(
  tree: HostTree,
  directory: HostDirectory,
  name: string,
  attributes: HostAttributes,
): Result<HostEntry> {
  const kind = attributes.mode & S_IFMT;
  if (kind === S_IFDIR) {
    const child = tree.child(directory, name, attributes);
    return isErrno(child) ? child : directoryEntry(tree, child, attributes);
  }
  if (kind !== S_IFLNK) return { attributes, id: 0, watch: 0, target: '' };
  const target = readLink(tree, directory, name);
  return isErrno(target) ? target : { attributes, id: 0, watch: 0, target };
}

/** With attributes from after the watch was there: changes since then are told. */
function directoryEntry(
  tree: HostTree,
  directory: HostDirectory,
  attributes: HostAttributes,
): HostEntry {
  const { id, watch: before } = directory;
  tree.watch(directory);
  const { watch } = directory;
  const fd = watch === before ? -1 : tree.fdOf(directory);
  const again = isErrno(fd) ? attributes : tree.statFd(fd);
  return { attributes: isErrno(again) ? attributes : again, id, watch, target: '' };
}

const linkBytes = Buffer.alloc(4096);

function readLink(tree: HostTree, directory: HostDirectory, name: string): Result<string> {
  const fd = tree.fdOf(directory);
  if (isErrno(fd)) return fd;
  const length = native.readlinkat(fd, name, linkBytes);
  return isErrno(length) ? length : linkBytes.toString('latin1', 0, length);
}

/**
 * A real descriptor of a regular file or directory (name '': this one), whose type was looked at
 * before it was opened.
 */
export function openFileOrDirectory(
  tree: HostTree,
  directory: HostDirectory,
  name: string,
  mode: number,
): SysResult {
  if (name === '') {
    const fd = tree.fdOf(directory);
    return isErrno(fd) ? fd : native.openat2(fd, '.', O_RDONLY | O_DIRECTORY, 0, 0);
  }
  const place = tree.openEntry(directory, name, O_PATH, 0);
  if (isErrno(place)) return place;
  const attributes = tree.statFd(place);
  let fd: SysResult = EIO;
  if (isErrno(attributes)) fd = attributes;
  else if (isOpenable(attributes.mode)) fd = native.reopen(place, mode | O_NONBLOCK);
  else fd = EOPNOTSUPP;
  native.close(place);
  return fd;
}

/** The same for whatever a request means. */
export function openTarget(tree: HostTree, target: Target, mode: number): SysResult {
  const { directory, held, name } = target;
  if (held !== undefined) return native.reopen(held.fd, mode | O_NONBLOCK);
  if (directory === undefined) return EBADF;
  const fd = openFileOrDirectory(tree, directory, name, mode);
  if (isErrno(fd) || target.ino === 0) return fd;
  const attributes = tree.statFd(fd);
  if (!isErrno(attributes) && isMeant(target, attributes)) return fd;
  native.close(fd);
  return isErrno(attributes) ? attributes : ENOENT;
}

function isOpenable(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG || (mode & S_IFMT) === S_IFDIR;
}

/** The ids with which the Gofer makes new files. */
const ownUid = process.geteuid?.() ?? -1;

/**
 * The mode to make something with: the one it is to have, unless somebody else's rights would go
 * with it for a moment.
 */
export function firstMode(uid: number, mode: number, otherwise: number): number {
  return uid === ownUid ? mode & 0o777 : otherwise;
}

/**
 * Attributes of something made just now, with this owner and mode: only what differs is set, as
 * watches tell of it.
 */
export function madeFor(
  tree: HostTree,
  fd: number,
  uid: number,
  gid: number,
  mode: number,
): Result<HostAttributes> {
  const made = tree.statFd(fd);
  if (isErrno(made)) return made;
  if (made.uid === uid && made.gid === gid && (made.mode & 0o7777) === (mode & 0o7777)) return made;
  const done = giveTo(fd, '', uid, gid, mode);
  return isErrno(done) ? done : tree.statFd(fd);
}

/** Owner and mode of something made just now. A Gofer without CAP_CHOWN makes files of its own user only. */
export function giveTo(
  fd: number,
  name: string,
  uid: number,
  gid: number,
  mode: number | undefined,
): SysResult {
  const flags = name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  const changed = native.fchownat(fd, name, uid, gid, flags);
  if (isErrno(changed) && changed !== EPERM && changed !== EINVAL) return changed;
  return mode === undefined ? 0 : native.fchmod(fd, mode & 0o7777);
}
