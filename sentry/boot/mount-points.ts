// SPDX-License-Identifier: Apache-2.0
// Places to mount on: looked up as the container's root sees them, and made where they are missing,
// as runc does: through links inside the container, never out of it.
import { ENOENT, isErrno, type Result } from '../../abi/errno.ts';
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY } from '../../abi/fcntl.ts';
import { MAXSYMLINKS } from '../../abi/fs.ts';
import { S_IFDIR, S_IFLNK } from '../../abi/stat.ts';
import { makeDirectory } from '../vfs/directory-operations.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import type { Mount, MountNamespace } from '../vfs/mount.ts';
import { openNow } from '../vfs/open.ts';
import type { Path } from '../vfs/path.ts';
import { WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';
import { failureOf } from './start-failure.ts';

/** Mounts on `target`. */
export function place(
  namespace: MountNamespace,
  caller: FsCaller,
  target: string,
  mount: Mount,
): void {
  const at = ensurePath(caller, target, mount.root.node?.kind ?? 0);
  if (isErrno(at)) throw new BootFailure(`mount on ${failureOf(target, at).message}`);
  const attached = namespace.attach(mount, at);
  if (isErrno(attached)) throw new BootFailure(`mount on ${failureOf(target, attached).message}`);
}

/** The place of `target`; where nothing is, a directory or an empty file is made. */
export function ensurePath(caller: FsCaller, target: string, kind: number): Result<Path> {
  const found = walkPath(caller, AT_FDCWD, target, WALK_FOLLOW);
  if (found !== ENOENT) return found;
  make(caller, target, kind === S_IFDIR, MAXSYMLINKS);
  return walkPath(caller, AT_FDCWD, target, WALK_FOLLOW);
}

/** Failures show in the walk that follows. */
function make(caller: FsCaller, target: string, isDirectory: boolean, links: number): void {
  const names = target.split('/').filter((name) => name !== '' && name !== '.');
  for (let count = 1; count <= names.length; count += 1) {
    const path = `/${names.slice(0, count).join('/')}`;
    const there = walkPath(caller, AT_FDCWD, path, 0);
    if (isErrno(there)) {
      if (there !== ENOENT) return;
      if (count < names.length || isDirectory) makeDirectory(caller, AT_FDCWD, path, 0o755);
      else makeFile(caller, path);
    } else if (
      there.node.kind === S_IFLNK &&
      isErrno(walkPath(caller, AT_FDCWD, path, WALK_FOLLOW))
    ) {
      // A link to nowhere: what it means is made.
      const link = there.node.readlink(caller);
      if (isErrno(link) || links === 0) return;
      const base = link.startsWith('/') ? '' : `/${names.slice(0, count - 1).join('/')}/`;
      make(caller, `${base}${link}`, count < names.length || isDirectory, links - 1);
    }
  }
}

function makeFile(caller: FsCaller, path: string): void {
  const how = { flags: O_CREAT | O_WRONLY | O_EXCL, mode: 0o755, resolve: 0 };
  const file = openNow(caller, AT_FDCWD, path, how);
  if (isErrno(file)) return;
  file.acquire();
  file.release();
}
