// SPDX-License-Identifier: Apache-2.0
// setxattr(2), getxattr(2), listxattr(2), removexattr(2) and their l and f forms; xattr(7).
import { CAP_SETFCAP, CAP_SYS_ADMIN } from '../../abi/capability.ts';
import {
  E2BIG,
  EBADF,
  EINVAL,
  ENAMETOOLONG,
  ENODATA,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFREG, S_ISVTX } from '../../abi/stat.ts';
import {
  XATTR_CREATE,
  XATTR_NAME_CAPS,
  XATTR_NAME_MAX,
  XATTR_REPLACE,
  XATTR_SECURITY_PREFIX,
  XATTR_SIZE_MAX,
  XATTR_SYSTEM_PREFIX,
  XATTR_TRUSTED_PREFIX,
  XATTR_USER_PREFIX,
} from '../../abi/xattr.ts';
import { isFileCapabilities } from '../kernel/file-capabilities.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { Node } from '../vfs/node.ts';
import { notifyAttributes } from '../vfs/notify.ts';
import { anonymousPath, type Path } from '../vfs/path.ts';
import { isOwner, MAY_READ, MAY_WRITE, mayAccess, mayWriteMount } from '../vfs/permission.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { pathArgument } from './stat.ts';

/** The first argument of the three forms. */
type Target = (task: Task, args: SyscallArgs) => Result<Path>;

const followed: Target = (task, args) => pathArgument(task, AT_FDCWD, args.addr(0), 0);
const unfollowed: Target = (task, args) =>
  pathArgument(task, AT_FDCWD, args.addr(0), AT_SYMLINK_NOFOLLOW);
const byFd: Target = (task, args) => {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return EBADF;
  return file.path ?? anonymousPath(file.node, file.description);
};

function nameArgument(task: Task, addr: number): Result<string> {
  const name = task.memory.string(addr, XATTR_NAME_MAX + 1);
  if (isErrno(name)) return name === ENAMETOOLONG ? ERANGE : name;
  return name === '' || name.length > XATTR_NAME_MAX ? ERANGE : name;
}

const prefixes: ReadonlySet<string> = new Set([
  XATTR_SECURITY_PREFIX,
  XATTR_SYSTEM_PREFIX,
  XATTR_TRUSTED_PREFIX,
  XATTR_USER_PREFIX,
]);

/**
 * Returns 0 where the task may see or change an attribute of this name, else the errno: xattr(7),
 * xattr_permission of fs/xattr.c.
 */
function mayUseName(task: Task, path: Path, name: string, mask: number): SysResult {
  const allowed = mayUseNamespace(task, path, name, mask);
  // A name that is a prefix and nothing more is judged last: xattr_resolve_name.
  return !isErrno(allowed) && prefixes.has(name) ? EINVAL : allowed;
}

function mayUseNamespace(task: Task, path: Path, name: string, mask: number): SysResult {
  const { credentials } = task;
  const writes = mask === MAY_WRITE;
  if (writes && path.node.isUnmapped) return EPERM;
  if (name.startsWith(XATTR_SYSTEM_PREFIX)) return EOPNOTSUPP;
  if (name.startsWith(XATTR_SECURITY_PREFIX)) {
    if (!writes) return 0;
    const capability = name === XATTR_NAME_CAPS ? CAP_SETFCAP : CAP_SYS_ADMIN;
    return isCapable(credentials, capability) ? 0 : EPERM;
  }
  if (name.startsWith(XATTR_TRUSTED_PREFIX))
    return isCapable(credentials, CAP_SYS_ADMIN) ? 0 : writes ? EPERM : ENODATA;
  if (!name.startsWith(XATTR_USER_PREFIX)) return EOPNOTSUPP;
  const { kind } = path.node;
  if (kind !== S_IFREG && kind !== S_IFDIR) return writes ? EPERM : ENODATA;
  const owner = path.node.ownership();
  if (isErrno(owner)) return owner;
  if (writes && kind === S_IFDIR && (owner.mode & S_ISVTX) !== 0 && !isOwner(credentials, owner))
    return EPERM;
  return mayAccess(credentials, path.node, mask);
}

