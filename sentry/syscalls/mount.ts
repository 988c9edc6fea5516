// SPDX-License-Identifier: Apache-2.0
// mount(2), umount2(2), pivot_root(2). All mounts are private: there is no propagation.
import { CAP_SYS_ADMIN } from '../../abi/capability.ts';
import {
  EBUSY,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOSYS,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import {
  MNT_DETACH,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_MOVE,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_SHARED,
  MS_SLAVE,
  MS_STRICTATIME,
  MS_UNBINDABLE,
  UMOUNT_NOFOLLOW,
} from '../../abi/fs.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import type { MemoryAccount } from '../base/memory-account.ts';
import { mqueueOf } from '../fs/mqueue/filesystem.ts';
import { defaultTmpfsBytes, TmpFileSystem, type TmpOptions } from '../fs/tmp/filesystem.ts';
import type { Task } from '../kernel/task.ts';
import { pageFloor } from '../mm/page.ts';
import { isCapable } from '../vfs/credentials.ts';
import { isWithin } from '../vfs/dentry.ts';
import { Mount, type MountNamespace, namespaceOf, topOf } from '../vfs/mount.ts';
import type { FileSystem } from '../vfs/node.ts';
import type { Path } from '../vfs/path.ts';
import type { SyscallArgs } from './args.ts';
import { absent, direct, type Row } from './entry.ts';
import { pathArgument } from './stat.ts';

/** Flags that a mount keeps. */
const mountFlags =
  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_NOSYMFOLLOW;
/** Kernel file systems of which there is one instance: mounting them again shows the same one. */
const singleInstance: ReadonlySet<string> = new Set([
  'proc',
  'sysfs',
  'devpts',
  'devtmpfs',
  'cgroup2',
]);

function sysMount(task: Task, args: SyscallArgs): SysResult {
  let flags = args.u32(3);
  if ((flags & MS_MGC_MSK) >>> 0 === MS_MGC_VAL) flags &= ~MS_MGC_MSK;
  const type = args.addr(2) === 0 ? '' : task.memory.string(args.addr(2), 4095);
  if (isErrno(type)) return type;
  const target = pathArgument(task, AT_FDCWD, args.addr(1), 0);
  if (isErrno(target)) return target;
  const namespace = namespaceOf(target.mount);
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  if (namespace === undefined) return EINVAL;

  if ((flags & MS_REMOUNT) !== 0) return remount(target, flags);
  if ((flags & MS_BIND) !== 0) return bind(task, namespace, args.addr(0), target, flags);
  const propagation = flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE);
  // A private mount stays one when it is made private or a slave of nobody.
  if (propagation !== 0)
    return propagation === MS_PRIVATE || propagation === MS_SLAVE ? isMountRoot(target) : EINVAL;
  if ((flags & MS_MOVE) !== 0) return move(task, namespace, args.addr(0), target);
  return mountNew(task, namespace, type, target, flags, args);
}

function isMountRoot(path: Path): SysResult {
  return path.mount !== undefined && path.dentry === path.mount.root ? 0 : EINVAL;
}

function remount(target: Path, flags: number): SysResult {
  if (target.mount === undefined || isErrno(isMountRoot(target))) return EINVAL;
  target.mount.flags = keptFlags(flags);
  namespaceOf(target.mount)?.changed();
  return 0;
}

function keptFlags(flags: number): number {
  const kept = flags & mountFlags;
  return (flags & (MS_NOATIME | MS_STRICTATIME)) !== 0 ? kept : kept | MS_RELATIME;
}

function bind(
  task: Task,
  namespace: MountNamespace,
  sourceAddr: number,
  target: Path,
  flags: number,
): SysResult {
  const source = pathArgument(task, AT_FDCWD, sourceAddr, 0);
  if (isErrno(source)) return source;
  if (!namespace.contains(source.mount)) return EINVAL;
  const mount = namespace.bind(source, (flags & MS_REC) !== 0);
  if (isErrno(mount)) return mount;
  return namespace.attach(mount, target);
}

function move(task: Task, namespace: MountNamespace, sourceAddr: number, target: Path): SysResult {
  const source = pathArgument(task, AT_FDCWD, sourceAddr, 0);
  if (isErrno(source)) return source;
  if (source.mount === undefined || isErrno(isMountRoot(source))) return EINVAL;
  return namespace.move(source.mount, target);
}

