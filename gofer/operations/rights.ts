// SPDX-License-Identifier: Apache-2.0
// The directories that an operation may change: their descriptors, or the errno of why not.
import { EBADF, EROFS, isErrno, type SysResult } from '../../abi/errno.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { MAY_EXECUTE, MAY_WRITE, mayMake, mayTake, mayUse } from '../owners.ts';

/** The descriptor of a directory whose entries may be changed, or EROFS, EBADF, EACCES. */
export function writableFd(tree: HostTree, directory: HostDirectory | undefined): SysResult {
  return changeableFd(tree, directory, MAY_WRITE | MAY_EXECUTE);
}

/** The descriptor of a directory which is changed itself, or whose entries are. */
export function changeableFd(
  tree: HostTree,
  directory: HostDirectory | undefined,
  mask: number,
): SysResult {
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mask === 0 ? 0 : mayUse(tree, directory, mask);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}

/** The descriptor of a directory that may get a new entry of these owners. */
export function makingFd(
  tree: HostTree,
  directory: HostDirectory,
  uid: number,
  gid: number,
): SysResult {
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}

/** The descriptor of a directory from which this entry may go. */
export function takingFd(
  tree: HostTree,
  directory: HostDirectory | undefined,
  name: string,
): SysResult {
  const fd = writableFd(tree, directory);
  if (isErrno(fd) || directory === undefined) return fd;
  const allowed = mayTake(tree, directory, name);
  return isErrno(allowed) ? allowed : tree.fdOf(directory);
}
