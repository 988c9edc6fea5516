// SPDX-License-Identifier: Apache-2.0
// /dev of a container: the nodes and links that every container has (OCI runtime specification,
// "Default Devices" and "Dev symbolic links"), and those of its configuration.
import {
  MEM_MAJOR,
  MEM_MINOR_FULL,
  MEM_MINOR_NULL,
  MEM_MINOR_RANDOM,
  MEM_MINOR_URANDOM,
  MEM_MINOR_ZERO,
  TTYAUX_MAJOR,
  TTYAUX_MINOR_TTY,
} from '../../abi/dev.ts';
import { EEXIST, isErrno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { MS_NOEXEC, MS_NOSUID, MS_RELATIME } from '../../abi/fs.ts';
import { makeDevice, S_IALLUGO, S_IFCHR, S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import type { DeviceConfig } from '../../protocol/boot-config.ts';
import { makeNode, makeSymlink, removeFile } from '../vfs/directory-operations.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { Mount, type MountNamespace } from '../vfs/mount.ts';
import { walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';
import { ensurePath, place } from './mount-points.ts';
import { failureOf } from './start-failure.ts';

const standard: readonly (readonly [name: string, major: number, minor: number])[] = [
  ['null', MEM_MAJOR, MEM_MINOR_NULL],
  ['zero', MEM_MAJOR, MEM_MINOR_ZERO],
  ['full', MEM_MAJOR, MEM_MINOR_FULL],
  ['random', MEM_MAJOR, MEM_MINOR_RANDOM],
  ['urandom', MEM_MAJOR, MEM_MINOR_URANDOM],
  ['tty', TTYAUX_MAJOR, TTYAUX_MINOR_TTY],
];

const links: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
];

export function fillDev(caller: FsCaller, devices: readonly DeviceConfig[]): void {
  for (const [name, major, minor] of standard) {
    makeDeviceNode(caller, {
      path: `/dev/${name}`,
      mode: S_IFCHR | 0o666,
      major,
      minor,
      uid: 0,
      gid: 0,
    });
  }
  for (const device of devices) makeDeviceNode(caller, device);
  for (const [name, target] of links) makeLink(caller, `/dev/${name}`, target);
}

/**
 * Makes a device node. A file that has the name already (a bind mount, a node of linux.devices that
 * repeats a standard one) gives way or stays.
 */
function makeDeviceNode(caller: FsCaller, device: DeviceConfig): void {
  const { path, mode, uid, gid } = device;
  const parent = path.slice(0, path.lastIndexOf('/'));
  const directory = ensurePath(caller, parent === '' ? '/' : parent, S_IFDIR);
  if (isErrno(directory)) throw new BootFailure(`device ${failureOf(path, directory).message}`);
  const rdev = makeDevice(device.major, device.minor);
  let made = makeNode(caller, AT_FDCWD, path, mode, rdev);
  // runc keeps what is there where it is mounted, and else says that it is no device.
  if (made === EEXIST && !isErrno(removeFile(caller, AT_FDCWD, path)))
    made = makeNode(caller, AT_FDCWD, path, mode, rdev);
  if (made === EEXIST || (isErrno(made) && !isErrno(walkPath(caller, AT_FDCWD, path, 0)))) return;
  if (isErrno(made)) throw new BootFailure(`device ${failureOf(path, made).message}`);
  // Its mode is meant as it stands, whatever the umask.
  made.node.setAttributes({ mode: mode & S_IALLUGO, uid, gid });
}

function makeLink(caller: FsCaller, path: string, target: string): void {
  const made = makeSymlink(caller, target, AT_FDCWD, path);
  if (isErrno(made) && made !== EEXIST)
    throw new BootFailure(`link ${failureOf(path, made).message}`);
}

/** The terminal of the first process is the console too, as with runc. */
export function mountConsole(namespace: MountNamespace, caller: FsCaller, index: number): void {
  const slave = walkPath(caller, AT_FDCWD, `/dev/pts/${index}`, 0);
  if (isErrno(slave) || slave.mount === undefined) return;
  const console = ensurePath(caller, '/dev/console', S_IFREG);
  if (isErrno(console)) return;
  const { filesystem, source, data, flags } = slave.mount;
  const mount = new Mount(filesystem, {
    root: slave.dentry,
    source,
    data,
    flags: flags | MS_NOSUID | MS_NOEXEC | MS_RELATIME,
  });
  place(namespace, caller, '/dev/console', mount);
}
