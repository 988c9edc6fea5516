// SPDX-License-Identifier: Apache-2.0
// renameat2(2): RENAME_NOREPLACE and RENAME_EXCHANGE; RENAME_WHITEOUT is refused.
import {
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EXDEV,
  isErrno,
  type SysResult,
} from '../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/fs.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { exchangeNames, isWithin, moveName } from './dentry.ts';
import { childNoMount } from './directory-operations.ts';
import type { FsCaller } from './fs-context.ts';
import type { Node } from './node.ts';
import { hasObservers, notifyMoved } from './notify.ts';
import type { Path } from './path.ts';
import { type ParentWalk, walkParent } from './path-walk.ts';
import { MAY_WRITE, mayAccess, mayCreateIn, mayDelete, mayWriteMount } from './permission.ts';

export function renamePath(
  caller: FsCaller,
  oldFd: number,
  oldPath: string,
  newFd: number,
  newPath: string,
  flags: number,
): SysResult {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return EINVAL;
  if (flags === (RENAME_NOREPLACE | RENAME_EXCHANGE)) return EINVAL;
  const from = walkParent(caller, oldFd, oldPath);
  if (isErrno(from)) return from;
  const to = walkParent(caller, newFd, newPath);
  if (isErrno(to)) return to;
  if (from.parent.mount !== to.parent.mount) return EXDEV;
  if (from.kind !== 'name') return EBUSY;
  if (to.kind !== 'name') return (flags & RENAME_NOREPLACE) !== 0 ? EEXIST : EBUSY;
  const readOnly = mayWriteMount(from.parent.mount);
  if (isErrno(readOnly)) return readOnly;

  const source = childNoMount(caller, from);
  if (isErrno(source)) return source;
  const target = childNoMount(caller, to);
  if (isErrno(target) && target !== ENOENT) return target;
  const victim = isErrno(target) ? undefined : target;
  const sane = checkNames(from, to, source, victim, flags);
  if (isErrno(sane)) return sane;
  if (victim !== undefined && victim.node === source.node) return 0;
  const allowed = mayRename(caller, from, to, source, victim, flags);
  if (isErrno(allowed)) return allowed;

  const { node } = from.parent;
  const done = node.rename(from.name, to.parent.node, to.name, flags, victim?.node);
  if (isErrno(done)) return done;
  settle(from, to, source, victim, flags);
  return 0;
}

function checkNames(
  from: ParentWalk,
  to: ParentWalk,
  source: Path,
  victim: Path | undefined,
  flags: number,
): SysResult {
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (victim !== undefined && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;
  if (victim === undefined && exchange) return ENOENT;
  if (exchange && victim?.node.kind !== S_IFDIR && to.trailingSlash) return ENOTDIR;
  if (source.node.kind !== S_IFDIR) {
    if (from.trailingSlash || (!exchange && to.trailingSlash)) return ENOTDIR;
  }
  if (isWithin(to.parent.dentry, source.dentry)) return EINVAL;
  if (victim !== undefined && isWithin(from.parent.dentry, victim.dentry))
    return exchange ? EINVAL : ENOTEMPTY;
  return 0;
}

function mayRename(
  caller: FsCaller,
  from: ParentWalk,
  to: ParentWalk,
  source: Path,
  victim: Path | undefined,
  flags: number,
): SysResult {
  const { credentials } = caller;
  const isDirectory = source.node.kind === S_IFDIR;
  let allowed = mayDelete(credentials, from.parent, source.dentry, isDirectory);
  if (isErrno(allowed)) return allowed;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (victim === undefined) allowed = mayCreateIn(credentials, to.parent);
  else
    allowed = mayDelete(
      credentials,
      to.parent,
      victim.dentry,
      exchange ? victim.node.kind === S_IFDIR : isDirectory,
    );
  if (isErrno(allowed)) return allowed;
  if (from.parent.dentry === to.parent.dentry) return 0;
  // A directory that changes its parent has its '..' rewritten.
  if (isDirectory) allowed = mayAccess(credentials, source.node, MAY_WRITE);
  if (!isErrno(allowed) && exchange && victim?.node.kind === S_IFDIR)
    allowed = mayAccess(credentials, victim.node, MAY_WRITE);
  return allowed;
}

/** The dentry cache and the watchers learn of it. */
function settle(
  from: ParentWalk,
  to: ParentWalk,
  source: Path,
  victim: Path | undefined,
  flags: number,
): void {
  const fromNode = from.parent.node;
  const toNode = to.parent.node;
  if (victim !== undefined && (flags & RENAME_EXCHANGE) !== 0) {
    notifyMoved(fromNode, from.name, toNode, to.name, source.node);
    exchangeNames(source.dentry, victim.dentry);
    notifyMoved(toNode, to.name, fromNode, from.name, victim.node);
    return;
  }
  const replaced =
    victim !== undefined && hasObservers()
      ? { dentry: victim.dentry, isGone: isGone(victim.node) }
      : undefined;
  notifyMoved(fromNode, from.name, toNode, to.name, source.node, replaced);
  moveName(source.dentry, to.parent.dentry, to.name);
}

function isGone(node: Node): boolean {
  const attributes = node.attributes();
  return isErrno(attributes) || attributes.nlink === 0;
}
