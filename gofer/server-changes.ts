// The Gofer's operations that change a writable volume.
import {
  EACCES,
  EBADF,
  EINVAL,
  EISDIR,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  isErrno,
  type SysResult,
} from '../abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  O_RDWR,
} from '../abi/fcntl.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../abi/fs.ts';
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  UTIME_OMIT,
} from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import type { HeldFile, HostDirectory, HostTree } from './host-tree.ts';
import {
  givenMode,
  MAY_EXECUTE,
  MAY_WRITE,
  mayChange,
  mayLink,
  mayMake,
  mayTake,
  mayUse,
  rightsTo,
} from './owners.ts';
import { type DeviceNode, PLACEHOLDER_MODE, writePlaceholder } from './placeholder.ts';
import { CHANGE, isEntryName } from './protocol.ts';
import {
  entryOf,
  firstMode,
  type GoferContext,
  giveTo,
  isMeant,
  madeFor,
} from './server-context.ts';

/** The descriptor of a directory whose entries may be changed, or EROFS, EBADF, EACCES. */
function writableFd(tree: HostTree, directory: HostDirectory | undefined): SysResult {
  return changeableFd(tree, directory, MAY_WRITE | MAY_EXECUTE);
}

/** That of one which is changed itself, or whose entries are. */
function changeableFd(
  tree: HostTree,
  directory: HostDirectory | undefined,
  mask: number,
): SysResult {
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mask === 0 ? 0 : mayUse(tree, directory, mask);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}

/** The same for a new entry of these owners. */
function makingFd(
  tree: HostTree,
  directory: HostDirectory | undefined,
  uid: number,
  gid: number,
): SysResult {
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}

/** Answers the entry that was just made. */
function answerEntry(
  { tree, reply }: GoferContext,
  directory: HostDirectory,
  name: string,
): SysResult {
  const attributes = tree.stat(directory, name);
  if (isErrno(attributes)) return attributes;
  const entry = entryOf(tree, directory, name, attributes);
  if (isErrno(entry)) return entry;
  reply.entry(entry);
  return 0;
}

export function makeDirectory(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const name = request.text();
  const [mode, uid, gid] = [request.u32(), request.u32(), request.u32()];
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd) || directory === undefined) return fd;
  const made = native.mkdirat(fd, name, firstMode(uid, mode, 0o700));
  if (isErrno(made)) return made;
  const own = tree.openEntry(directory, name, O_RDONLY | O_DIRECTORY, 0);
  if (isErrno(own)) return own;
  const attributes = madeFor(tree, own, uid, gid, mode);
  const done = isErrno(attributes) ? attributes : answerEntry(context, directory, name);
  if (!isErrno(done)) reply.u32(isEmpty(own) ? 1 : 0);
  native.close(own);
  return done;
}

const someEntries = new Uint8Array(1024);
/** Of a directory without entries: '.' and '..', whose records end at a multiple of 8. */
const emptyBytes = 2 * 24;

/** Looked at after the watch was made: the Sentry knows that no other name is in it. */
function isEmpty(fd: number): boolean {
  return (
    native.getdents64(fd, someEntries) === emptyBytes && native.getdents64(fd, someEntries) === 0
  );
}

/** writableFd of a directory from which this entry may go. */
function takingFd(tree: HostTree, directory: HostDirectory | undefined, name: string): SysResult {
  const fd = writableFd(tree, directory);
  if (isErrno(fd) || directory === undefined) return fd;
  const allowed = mayTake(tree, directory, name);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}

export function removeEntry(context: GoferContext): SysResult {
  const { tree, request } = context;
  const directory = context.directory();
  const name = request.text();
  const isDirectory = request.u32() !== 0;
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  const taken = takingFd(tree, directory, name);
  return isErrno(taken) ? taken : native.unlinkat(taken, name, isDirectory ? AT_REMOVEDIR : 0);
}