/** Changes an attribute: makes the checks that every change needs, and reports the change. */
function changeXattr(
  task: Task,
  path: Result<Path>,
  name: string,
  change: (node: Node) => SysResult,
  isValid = true,
): SysResult {
  if (isErrno(path)) return path;
  const readOnly = mayWriteMount(path.mount);
  if (isErrno(readOnly)) return readOnly;
  if (!isValid) return EINVAL;
  const allowed = mayUseName(task, path, name, MAY_WRITE);
  if (isErrno(allowed)) return allowed;
  const done = change(path.node);
  if (!isErrno(done)) notifyAttributes(path.dentry);
  return done;
}

function setXattr(target: Target): (task: Task, args: SyscallArgs) => SysResult {
  return (task, args) => {
    const flags = args.u32(4);
    if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return EINVAL;
    const name = nameArgument(task, args.addr(1));
    if (isErrno(name)) return name;
    const size = args.len(3);
    if (size > XATTR_SIZE_MAX) return E2BIG;
    const value = new Uint8Array(size);
    const copied = size === 0 ? 0 : task.memory.read(args.addr(2), value);
    if (isErrno(copied)) return copied;
    // Linux judges the form of capabilities before the right to set them; none at all are not judged.
    const isValid = name !== XATTR_NAME_CAPS || size === 0 || isFileCapabilities(value);
    const set = (node: Node): SysResult => node.setXattr(name, value, flags);
    return changeXattr(task, target(task, args), name, set, isValid);
  };
}

function getXattr(target: Target): (task: Task, args: SyscallArgs) => SysResult {
  return (task, args) => {
    const name = nameArgument(task, args.addr(1));
    if (isErrno(name)) return name;
    const path = target(task, args);
    if (isErrno(path)) return path;
    const allowed = mayUseName(task, path, name, MAY_READ);
    if (isErrno(allowed)) return allowed;
    const value = path.node.getXattr(name);
    return isErrno(value) ? value : answer(task, value, args.addr(2), args.len(3));
  };
}

function listXattr(target: Target): (task: Task, args: SyscallArgs) => SysResult {
  return (task, args) => {
    const path = target(task, args);
    if (isErrno(path)) return path;
    const names = path.node.listXattr();
    if (isErrno(names)) return names;
    const seesTrusted = isCapable(task.credentials, CAP_SYS_ADMIN);
    const text = names
      .filter((name) => seesTrusted || !name.startsWith(XATTR_TRUSTED_PREFIX))
      .map((name) => `${name}\0`);
    return answer(task, Buffer.from(text.join(''), 'latin1'), args.addr(1), args.len(2));
  };
}

function removeXattr(target: Target): (task: Task, args: SyscallArgs) => SysResult {
  return (task, args) => {
    const name = nameArgument(task, args.addr(1));
    if (isErrno(name)) return name;
    return changeXattr(task, target(task, args), name, (node) => node.removeXattr(name));
  };
}

/** Size 0 asks how large a buffer is needed. */
function answer(task: Task, bytes: Uint8Array, addr: number, size: number): SysResult {
  if (size === 0) return bytes.length;
  if (bytes.length > size) return ERANGE;
  const written = bytes.length === 0 ? 0 : task.memory.write(addr, bytes);
  return isErrno(written) ? written : bytes.length;
}

export const xattrRows: readonly Row[] = [
  direct(188, 'setxattr', ['path', 'string', 'addr', 'len', 'hex'], setXattr(followed)),
  direct(189, 'lsetxattr', ['path', 'string', 'addr', 'len', 'hex'], setXattr(unfollowed)),
  direct(190, 'fsetxattr', ['fd', 'string', 'addr', 'len', 'hex'], setXattr(byFd)),
  direct(191, 'getxattr', ['path', 'string', 'addr', 'len'], getXattr(followed)),
  direct(192, 'lgetxattr', ['path', 'string', 'addr', 'len'], getXattr(unfollowed)),
  direct(193, 'fgetxattr', ['fd', 'string', 'addr', 'len'], getXattr(byFd)),
  direct(194, 'listxattr', ['path', 'addr', 'len'], listXattr(followed)),
  direct(195, 'llistxattr', ['path', 'addr', 'len'], listXattr(unfollowed)),
  direct(196, 'flistxattr', ['fd', 'addr', 'len'], listXattr(byFd)),
  direct(197, 'removexattr', ['path', 'string'], removeXattr(followed)),
  direct(198, 'lremovexattr', ['path', 'string'], removeXattr(unfollowed)),
  direct(199, 'fremovexattr', ['fd', 'string'], removeXattr(byFd)),
];
