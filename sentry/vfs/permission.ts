// SPDX-License-Identifier: Apache-2.0
// Who may do what to a node: path_resolution(7), capabilities(7), inode(7), access(2).
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  SECBIT_NO_SETUID_FIXUP,
} from '../../abi/capability.ts';
import {
  EACCES,
  EBUSY,
  EISDIR,
  ENOENT,
  ENOTDIR,
  EOVERFLOW,
  EPERM,
  EROFS,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { MS_RDONLY } from '../../abi/fs.ts';
import {
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
  S_IXGRP,
} from '../../abi/stat.ts';
import { type Credentials, isCapable } from './credentials.ts';
import type { Dentry } from './dentry.ts';
import type { Mount } from './mount.ts';
import { isOwned, isUnmapped, type NewNode, type Node, type Ownership } from './node.ts';
import type { OpenFile } from './open-file.ts';
import type { Path } from './path.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

export function isInGroup(credentials: Credentials, gid: number): boolean {
  return credentials.fsgid === gid || credentials.groups.includes(gid);
}

/** 0 where `credentials` (fsuid, fsgid, capabilities) give all of `mask` on the node, else EACCES. */
export function mayAccess(credentials: Credentials, node: Node, mask: number): SysResult {
  const owner = node.ownership();
  if (isErrno(owner)) return owner;
  return permits(credentials, owner, mask);
}

/**
 * Capabilities count over files whose owner and group the container has (capable_wrt_inode_uidgid
 * in the kernel).
 */
function isCapableOver(credentials: Credentials, owner: Ownership, capability: number): boolean {
  return isOwned(owner) && isCapable(credentials, capability);
}

function permits(credentials: Credentials, owner: Ownership, mask: number): SysResult {
  const { mode } = owner;
  let bits = mode;
  if (owner.uid === credentials.fsuid) bits >>= 6;
  else if (isInGroup(credentials, owner.gid)) bits >>= 3;
  if ((mask & MAY_WRITE) !== 0 && isUnmapped(owner.uid, owner.gid)) return EACCES;
  if ((mask & ~bits & 7) === 0) return 0;

  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  if (isDirectory || (mask & MAY_EXEC) === 0 || (mode & 0o111) !== 0) {
    if (isCapableOver(credentials, owner, CAP_DAC_OVERRIDE)) return 0;
  }
  const onlyReads = isDirectory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ;
  return onlyReads && isCapableOver(credentials, owner, CAP_DAC_READ_SEARCH) ? 0 : EACCES;
}

/** mayAccess, and EROFS for writing what a read-only mount holds. */
export function mayAccessPath(credentials: Credentials, path: Path, mask: number): SysResult {
  const allowed = mayAccess(credentials, path.node, mask);
  if (isErrno(allowed)) return allowed;
  const kind = path.node.kind;
  const isData = kind === S_IFREG || kind === S_IFDIR || kind === S_IFLNK;
  return (mask & MAY_WRITE) !== 0 && isData ? mayWriteMount(path.mount) : 0;
}

/** EROFS on a read-only mount. */
export function mayWriteMount(mount: Mount | undefined): SysResult {
  return mount !== undefined && (mount.flags & MS_RDONLY) !== 0 ? EROFS : 0;
}

/** For making an entry in a directory. */
export function mayCreateIn(credentials: Credentials, directory: Path): SysResult {
  if (directory.dentry.unlinked) return ENOENT;
  if (isErrno(directory.node.mayBelongTo(credentials.fsuid, credentials.fsgid))) return EOVERFLOW;
  return mayAccess(credentials, directory.node, MAY_WRITE | MAY_EXEC);
}

/** EOVERFLOW for a file whose owner the mount has no id for: its inode must not be written. */
export function mayChangeInode(node: Node): SysResult {
  return node.isUnmapped ? EOVERFLOW : 0;
}

/**
 * For removing or renaming away `victim` from its directory; `asDirectory`: by rmdir or a
 * directory's rename.
 */
export function mayDelete(
  credentials: Credentials,
  directory: Path,
  victim: Dentry,
  asDirectory: boolean,
): SysResult {
  const node = victim.node as Node;
  let allowed = mayChangeInode(node);
  if (!isErrno(allowed)) allowed = mayAccess(credentials, directory.node, MAY_WRITE | MAY_EXEC);
  if (isErrno(allowed)) return allowed;
  const sticky = checkSticky(credentials, directory.node, node);
  if (isErrno(sticky)) return sticky;
  const isDirectory = node.kind === S_IFDIR;
  if (asDirectory && !isDirectory) return ENOTDIR;
  if (!asDirectory && isDirectory) return EISDIR;
  return victim.mountCount > 0 && directory.mount?.children.has(victim) === true ? EBUSY : 0;
}

function checkSticky(credentials: Credentials, directory: Node, victim: Node): SysResult {
  const parent = directory.ownership();
  if (isErrno(parent)) return parent;
  if ((parent.mode & S_ISVTX) === 0 || parent.uid === credentials.fsuid) return 0;
  const owner = victim.ownership();
  if (isErrno(owner)) return owner;
  return isOwner(credentials, owner) ? 0 : EPERM;
}

/** Owner of the node, or CAP_FOWNER. */
export function isOwner(credentials: Credentials, owner: Ownership): boolean {
  return owner.uid === credentials.fsuid || isCapableOver(credentials, owner, CAP_FOWNER);
}

/** chmod(2): 0 or EPERM, and the mode that is really set. */
export function chmodMode(credentials: Credentials, owner: Ownership, mode: number): SysResult {
  if (!isOwner(credentials, owner)) return EPERM;
  if (
    (mode & S_ISGID) !== 0 &&
    !isInGroup(credentials, owner.gid) &&
    !isCapableOver(credentials, owner, CAP_FSETID)
  )
    return mode & ~S_ISGID;
  return mode;
}

/** chown(2): may the ids be set (-1: unchanged)? */
export function mayChown(
  credentials: Credentials,
  owner: Ownership,
  uid: number,
  gid: number,
): SysResult {
  if (isCapableOver(credentials, owner, CAP_CHOWN)) return 0;
  const owns = owner.uid === credentials.fsuid;
  if (uid !== -1 && !(owns && uid === owner.uid)) return EPERM;
  if (gid !== -1 && !(owns && (gid === owner.gid || isInGroup(credentials, gid)))) return EPERM;
  return 0;
}

/**
 * Returns the mode without the set-id bits that a write or chown clears: set-group-ID of a file that
 * its group may not execute stays for members of the group (setattr_should_drop_suidgid).
 */
export function withoutSetIds(credentials: Credentials, owner: Ownership): number {
  const { mode, gid } = owner;
  const cleared = mode & ~S_ISUID;
  const keepsGroup =
    (mode & S_IXGRP) === 0 &&
    (isInGroup(credentials, gid) || isCapableOver(credentials, owner, CAP_FSETID));
  return keepsGroup ? cleared : cleared & ~S_ISGID;
}

/**
 * Takes the privileges from a regular file whose bytes are about to change (file_remove_privs): its
 * capabilities in any case, its set-id bits unless the writer has CAP_FSETID.
 */
export function dropPrivileges(node: Node, credentials: Credentials): void {
  if (node.kind !== S_IFREG) return;
  node.dropFileCapabilities();
  const owner = node.ownership();
  if (isErrno(owner) || (owner.mode & (S_ISUID | S_ISGID)) === 0) return;
  if (isCapableOver(credentials, owner, CAP_FSETID)) return;
  const mode = withoutSetIds(credentials, owner);
  if (mode !== owner.mode) node.setAttributes({ mode: mode & ~S_IFMT });
}

/** For the write family, before bytes are written. */
export function beforeWrite(file: OpenFile, credentials: Credentials): void {
  dropPrivileges(file.node, credentials);
}

/**
 * Owner and mode of a node made in `directory`: set-group-ID directories hand down their group.
 * `mode` has the type.
 */
export function newNode(credentials: Credentials, directory: Node, mode: number): NewNode {
  const parent = directory.ownership();
  if (isErrno(parent) || (parent.mode & S_ISGID) === 0) {
    return { mode, uid: credentials.fsuid, gid: credentials.fsgid };
  }
  const both = S_ISGID | S_IXGRP;
  let inherited = mode;
  if ((mode & S_IFMT) === S_IFDIR) inherited |= S_ISGID;
  else if (
    (mode & both) === both &&
    !isInGroup(credentials, parent.gid) &&
    !isCapableOver(credentials, parent, CAP_FSETID)
  )
    inherited &= ~S_ISGID;
  return { mode: inherited, uid: credentials.fsuid, gid: parent.gid };
}

/** Credentials with which access(2) asks: the real ids, and the capabilities that go with them. */
export function realCredentials(credentials: Credentials): Credentials {
  const fixup = (credentials.securebits & SECBIT_NO_SETUID_FIXUP) === 0;
  const none = { lo: 0, hi: 0 };
  const effective = fixup
    ? credentials.uid === 0
      ? credentials.permitted
      : none
    : credentials.effective;
  return { ...credentials, fsuid: credentials.uid, fsgid: credentials.gid, effective };
}
