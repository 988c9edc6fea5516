// SPDX-License-Identifier: Apache-2.0
// tmpcopyup: a new tmpfs starts with a copy of what the container's root has at that place.
import { ENOSPC, isErrno, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD, O_RDONLY, O_WRONLY } from '../../abi/fcntl.ts';
import { S_IALLUGO, S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/stat.ts';
import { rootDentry } from '../vfs/dentry.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { BufferSink, BufferSource } from '../vfs/io.ts';
import type { Attributes, FileSystem, Node } from '../vfs/node.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { WALK_FOLLOW, walkPath } from '../vfs/path-walk.ts';
import { BootFailure } from './boot-failure.ts';
import { failureOf } from './start-failure.ts';

const maxDepth = 256;

/** Copies the directory at `path`, if there is one, with owners, modes and times. */
export function copyInto(filesystem: FileSystem, path: string, caller: FsCaller): void {
  const from = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
  if (isErrno(from) || from.node.kind !== S_IFDIR) return;
  const to = rootDentry(filesystem).node as Node;
  const attributes = from.node.attributes();
  const done = isErrno(attributes) ? attributes : copyDirectory(from.node, to, caller, 0);
  if (isErrno(done)) throw new BootFailure(`tmpcopyup: ${failureOf(path, done).message}`);
  if (!isErrno(attributes)) takeOver(to, attributes);
}

function copyDirectory(from: Node, to: Node, caller: FsCaller, depth: number): SysResult {
  const file = from.open(O_RDONLY, caller);
  if (isErrno(file)) return file;
  const names: string[] = [];
  file.acquire();
  let listed = 0;
  for (let before = -1; names.length > before && listed >= 0; ) {
    before = names.length;
    listed = file.readDirectory((name) => names.push(name) > 0, caller);
  }
  file.release();
  if (listed < 0) return listed;
  for (const name of names) {
    if (name === '.' || name === '..') continue;
    const node = from.lookup(name, caller);
    const done = isErrno(node) ? node : copyNode(name, node, to, caller, depth);
    if (isErrno(done)) return done;
  }
  return 0;
}

function copyNode(name: string, node: Node, to: Node, caller: FsCaller, depth: number): SysResult {
  const attributes = node.attributes();
  if (isErrno(attributes)) return attributes;
  const as = { mode: attributes.mode, uid: attributes.uid, gid: attributes.gid };
  switch (node.kind) {
    case S_IFDIR: {
      const made = to.mkdir(name, as);
      if (isErrno(made) || depth >= maxDepth) return isErrno(made) ? made : 0;
      const done = copyDirectory(node, made, caller, depth + 1);
      takeOver(made, attributes);
      return done;
    }
    case S_IFLNK: {
      const target = node.readlink(caller);
      const made = isErrno(target) ? target : to.symlink(name, target, as);
      return isErrno(made) ? made : 0;
    }
    case S_IFREG: {
      const made = to.create(name, as);
      if (isErrno(made)) return made;
      const done = copyBytes(node, made, caller);
      takeOver(made, attributes);
      return done;
    }
    default: {
      const made = to.mknod(name, as, attributes.rdev);
      return isErrno(made) ? made : 0;
    }
  }
}

function takeOver(node: Node, { mode, uid, gid, atime, mtime }: Attributes): void {
  node.setAttributes({ mode: mode & S_IALLUGO, uid, gid, atime, mtime });
}

function copyBytes(from: Node, to: Node, caller: FsCaller): SysResult {
  const source = from.open(O_RDONLY, caller);
  if (isErrno(source)) return source;
  const target = to.open(O_WRONLY, caller);
  if (isErrno(target)) return target;
  source.acquire();
  target.acquire();
  const done = pump(source, target);
  source.release();
  target.release();
  return done;
}

function pump(source: OpenFile, target: OpenFile): SysResult {
  const buffer = Buffer.alloc(64 * 1024);
  for (;;) {
    const count = source.read(new BufferSink(buffer));
    if (count <= 0) return count;
    const written = target.write(new BufferSource(buffer.subarray(0, count)));
    if (written < count) return isErrno(written) ? written : ENOSPC;
  }
}