function mountNew(
  task: Task,
  namespace: MountNamespace,
  type: string,
  target: Path,
  flags: number,
  args: SyscallArgs,
): SysResult {
  const source = args.addr(0) === 0 ? '' : task.memory.string(args.addr(0), 4095);
  if (isErrno(source)) return source;
  const data = args.addr(4) === 0 ? '' : task.memory.string(args.addr(4), 4095);
  if (isErrno(data)) return data;
  if (type === '') return EINVAL;
  if (target.node.kind !== S_IFDIR) return ENOTDIR;
  const allowed = namespace.mayHave(1);
  if (isErrno(allowed)) return allowed;
  const filesystem = newFileSystem(task, namespace, type, data);
  if (isErrno(filesystem)) return filesystem;
  return namespace.attach(
    new Mount(filesystem, {
      flags: keptFlags(flags),
      source: source === '' ? 'none' : source,
      data,
    }),
    target,
  );
}

function newFileSystem(
  task: Task,
  namespace: MountNamespace,
  type: string,
  data: string,
): Result<FileSystem> {
  if (type === 'tmpfs' || type === 'ramfs') {
    const options = tmpOptions(task, data);
    if (isErrno(options)) return options;
    // A ramfs has no size; the account of the container still binds it.
    const maxBytes = type === 'ramfs' ? Number.POSITIVE_INFINITY : options.maxBytes;
    return new TmpFileSystem({ ...options, maxBytes, type });
  }
  if (type === 'mqueue') return mqueueOf(task.ipc).filesystem;
  if (!singleInstance.has(type)) return ENODEV;
  for (const mount of namespace.mounts())
    if (mount.filesystem.type === type) return mount.filesystem;
  return ENODEV;
}

/** tmpfs(5): size, nr_blocks, nr_inodes, mode, uid, gid; others are refused. */
function tmpOptions(task: Task, data: string): Result<TmpOptions & { maxBytes: number }> {
  const { account, memoryBytes } = task.group.container.allowance;
  const options: {
    account: MemoryAccount;
    clock: TmpOptions['clock'];
    maxBytes: number;
    maxInodes?: number;
    mode?: number;
    uid?: number;
    gid?: number;
  } = { clock: task.kernel.clock, maxBytes: defaultTmpfsBytes(memoryBytes), account };
  for (const part of data.split(',')) {
    if (part === '') continue;
    const [key = '', value = ''] = part.split('=', 2);
    const number = sizeOf(value);
    if (key === 'mode') {
      if (!/^[0-7]{1,4}$/.test(value)) return EINVAL;
      options.mode = Number.parseInt(value, 8);
    } else if (number === undefined) {
      const percent = /^([0-9]{1,3})%$/.exec(value)?.[1];
      if (key !== 'size' || percent === undefined) return EINVAL;
      options.maxBytes = pageFloor((memoryBytes * Number(percent)) / 100);
    } else if (key === 'size') options.maxBytes = number === 0 ? Number.POSITIVE_INFINITY : number;
    else if (key === 'nr_blocks')
      options.maxBytes = number === 0 ? Number.POSITIVE_INFINITY : number * 4096;
    else if (key === 'nr_inodes')
      options.maxInodes = number === 0 ? Number.POSITIVE_INFINITY : number;
    else if (key === 'uid') options.uid = number;
    else if (key === 'gid') options.gid = number;
    else return EINVAL;
  }
  return options;
}

/** memparse(): digits and one of k, m, g. */
function sizeOf(text: string): number | undefined {
  const match = /^([0-9]{1,15})([kmgKMG]?)$/.exec(text);
  if (match === null) return undefined;
  const units: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
  return Number(match[1]) * (units[(match[2] ?? '').toLowerCase()] ?? 1);
}

function sysUmount2(task: Task, args: SyscallArgs): SysResult {
  const flags = args.u32(1);
  if ((flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW)) !== 0) return EINVAL;
  const named = pathArgument(
    task,
    AT_FDCWD,
    args.addr(0),
    (flags & UMOUNT_NOFOLLOW) !== 0 ? AT_SYMLINK_NOFOLLOW : 0,
  );
  if (isErrno(named)) return named;
  const path = topOf(named.mount, named.dentry);
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  const namespace = namespaceOf(path.mount);
  if (path.mount === undefined || namespace === undefined || isErrno(isMountRoot(path)))
    return EINVAL;
  if (path.mount === task.fs.root.mount && (flags & MNT_DETACH) === 0) return EBUSY;
  return namespace.detach(path.mount, (flags & MNT_DETACH) !== 0);
}

