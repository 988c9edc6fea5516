// SPDX-License-Identifier: Apache-2.0
// Protection against links and files that others put into directories where everybody may write
// (proc_sys_fs(5): protected_symlinks, protected_hardlinks, protected_fifos, protected_regular;
// fs/namei.c). A container on a host of today finds the values that systemd sets, so those hold
// here, and nobody inside changes them.
import { EACCES, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
  S_IWGRP,
  S_IWOTH,
  S_IXGRP,
} from '../../abi/stat.ts';
import type { Credentials } from './credentials.ts';
import { type Node, type Ownership, UNMAPPED_ID } from './node.ts';
import { isOwner, MAY_READ, MAY_WRITE, mayAccess } from './permission.ts';

/** The values of /proc/sys/fs/protected_*. */
export const PROTECTED_LINKS = { hardlinks: 1, symlinks: 1, fifos: 1, regular: 2 } as const;

/**
 * Returns 0 where the last component of a path may be a link that is followed (may_follow_link),
 * else EACCES.
 */
export function mayFollowLink(credentials: Credentials, directory: Node, link: Node): SysResult {
  const parent = directory.ownership();
  if (isErrno(parent)) return parent;
  const shared = S_ISVTX | S_IWOTH;
  if ((parent.mode & shared) !== shared) return 0;
  const owner = link.ownership();
  if (isErrno(owner)) return owner;
  return owner.uid === credentials.fsuid || isSameOwner(owner, parent) ? 0 : EACCES;
}

/** Returns 0 where the caller may give `node` another name (may_linkat), else EPERM. */
export function mayLink(credentials: Credentials, node: Node): SysResult {
  const owner = node.ownership();
  if (isErrno(owner)) return owner;
  if (isOwner(credentials, owner) || isSafeSource(credentials, node, owner)) return 0;
  return EPERM;
}

/** Returns whether a link to the file gives its maker nothing that the file itself does not. */
function isSafeSource(credentials: Credentials, node: Node, { mode }: Ownership): boolean {
  const groupProgram = S_ISGID | S_IXGRP;
  if ((mode & S_IFMT) !== S_IFREG || (mode & S_ISUID) !== 0) return false;
  if ((mode & groupProgram) === groupProgram) return false;
  return !isErrno(mayAccess(credentials, node, MAY_READ | MAY_WRITE));
}

/** Returns 0 where O_CREAT may open `node`, which is there already (may_create_in_sticky), else EACCES. */
export function mayOpenInSticky(credentials: Credentials, directory: Node, node: Node): SysResult {
  const parent = directory.ownership();
  if (isErrno(parent)) return parent;
  if ((parent.mode & S_ISVTX) === 0) return 0;
  const owner = node.ownership();
  if (isErrno(owner)) return owner;
  if (isSameOwner(owner, parent) || owner.uid === credentials.fsuid) return 0;
  if ((parent.mode & S_IWOTH) !== 0) return EACCES;
  return (parent.mode & S_IWGRP) !== 0 && isProtectedFromGroup(node) ? EACCES : 0;
}

/** Returns whether the value 2 of the setting for files of this kind covers directories of a group. */
function isProtectedFromGroup({ kind }: Node): boolean {
  if (kind === S_IFREG) return PROTECTED_LINKS.regular >= 2;
  return kind === S_IFIFO && PROTECTED_LINKS.fifos >= 2;
}

/** Returns whether both have one owner. Owners that a mount has no id for are never known to be the same. */
function isSameOwner(one: Ownership, other: Ownership): boolean {
  return one.uid === other.uid && one.uid !== UNMAPPED_ID;
}
