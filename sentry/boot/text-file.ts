// SPDX-License-Identifier: Apache-2.0
// A file whose text the configuration has, as a mount.
import { isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_CREAT, O_WRONLY } from '../../abi/fcntl.ts';
import type { Clock } from '../base/clock.ts';
import { TmpFileSystem } from '../fs/tmp/filesystem.ts';
import { lookupChild } from '../vfs/dentry.ts';
import { FdTable } from '../vfs/fd-table.ts';
import { type FsCaller, FsContext } from '../vfs/fs-context.ts';
import { BufferSource } from '../vfs/io.ts';
import { Mount } from '../vfs/mount.ts';
import { openNow } from '../vfs/open.ts';
import { Path } from '../vfs/path.ts';
import { BootFailure } from './boot-failure.ts';
import { failureOf } from './start-failure.ts';

const mostBytes = 1024 * 1024;

/** `text` is a byte string. */
export function textMount(text: string, flags: number, clock: Clock, caller: FsCaller): Mount {
  const filesystem = new TmpFileSystem({ clock, mode: 0o755, maxBytes: mostBytes });
  const top = new Mount(filesystem, { flags });
  const place = new Path(top, top.root);
  const inside = { ...caller, fs: new FsContext(place, place, 0), files: new FdTable() };
  const how = { flags: O_CREAT | O_WRONLY, mode: 0o644, resolve: 0 };
  const file = openNow(inside, AT_FDCWD, '/file', how);
  if (isErrno(file)) throw new BootFailure(`mount: ${failureOf('file', file).message}`);
  file.acquire();
  const written = file.write(new BufferSource(Buffer.from(text, 'latin1')));
  file.release();
  const entry = lookupChild(top.root, 'file', inside);
  if (isErrno(written) || isErrno(entry)) throw new BootFailure('mount: a text cannot be written');
  return new Mount(filesystem, { flags, source: 'runts', root: entry });
}