export function renameEntry(context: GoferContext): SysResult {
  const { tree, request } = context;
  const from = context.directory();
  const name = request.text();
  const to = context.directory();
  const newName = request.text();
  const flags = request.u32();
  if (!request.isComplete || !isEntryName(name) || !isEntryName(newName)) return EINVAL;
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

export function linkEntry(context: GoferContext): SysResult {
  const { tree, request } = context;
  const target = context.target();
  const { name } = target;
  const to = context.directory();
  const newName = request.text();
  if (!request.isComplete || !isEntryName(name) || !isEntryName(newName)) return EINVAL;
  const { directory } = target;
  const fromFd = heldFd(changeableFd(tree, directory, MAY_EXECUTE));
  if (isErrno(fromFd) || directory === undefined) return fromFd;
  const found = tree.statAt(fromFd, name);
  let done: SysResult = isErrno(found) ? found : ENOENT;
  if (!isErrno(found) && isMeant(target, found)) {
    const allowed = mayLink(directory, found);
    const toFd = isErrno(allowed) ? allowed : writableFd(tree, to);
    // Flags 0: a symbolic link is linked itself, never followed.
    done = isErrno(toFd) ? toFd : native.linkat(fromFd, name, toFd, newName, 0);
  }
  native.close(fromFd);
  return done;
}

export function makeSymlink(context: GoferContext): SysResult {
  const { tree, request } = context;
  const directory = context.directory();
  const name = request.text();
  const [uid, gid] = [request.u32(), request.u32()];
  const target = request.text();
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd) || directory === undefined) return fd;
  const made = native.symlinkat(target, fd, name);
  if (isErrno(made)) return made;
  const given = giveTo(fd, name, uid, gid, undefined);
  return isErrno(given) ? given : answerEntry(context, directory, name);
}

/** FIFOs and sockets; devices are never made on the host (placeholder.ts). */
export function makeNode(context: GoferContext): SysResult {
  const { tree, request } = context;
  const directory = context.directory();
  const name = request.text();
  const [mode, uid, gid, rdev] = [request.u32(), request.u32(), request.u32(), request.u32()];
  const kind = mode & S_IFMT;
  const isDevice = kind === S_IFCHR || kind === S_IFBLK;
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  if (!isDevice && kind !== S_IFIFO && kind !== S_IFSOCK) return EINVAL;
  const fd = makingFd(tree, directory, uid, gid);
  if (isErrno(fd) || directory === undefined) return fd;
  if (isDevice) {
    const made = makePlaceholder(tree, directory, name, { mode, uid, gid, rdev });
    return isErrno(made) ? made : answerEntry(context, directory, name);
  }
  const made = native.mknodat(fd, name, kind | (mode & 0o777), 0);
  if (isErrno(made)) return made;
  const given = giveTo(fd, name, uid, gid, undefined);
  return isErrno(given) ? given : answerEntry(context, directory, name);
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

export function changeAttributes(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const target = context.target();
  const { directory, held, name } = target;
  const mask = request.u32();
  const [mode, uid, gid] = [request.u32(), request.u32(), request.u32()];
  const size = request.f64();
  const [atimeSec, atimeNsec] = [request.f64(), request.u32()];
  const [mtimeSec, mtimeNsec] = [request.f64(), request.u32()];
  if (
    !request.isComplete ||
    (name !== '' && !isEntryName(name)) ||
    atimeNsec >= 1e9 ||
    mtimeNsec >= 1e9
  )
    return EINVAL;
  let place: SysResult = EBADF;
  if (held !== undefined) place = held.readOnly ? EROFS : native.dup(held.fd);
  else if (directory !== undefined) place = changeablePlace(tree, directory, name);
  if (isErrno(place)) return place;
  const found = tree.statFd(place);
  let done: SysResult = isErrno(found) ? found : ENOENT;
  if (!isErrno(found) && (held !== undefined || isMeant(target, found))) {
    const change = { mask, mode, uid, gid };
    const owned = (held ?? directory) as HostDirectory | HeldFile;
    done = mayChange(owned, found, change);
    if (!isErrno(done)) done = changeAll(givenMode(owned, found, change));
  }
  const attributes = isErrno(done) ? done : tree.statFd(place);
  native.close(place);
  if (isErrno(attributes)) return attributes;
  reply.attributes(attributes);
  return 0;

  function changeAll(newMode: number): SysResult {
    const owned =
      (mask & CHANGE.owner) === 0
        ? 0
        : native.fchownat(place, '', idOf(uid), idOf(gid), AT_EMPTY_PATH);
    if (isErrno(owned)) return owned;
    if ((mask & (CHANGE.mode | CHANGE.size)) !== 0) {
      const changed = changeContents(tree, place, mask, newMode, size);
      if (isErrno(changed)) return changed;
    }
    if ((mask & (CHANGE.atime | CHANGE.mtime)) === 0) return 0;
    const times: [number, number, number, number] = [
      atimeSec,
      (mask & CHANGE.atime) === 0 ? UTIME_OMIT : atimeNsec,
      mtimeSec,
      (mask & CHANGE.mtime) === 0 ? UTIME_OMIT : mtimeNsec,
    ];
    return native.utimensat(place, '', ...times, AT_EMPTY_PATH);
  }
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

/** u32 -1: this id stays. */
function idOf(id: number): number {
  return id === 0xffff_ffff ? -1 : id;
}