function sysPivotRoot(task: Task, args: SyscallArgs): SysResult {
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  const newRoot = pathArgument(task, AT_FDCWD, args.addr(0), 0);
  if (isErrno(newRoot)) return newRoot;
  const putOld = pathArgument(task, AT_FDCWD, args.addr(1), 0);
  if (isErrno(putOld)) return putOld;
  if (newRoot.node.kind !== S_IFDIR || putOld.node.kind !== S_IFDIR) return ENOTDIR;
  const { root } = task.fs;
  const namespace = namespaceOf(root.mount);
  if (namespace === undefined || newRoot.mount === undefined || putOld.mount === undefined)
    return EINVAL;
  if (newRoot.dentry.unlinked) return ENOENT;
  if (newRoot.mount === root.mount || putOld.mount === root.mount) return EBUSY;
  if (
    isErrno(isMountRoot(newRoot)) ||
    isErrno(isMountRoot(root)) ||
    newRoot.mount.parent === undefined
  )
    return EINVAL;
  if (root.mount !== namespace.root && root.mount?.parent === undefined) return EINVAL;
  if (!isBelow(putOld, newRoot)) return EINVAL;
  const done = namespace.pivot(newRoot.mount, putOld);
  if (isErrno(done)) return done;
  moveRoots(task, root, newRoot);
  return 0;
}

/** Is `path` at or under the directory `top`, across mounts? */
function isBelow(path: Path, top: Path): boolean {
  let { mount, dentry } = path;
  while (mount !== undefined) {
    if (mount === top.mount) return isWithin(dentry, top.dentry);
    if (mount.mountpoint === undefined) return false;
    dentry = mount.mountpoint;
    mount = mount.parent;
  }
  return false;
}

/** Every process whose root or directory was the old root gets the new one. */
function moveRoots(task: Task, oldRoot: Path, newRoot: Path): void {
  for (const { fs } of task.kernel.tasks) {
    if (fs.root.equals(oldRoot)) fs.root = newRoot;
    if (fs.cwd.equals(oldRoot)) fs.cwd = newRoot;
  }
}

export const mountRows: readonly Row[] = [
  direct(155, 'pivot_root', ['path', 'path'], sysPivotRoot),
  direct(165, 'mount', ['path', 'path', 'string', 'hex', 'string'], sysMount, {
    partial:
      'tmpfs, ramfs, mqueue, bind, move, remount, and further mounts of proc, sysfs, devpts and cgroup2; no propagation',
  }),
  direct(166, 'umount2', ['path', 'hex'], sysUmount2),
  absent(303, 'name_to_handle_at', ['dirfd', 'path', 'addr', 'addr', 'atFlags'], EOPNOTSUPP),
  absent(304, 'open_by_handle_at', ['fd', 'addr', 'openFlags'], EPERM),
  absent(428, 'open_tree', ['dirfd', 'path', 'hex'], ENOSYS),
  absent(429, 'move_mount', ['dirfd', 'path', 'dirfd', 'path', 'hex'], ENOSYS),
  absent(430, 'fsopen', ['string', 'hex'], ENOSYS),
  absent(431, 'fsconfig', ['fd', 'uint', 'string', 'addr', 'int'], ENOSYS),
  absent(432, 'fsmount', ['fd', 'hex', 'hex'], ENOSYS),
  absent(433, 'fspick', ['dirfd', 'path', 'hex'], ENOSYS),
  absent(442, 'mount_setattr', ['dirfd', 'path', 'hex', 'addr', 'len'], ENOSYS),
  absent(443, 'quotactl_fd', ['fd', 'uint', 'uint', 'addr'], ENOSYS),
  absent(451, 'cachestat', ['fd', 'addr', 'addr', 'uint'], ENOSYS),
  absent(457, 'statmount', ['addr', 'addr', 'len', 'hex'], ENOSYS),
  absent(458, 'listmount', ['addr', 'addr', 'len', 'hex'], ENOSYS),
];
