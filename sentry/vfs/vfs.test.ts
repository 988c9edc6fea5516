// SPDX-License-Identifier: Apache-2.0
// Path walks, opens, names and permissions over a tmpfs.
import { strict as assert } from 'node:assert';
import { describe, it } from 'vitest';
import {
  EACCES,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EPERM,
  EROFS,
  EXDEV,
  isErrno,
  type Result,
} from '../../abi/errno.ts';
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';
import { MS_RDONLY, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/fs.ts';
import { FakeCaller, FakeClock } from '../../test/support/fake-caller.ts';
import { TmpFileSystem } from '../fs/tmp/filesystem.ts';
import { cachedDentries, setDentryLimit } from './dentry.ts';
import {
  makeDirectory,
  makeLink,
  makeSymlink,
  removeDirectory,
  removeFile,
} from './directory-operations.ts';
import type { FsCaller } from './fs-context.ts';
import { BufferSink, BufferSource } from './io.ts';
import { Mount } from './mount.ts';
import { openNow } from './open.ts';
import type { OpenFile } from './open-file.ts';
import { pathText } from './path.ts';
import { WALK_FOLLOW, walkPath } from './path-walk.ts';
import { renamePath } from './rename.ts';

function setUp(): FakeCaller {
  return new FakeCaller(new TmpFileSystem({ clock: new FakeClock(), mode: 0o755 }));
}

function open(
  caller: FsCaller,
  path: string,
  flags: number,
  mode = 0o644,
  resolve = 0,
  dirfd = AT_FDCWD,
): Result<OpenFile> {
  const file = openNow(caller, dirfd, path, { flags, mode, resolve });
  if (!isErrno(file)) file.acquire();
  return file;
}

function opened(caller: FsCaller, path: string, flags: number, mode = 0o644): OpenFile {
  const file = open(caller, path, flags, mode);
  if (isErrno(file)) assert.fail(`${path}: ${file}`);
  return file;
}

function write(caller: FsCaller, path: string, text: string): void {
  const file = opened(caller, path, O_WRONLY | O_CREAT | O_TRUNC);
  assert.equal(file.write(new BufferSource(Buffer.from(text))), text.length);
  file.release();
}

function read(caller: FsCaller, path: string): string {
  const file = opened(caller, path, O_RDONLY);
  const sink = new BufferSink(new Uint8Array(4096));
  const buffer = Buffer.alloc(4096);
  const own = new BufferSink(buffer);
  file.read(own);
  file.release();
  assert.equal(sink.filled, 0);
  return buffer.toString('latin1', 0, own.filled);
}

const mkdir = (caller: FsCaller, path: string, mode = 0o755) =>
  makeDirectory(caller, AT_FDCWD, path, mode);
const symlink = (caller: FsCaller, target: string, path: string) =>
  makeSymlink(caller, target, AT_FDCWD, path);
const rename = (caller: FsCaller, from: string, to: string, flags = 0) =>
  renamePath(caller, AT_FDCWD, from, AT_FDCWD, to, flags);
const unlink = (caller: FsCaller, path: string) => removeFile(caller, AT_FDCWD, path);
const rmdir = (caller: FsCaller, path: string) => removeDirectory(caller, AT_FDCWD, path);
const walk = (caller: FsCaller, path: string, flags = WALK_FOLLOW) =>
  walkPath(caller, AT_FDCWD, path, flags);

describe('path walk', () => {
  it('follows links, relative and absolute, and counts them', () => {
    const caller = setUp();
    mkdir(caller, '/a');
    mkdir(caller, '/a/b');
    write(caller, '/a/b/file', 'hello');
    symlink(caller, 'b/file', '/a/rel');
    symlink(caller, '/a/rel', '/abs');
    symlink(caller, 'loop', '/loop');
    assert.equal(read(caller, '/abs'), 'hello');
    assert.equal(read(caller, '//a/./b/../../abs'), 'hello');
    assert.equal(open(caller, '/loop', O_RDONLY), ELOOP);
    assert.equal(open(caller, '/abs', O_RDONLY | O_NOFOLLOW), ELOOP);
    assert.equal(open(caller, '/abs/', O_RDONLY), ENOTDIR);
    symlink(caller, 'a', '/dirlink');
    assert.equal(isErrno(walk(caller, '/dirlink/', 0)), false);
    assert.equal(read(caller, '/dirlink/b/file'), 'hello');
  });

  it('stops forty links deep', () => {
    const caller = setUp();
    write(caller, '/l0', 'x');
    for (let n = 1; n <= 41; n += 1) symlink(caller, `l${n - 1}`, `/l${n}`);
    assert.equal(read(caller, '/l40'), 'x');
    assert.equal(open(caller, '/l41', O_RDONLY), ELOOP);
  });

  it('answers the errno of the first thing wrong', () => {
    const caller = setUp();
    write(caller, '/f', '');
    assert.equal(walk(caller, ''), ENOENT);
    assert.equal(walk(caller, '/f/x'), ENOTDIR);
    assert.equal(walk(caller, '/nope/x'), ENOENT);
    assert.equal(walk(caller, `/${'x'.repeat(256)}`), ENAMETOOLONG);
    assert.equal(walk(caller, `/${'x/'.repeat(2048)}`), ENAMETOOLONG);
    assert.equal(walk(caller, '/f/'), ENOTDIR);
    assert.equal(walk(caller, '/f/.'), ENOTDIR);
  });

  it('stays below the root, whatever the number of ..', () => {
    const caller = setUp();
    mkdir(caller, '/jail');
    write(caller, '/secret', 's');
    const jail = walk(caller, '/jail');
    assert.ok(!isErrno(jail));
    caller.fs.root = jail;
    caller.fs.cwd = jail;
    assert.equal(open(caller, '../../secret', O_RDONLY), ENOENT);
    symlink(caller, '/../secret', '/escape');
    assert.equal(open(caller, '/escape', O_RDONLY), ENOENT);
  });

  it('keeps RESOLVE_ promises', () => {
    const caller = setUp();
    mkdir(caller, '/d');
    write(caller, '/d/f', 'in');
    write(caller, '/f', 'out');
    symlink(caller, '../f', '/d/up');
    symlink(caller, '/f', '/d/abs');
    const fd = caller.files.add(opened(caller, '/d', O_PATH | O_DIRECTORY), false);
    assert.equal(open(caller, '../f', O_RDONLY, 0, RESOLVE_BENEATH, fd), EXDEV);
    assert.equal(open(caller, 'up', O_RDONLY, 0, RESOLVE_BENEATH, fd), EXDEV);
    assert.equal(open(caller, 'abs', O_RDONLY, 0, RESOLVE_BENEATH, fd), EXDEV);
    assert.equal(open(caller, '/f', O_RDONLY, 0, RESOLVE_BENEATH, fd), EXDEV);
    assert.equal(open(caller, 'up', O_RDONLY, 0, RESOLVE_NO_SYMLINKS, fd), ELOOP);
    const inRoot = open(caller, 'abs', O_RDONLY, 0, RESOLVE_IN_ROOT, fd);
    assert.ok(!isErrno(inRoot));
    assert.equal(pathText(inRoot.path as never, caller.fs.root), '/d/f');
  });

  it('crosses mounts and comes back', () => {
    const caller = setUp();
    mkdir(caller, '/mnt');
    write(caller, '/mnt/hidden', '');
    const other = new TmpFileSystem({ clock: new FakeClock() });
    const place = walk(caller, '/mnt');
    assert.ok(!isErrno(place));
    assert.equal(caller.namespace.attach(new Mount(other), place), 0);
    write(caller, '/mnt/new', 'n');
    assert.equal(open(caller, '/mnt/hidden', O_RDONLY), ENOENT);
    assert.equal(read(caller, '/mnt/../mnt/new'), 'n');
    assert.equal(rename(caller, '/mnt/new', '/elsewhere'), EXDEV);
    assert.equal(rmdir(caller, '/mnt'), EBUSY);
    assert.equal(open(caller, '/mnt/new', O_RDONLY, 0, RESOLVE_NO_XDEV), EXDEV);
    const inside = walk(caller, '/mnt/new');
    assert.ok(!isErrno(inside));
    assert.equal(pathText(inside, caller.fs.root), '/mnt/new');
    (inside.mount as Mount).flags |= MS_RDONLY;
    assert.equal(open(caller, '/mnt/new', O_WRONLY), EROFS);
    assert.equal(unlink(caller, '/mnt/new'), EROFS);
    assert.equal(caller.namespace.detach(inside.mount as Mount, false), 0);
    assert.equal(read(caller, '/mnt/hidden'), '');
  });

  it('gives the same dentries back past the limit of unused ones', () => {
    const caller = setUp();
    setDentryLimit(32);
    mkdir(caller, '/held');
    const held = walk(caller, '/held');
    assert.ok(!isErrno(held));
    caller.fs.cwd = held;
    for (let n = 0; n < 200; n += 1) write(caller, `/f${n}`, String(n));
    assert.ok(cachedDentries() < 200);
    const again = walk(caller, '/held');
    assert.ok(!isErrno(again) && again.dentry === held.dentry);
    assert.equal(read(caller, '/f7'), '7');
    setDentryLimit(20_000);
  });
});

describe('open', () => {
  it('creates, truncates and refuses as open(2) says', () => {
    const caller = setUp();
    write(caller, '/f', 'data');
    assert.equal(open(caller, '/f', O_RDWR | O_CREAT | O_EXCL), EEXIST);
    assert.equal(open(caller, '/new/', O_RDWR | O_CREAT), EISDIR);
    assert.equal(open(caller, '/', O_RDWR | O_CREAT), EISDIR);
    assert.equal(open(caller, '/f', O_RDONLY | O_DIRECTORY), ENOTDIR);
    assert.equal(open(caller, '/f', O_CREAT | O_DIRECTORY), EINVAL);
    symlink(caller, 'target', '/dangling');
    assert.equal(open(caller, '/dangling', O_CREAT | O_EXCL | O_RDWR), EEXIST);
    opened(caller, '/dangling', O_CREAT | O_RDWR).release();
    assert.equal(read(caller, '/target'), '');
    opened(caller, '/f', O_WRONLY | O_TRUNC).release();
    assert.equal(read(caller, '/f'), '');
  });

  it('keeps a file that was removed while open', () => {
    const caller = setUp();
    write(caller, '/f', 'data');
    const file = opened(caller, '/f', O_RDWR);
    assert.equal(unlink(caller, '/f'), 0);
    assert.equal(pathText(file.path as never, caller.fs.root), '/f (deleted)');
    const buffer = new Uint8Array(8);
    assert.equal(file.pread(new BufferSink(buffer), 0), 4);
    file.release();
    assert.equal(open(caller, '/f', O_RDONLY), ENOENT);
  });

  it('makes unnamed files that can be given a name', () => {
    const caller = setUp();
    const file = opened(caller, '/', O_TMPFILE | O_RDWR);
    file.write(new BufferSource(Buffer.from('tmp')));
    const fd = caller.files.add(file, false);
    assert.equal(makeLink(caller, fd, '', AT_FDCWD, '/named', 0x1000), 0);
    assert.equal(read(caller, '/named'), 'tmp');
    assert.equal(open(caller, '/', O_TMPFILE | O_RDONLY), EINVAL);
  });

  it('checks permission of the file and of every directory', () => {
    const root = setUp();
    mkdir(root, '/closed', 0o700);
    write(root, '/closed/f', 'x');
    write(root, '/readable', 'x');
    const user = root.as(1000);
    assert.equal(open(user, '/closed/f', O_RDONLY), EACCES);
    assert.equal(open(user, '/readable', O_WRONLY), EACCES);
    assert.equal(open(user, '/mine', O_CREAT | O_RDWR), EACCES);
    mkdir(root, '/tmp');
    const tmp = walk(root, '/tmp');
    assert.ok(!isErrno(tmp));
    tmp.node.setAttributes({ mode: 0o1777 });
    opened(user, '/tmp/mine', O_CREAT | O_RDWR).release();
    assert.equal(unlink(root.as(1001), '/tmp/mine'), EPERM);
    assert.equal(unlink(user, '/tmp/mine'), 0);
  });
});

describe('names', () => {
  it('removes only what may be removed', () => {
    const caller = setUp();
    mkdir(caller, '/d');
    write(caller, '/d/f', '');
    assert.equal(rmdir(caller, '/d'), ENOTEMPTY);
    assert.equal(unlink(caller, '/d'), EISDIR);
    assert.equal(rmdir(caller, '/d/f'), ENOTDIR);
    assert.equal(rmdir(caller, '/d/.'), EINVAL);
    assert.equal(rmdir(caller, '/d/..'), ENOTEMPTY);
    assert.equal(unlink(caller, '/d/f/'), ENOTDIR);
    assert.equal(unlink(caller, '/d/f'), 0);
    assert.equal(rmdir(caller, '/d'), 0);
    assert.equal(mkdir(caller, '/x/'), 0);
    assert.equal(mkdir(caller, '/x'), EEXIST);
    assert.equal(mkdir(caller, '/.'), EEXIST);
  });

  it('counts links', () => {
    const caller = setUp();
    write(caller, '/a', 'one');
    assert.equal(makeLink(caller, AT_FDCWD, '/a', AT_FDCWD, '/b', 0), 0);
    const path = walk(caller, '/b');
    assert.ok(!isErrno(path));
    const attributes = path.node.attributes();
    assert.ok(!isErrno(attributes) && attributes.nlink === 2);
    unlink(caller, '/a');
    assert.equal(read(caller, '/b'), 'one');
    assert.equal(makeLink(caller, AT_FDCWD, '/', AT_FDCWD, '/c', 0), EPERM);
  });

  it('lets nothing happen in a removed directory', () => {
    const caller = setUp();
    mkdir(caller, '/gone');
    const gone = walk(caller, '/gone');
    assert.ok(!isErrno(gone));
    caller.fs.cwd = gone;
    rmdir(caller, '/gone');
    assert.equal(open(caller, 'f', O_CREAT | O_RDWR), ENOENT);
    assert.equal(mkdir(caller, 'd'), ENOENT);
    assert.equal(isErrno(walk(caller, '..')), false);
  });
});

describe('rename', () => {
  it('replaces, exchanges and refuses as rename(2) says', () => {
    const caller = setUp();
    write(caller, '/a', 'A');
    write(caller, '/b', 'B');
    assert.equal(rename(caller, '/a', '/b', RENAME_NOREPLACE), EEXIST);
    assert.equal(rename(caller, '/a', '/b', RENAME_EXCHANGE), 0);
    assert.equal(read(caller, '/a') + read(caller, '/b'), 'BA');
    assert.equal(rename(caller, '/a', '/b'), 0);
    assert.equal(read(caller, '/b'), 'B');
    assert.equal(open(caller, '/a', O_RDONLY), ENOENT);
    assert.equal(rename(caller, '/a', '/c'), ENOENT);
    assert.equal(rename(caller, '/b', '/c/'), ENOTDIR);
    assert.equal(rename(caller, '/b', '/x', RENAME_EXCHANGE), ENOENT);
  });

  it('moves directories with what is in them, but not into themselves', () => {
    const caller = setUp();
    for (const path of ['/d', '/d/e', '/full', '/full/x', '/empty']) mkdir(caller, path);
    write(caller, '/d/e/f', 'deep');
    const inside = walk(caller, '/d/e');
    assert.ok(!isErrno(inside));
    assert.equal(rename(caller, '/d', '/d/e/g'), EINVAL);
    assert.equal(rename(caller, '/d/e', '/d'), ENOTEMPTY);
    assert.equal(rename(caller, '/d', '/full'), ENOTEMPTY);
    assert.equal(rename(caller, '/d', '/empty'), 0);
    assert.equal(read(caller, '/empty/e/f'), 'deep');
    assert.equal(pathText(inside, caller.fs.root), '/empty/e');
    assert.equal(rename(caller, '/empty/e/f', '/full'), EISDIR);
    assert.equal(rename(caller, '/full', '/empty/e/f'), ENOTDIR);
    assert.equal(rename(caller, '/empty/e', '/full/x'), 0);
    assert.equal(pathText(inside, caller.fs.root), '/full/x');
  });

  it('does nothing for two names of one file', () => {
    const caller = setUp();
    write(caller, '/a', 'x');
    makeLink(caller, AT_FDCWD, '/a', AT_FDCWD, '/b', 0);
    assert.equal(rename(caller, '/a', '/b'), 0);
    assert.equal(read(caller, '/a'), 'x');
  });
});
