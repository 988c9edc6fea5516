// SPDX-License-Identifier: Apache-2.0
// Overlays over a tmpfs: what a guest sees, and that the lower file system stays as it was.
import { strict as assert } from 'node:assert';
import { beforeEach, describe, it } from 'vitest';
import { EEXIST, ENOENT, ENOTEMPTY, isErrno } from '../../../abi/errno.ts';
import {
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../../../abi/fcntl.ts';
import { RENAME_EXCHANGE } from '../../../abi/fs.ts';
import { FakeCaller, FakeClock } from '../../../test/support/fake-caller.ts';
import { setDentryLimit } from '../../vfs/dentry.ts';
import {
  makeDirectory,
  makeLink,
  makeSymlink,
  removeDirectory,
  removeFile,
} from '../../vfs/directory-operations.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { Attributes } from '../../vfs/node.ts';
import { openNow } from '../../vfs/open.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { WALK_FOLLOW, walkPath } from '../../vfs/path-walk.ts';
import { renamePath } from '../../vfs/rename.ts';
import { TmpFileSystem } from '../tmp/filesystem.ts';
import { OverlayFileSystem } from './filesystem.ts';

let below: FakeCaller;
let top: FakeCaller;

function open(caller: FakeCaller, path: string, flags: number): OpenFile {
  const file = openNow(caller, AT_FDCWD, path, { flags, mode: 0o644, resolve: 0 });
  if (isErrno(file)) assert.fail(`${path}: ${file}`);
  file.acquire();
  return file;
}

function write(caller: FakeCaller, path: string, text: string, flags = O_CREAT | O_TRUNC): void {
  const file = open(caller, path, O_WRONLY | flags);
  assert.equal(file.write(new BufferSource(Buffer.from(text))), text.length);
  file.release();
}

function readFrom(file: OpenFile): string {
  const buffer = Buffer.alloc(100);
  return buffer.toString('latin1', 0, file.pread(new BufferSink(buffer), 0));
}

function read(caller: FakeCaller, path: string): string {
  const file = open(caller, path, O_RDONLY);
  const text = readFrom(file);
  file.release();
  return text;
}

function names(caller: FakeCaller, path: string): string {
  const file = open(caller, path, O_RDONLY | O_DIRECTORY);
  const found: string[] = [];
  file.readDirectory((name) => found.push(name) > 0, caller);
  file.release();
  return found
    .filter((name) => !name.startsWith('.'))
    .sort()
    .join(' ');
}

function stat(caller: FakeCaller, path: string): Attributes {
  const found = walkPath(caller, AT_FDCWD, path, WALK_FOLLOW);
  if (isErrno(found)) assert.fail(`${path}: ${found}`);
  const attributes = found.node.attributes();
  return isErrno(attributes) ? assert.fail() : attributes;
}

const exists = (caller: FakeCaller, path: string) => !isErrno(walkPath(caller, AT_FDCWD, path, 0));
const rename = (from: string, to: string, flags = 0) =>
  renamePath(top, AT_FDCWD, from, AT_FDCWD, to, flags);

beforeEach(() => {
  const clock = new FakeClock();
  const lower = new TmpFileSystem({ clock, mode: 0o755 });
  below = new FakeCaller(lower);
  for (const path of ['/dir', '/dir/sub', '/empty']) makeDirectory(below, AT_FDCWD, path, 0o755);
  write(below, '/file', 'lower');
  write(below, '/dir/f', 'lower f');
  write(below, '/dir/sub/g', 'lower g');
  makeLink(below, AT_FDCWD, '/file', AT_FDCWD, '/hard', 0);
  makeSymlink(below, 'dir/f', AT_FDCWD, '/link');
  top = new FakeCaller(new OverlayFileSystem({ lower, clock }));
});

describe('an overlay', () => {
  it('shows the lower files and copies up what is written', () => {
    assert.equal(read(top, '/link'), 'lower f');
    const before = stat(top, '/file');
    const reader = open(top, '/file', O_RDONLY);
    write(top, '/file', ' and more', O_APPEND);
    assert.equal(read(top, '/file'), 'lower and more');
    assert.equal(readFrom(reader), 'lower and more');
    reader.release();
    const after = stat(top, '/file');
    assert.deepEqual(
      [after.ino, after.dev, after.mode, after.nlink],
      [before.ino, before.dev, before.mode, before.nlink],
    );
    assert.equal(read(top, '/hard'), 'lower and more');
    assert.equal(read(below, '/file'), 'lower');
  });

  it('hides what is removed, also when it is made again', () => {
    assert.equal(removeFile(top, AT_FDCWD, '/dir/f'), 0);
    assert.equal(exists(top, '/dir/f'), false);
    assert.equal(names(top, '/dir'), 'sub');
    write(top, '/dir/f', 'mine');
    assert.equal(names(top, '/dir'), 'f sub');
    removeFile(top, AT_FDCWD, '/dir/f');
    assert.equal(exists(top, '/dir/f'), false);
    assert.equal(removeDirectory(top, AT_FDCWD, '/dir'), ENOTEMPTY);
    removeFile(top, AT_FDCWD, '/dir/sub/g');
    assert.equal(removeDirectory(top, AT_FDCWD, '/dir/sub'), 0);
    assert.equal(removeDirectory(top, AT_FDCWD, '/dir'), 0);
    assert.equal(makeDirectory(top, AT_FDCWD, '/dir', 0o755), 0);
    assert.equal(names(top, '/dir'), '');
    assert.equal(names(below, '/dir'), 'f sub');
  });

  it('renames lower directories without losing what is in them', () => {
    const ino = stat(top, '/dir').ino;
    assert.equal(rename('/dir', '/moved'), 0);
    assert.equal(exists(top, '/dir'), false);
    assert.equal(read(top, '/moved/sub/g'), 'lower g');
    assert.equal(stat(top, '/moved').ino, ino);
    write(top, '/moved/sub/new', 'n');
    assert.equal(names(top, '/moved/sub'), 'g new');
    assert.equal(rename('/moved/sub', '/sub'), 0);
    assert.equal(names(top, '/moved'), 'f');
    assert.equal(names(top, '/sub'), 'g new');
    assert.equal(rename('/sub', '/empty'), 0);
    assert.equal(read(top, '/empty/g'), 'lower g');
    assert.equal(makeDirectory(top, AT_FDCWD, '/dir', 0o755), 0);
    assert.equal(names(top, '/dir'), '');
    assert.equal(names(top, '/'), 'dir empty file hard link moved');
  });

  it('exchanges lower names', () => {
    assert.equal(rename('/file', '/dir', RENAME_EXCHANGE), 0);
    assert.equal(read(top, '/dir'), 'lower');
    assert.equal(read(top, '/file/f'), 'lower f');
  });

  it('keeps changed attributes and forgets nothing when the cache is small', () => {
    setDentryLimit(8);
    const found = walkPath(top, AT_FDCWD, '/dir/sub/g', 0);
    assert.ok(!isErrno(found));
    found.node.setAttributes({ mode: 0o600, uid: 7 });
    write(top, '/dir/sub/extra', 'e');
    for (let n = 0; n < 100; n += 1) write(top, `/empty/${n}`, String(n));
    for (let n = 0; n < 100; n += 1) assert.equal(read(top, `/empty/${n}`), String(n));
    for (let n = 0; n < 3; n += 1) {
      read(top, '/hard');
      read(top, '/dir/f');
    }
    const { mode, uid } = stat(top, '/dir/sub/g');
    assert.deepEqual([mode & 0o777, uid], [0o600, 7]);
    assert.equal(read(top, '/dir/sub/extra'), 'e');
    assert.equal(stat(top, '/file').ino, stat(top, '/hard').ino);
    setDentryLimit(20_000);
  });

  it('links lower files and new ones', () => {
    assert.equal(makeLink(top, AT_FDCWD, '/dir/f', AT_FDCWD, '/again', 0), 0);
    assert.equal(makeLink(top, AT_FDCWD, '/dir/f', AT_FDCWD, '/file', 0), EEXIST);
    assert.equal(stat(top, '/again').nlink, 2);
    write(top, '/again', 'both');
    assert.equal(read(top, '/dir/f'), 'both');
    removeFile(top, AT_FDCWD, '/dir/f');
    assert.equal(stat(top, '/again').nlink, 1);
  });

  it('does not copy what is truncated, and shows sizes', () => {
    const file = open(top, '/file', O_RDWR | O_TRUNC);
    assert.equal(stat(top, '/file').sizeBytes, 0);
    file.release();
    assert.equal(read(below, '/file'), 'lower');
    assert.equal(
      openNow(top, AT_FDCWD, '/nothing', { flags: O_RDONLY, mode: 0, resolve: 0 }),
      ENOENT,
    );
  });
});
