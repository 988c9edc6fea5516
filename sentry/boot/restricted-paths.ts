// SPDX-License-Identifier: Apache-2.0
// linux.maskedPaths and linux.readonlyPaths of the OCI runtime specification, as runc has them:
// mounts over the paths.
import { isErrno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { MS_RDONLY, MS_RELATIME } from '../../abi/fs.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import type { Clock } from '../base/clock.ts';
import { TmpFileSystem } from '../fs/tmp/filesystem.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { Mount, type MountNamespace } from '../vfs/mount.ts';
import { WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';
import { failureOf } from './start-failure.ts';

/** A path that is not there, or not to be reached, is protected enough. */
export function restrictPaths(
  namespace: MountNamespace,
  caller: FsCaller,
  readOnly: readonly string[],
): void {
  for (const path of readOnly) {
    const at = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
    if (isErrno(at)) continue;
    const mount = namespace.bind(at, true);
    if (isErrno(mount)) throw new BootFailure(`read-only path ${failureOf(path, mount).message}`);
    mount.flags |= MS_RDONLY;
    attach(namespace, path, mount, caller);
  }
}

/** Files show nothing, as /dev/null; directories are empty and read-only. */
export function maskPaths(
  namespace: MountNamespace,
  caller: FsCaller,
  clock: Clock,
  masked: readonly string[],
): void {
  for (const path of masked) {
    const at = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
    if (isErrno(at)) continue;
    attach(
      namespace,
      path,
      at.node.kind === S_IFDIR ? emptyDirectory(clock) : nullDevice(namespace, caller),
      caller,
    );
  }
}

function emptyDirectory(clock: Clock): Mount {
  const filesystem = new TmpFileSystem({ clock, mode: 0o755, maxBytes: 0 });
  return new Mount(filesystem, { flags: MS_RDONLY | MS_RELATIME, source: 'tmpfs' });
}

function nullDevice(namespace: MountNamespace, caller: FsCaller): Mount {
  const device = walkPath(caller, AT_FDCWD, '/dev/null', WALK_FOLLOW);
  const mount = isErrno(device) ? device : namespace.bind(device, false);
  if (isErrno(mount))
    throw new BootFailure(`masked path: ${failureOf('/dev/null', mount).message}`);
  return mount;
}

function attach(namespace: MountNamespace, path: string, mount: Mount, caller: FsCaller): void {
  const at = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
  const attached = isErrno(at) ? at : namespace.attach(mount, at);
  if (isErrno(attached)) throw new BootFailure(`mount on ${failureOf(path, attached).message}`);
}
