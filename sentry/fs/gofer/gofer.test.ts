// SPDX-License-Identifier: Apache-2.0
// The Gofer as a real process, and the file system over it.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ENODATA, ENOENT, EOPNOTSUPP, EROFS, isErrno } from '../../../abi/errno.ts';
import {
  AT_FDCWD,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
} from '../../../abi/fcntl.ts';
import { S_IFCHR, S_IFIFO } from '../../../abi/stat.ts';
import { FakeCaller, FakeClock } from '../../../test/support/fake-caller.ts';
import { startGofer, type TestGofer } from '../../../test/support/start-gofer.ts';
import { nextTurn } from '../../base/turn.ts';
import {
  makeDirectory,
  makeNode,
  makeSymlink,
  removeFile,
} from '../../vfs/directory-operations.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { openNow } from '../../vfs/open.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { WALK_FOLLOW, walkPath } from '../../vfs/path-walk.ts';
import { renamePath } from '../../vfs/rename.ts';
import { GoferFileSystem } from './filesystem.ts';
import { GoferDied } from './gofer-died.ts';

let directory = '';
let gofer: TestGofer;
let readOnly: FakeCaller;
let shared: FakeCaller;

function open(caller: FakeCaller, path: string, flags: number): OpenFile {
  const file = openNow(caller, AT_FDCWD, path, { flags, mode: 0o644, resolve: 0 });
  if (isErrno(file)) assert.fail(`${path}: ${file}`);
  file.acquire();
  return file;
}

function filesystemOf(caller: FakeCaller): GoferFileSystem {
  return caller.fs.root.mount?.filesystem as GoferFileSystem;
}

function contents(caller: FakeCaller, path: string): string {
  const file = open(caller, path, O_RDONLY);
  const buffer = Buffer.alloc(1000);
  const count = file.read(new BufferSink(buffer));
  file.release();
  return buffer.toString('latin1', 0, count);
}

function names(caller: FakeCaller, path: string): string[] {
  const file = open(caller, path, O_RDONLY | O_DIRECTORY);
  const found: string[] = [];
  file.readDirectory((name) => found.push(name) > 0, caller);
  file.release();
  return found.sort();
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-gofer-'));
  for (const path of ['ro/a/b', 'ro/many', 'rw', 'frozen'])
    mkdirSync(join(directory, path), { recursive: true });
  writeFileSync(join(directory, 'ro/a/b/file'), 'hello');
  writeFileSync(join(directory, 'secret'), 'secret');
  symlinkSync('b/file', join(directory, 'ro/a/link'));
  symlinkSync('../../secret', join(directory, 'ro/a/out'));
  linkSync(join(directory, 'ro/a/b/file'), join(directory, 'ro/second'));
  for (let n = 0; n < 3000; n += 1)
    writeFileSync(join(directory, `ro/many/entry-with-a-rather-long-name-${n}`), '');
  for (let n = 0; n < 30; n += 1) mkdirSync(join(directory, `ro/d${n}/sub`), { recursive: true });
  gofer = startGofer(join(directory, 'ro'), `rw:${join(directory, 'rw')}`);
  const clock = new FakeClock();
  const first = GoferFileSystem.attach({
    client: gofer.client,
    attachPoint: 0,
    exclusive: true,
    clock,
  });
  const second = GoferFileSystem.attach({
    client: gofer.client,
    attachPoint: 1,
    exclusive: false,
    clock,
  });
  assert.ok(!isErrno(first) && !isErrno(second));
  readOnly = new FakeCaller(first);
  shared = new FakeCaller(second);
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

describe('a read-only tree', () => {
  it('walks several components with one request, and then with none', () => {
    const before = gofer.client.requests;
    assert.equal(contents(readOnly, '/a/b/file'), 'hello');
    assert.equal(gofer.client.requests - before, 2); // The walk and the open.
    assert.equal(contents(readOnly, '/a/b/file'), 'hello');
    assert.equal(gofer.client.requests - before, 2);
  });

  it('follows links inside and never leaves', () => {
    assert.equal(contents(readOnly, '/a/link'), 'hello');
    assert.equal(walkPath(readOnly, AT_FDCWD, '/a/out', WALK_FOLLOW), ENOENT);
    assert.equal(
      openNow(readOnly, AT_FDCWD, '/a/b/file', { flags: O_RDWR, mode: 0, resolve: 0 }),
      EROFS,
    );
    assert.equal(makeDirectory(readOnly, AT_FDCWD, '/new', 0o755), EROFS);
  });

  it('shows two names of a file as one node', () => {
    const one = walkPath(readOnly, AT_FDCWD, '/second', 0);
    const two = walkPath(readOnly, AT_FDCWD, '/a/b/file', 0);
    assert.ok(!isErrno(one) && !isErrno(two) && one.node === two.node);
  });

  it('lists a large directory in parts, with attributes', () => {
    const before = gofer.client.requests;
    assert.equal(names(readOnly, '/many').length, 3002);
    const listed = gofer.client.requests - before;
    const path = walkPath(readOnly, AT_FDCWD, '/many/entry-with-a-rather-long-name-77', 0);
    assert.ok(!isErrno(path) && !isErrno(path.node.attributes()));
    assert.equal(walkPath(readOnly, AT_FDCWD, '/many/nope', 0), ENOENT);
    assert.equal(gofer.client.requests - before, listed);
  });

  it('opens directories again that the Gofer had to close', () => {
    for (let round = 0; round < 2; round += 1) {
      for (let n = 0; n < 30; n += 1)
        assert.deepEqual(names(readOnly, `/d${n}`), ['.', '..', 'sub']);
    }
  });
});

describe('a shared volume', () => {
  it('shows at once what others do', () => {
    writeFileSync(join(directory, 'rw/x'), 'one');
    assert.equal(contents(shared, '/x'), 'one');
    rmSync(join(directory, 'rw/x'));
    nextTurn();
    assert.equal(walkPath(shared, AT_FDCWD, '/x', 0), ENOENT);
    writeFileSync(join(directory, 'rw/x'), 'two!');
    nextTurn();
    const path = walkPath(shared, AT_FDCWD, '/x', 0);
    assert.ok(!isErrno(path));
    const attributes = path.node.attributes();
    assert.ok(!isErrno(attributes) && attributes.sizeBytes === 4);
    assert.equal(contents(shared, '/x'), 'two!');
  });

  it('is asked for a name once in a turn, found or not, and again in the next', () => {
    mkdirSync(join(directory, 'rw/asked/below'), { recursive: true });
    const { client } = filesystemOf(shared);
    const requestsOf = (...asked: string[]): number => {
      const before = client.requests;
      for (const path of asked) walkPath(shared, AT_FDCWD, path, 0);
      return client.requests - before;
    };
    const paths = ['/asked/below', '/asked/missing'];
    nextTurn();
    assert.ok(requestsOf(...paths) > 0);
    assert.equal(requestsOf(...paths, ...paths, '/asked', '/asked/below/'), 0);
    nextTurn();
    assert.ok(requestsOf(...paths) > 0);
    assert.equal(requestsOf(...paths), 0);
    // What the turn itself changes shows at once.
    assert.equal(makeDirectory(shared, AT_FDCWD, '/asked/missing', 0o755), 0);
    assert.ok(!isErrno(walkPath(shared, AT_FDCWD, '/asked/missing', 0)));
    assert.equal(renamePath(shared, AT_FDCWD, '/asked/missing', AT_FDCWD, '/asked/moved', 0), 0);
    assert.equal(walkPath(shared, AT_FDCWD, '/asked/missing', 0), ENOENT);
    assert.ok(!isErrno(walkPath(shared, AT_FDCWD, '/asked/moved', 0)));
  });

  it('makes, writes, renames and removes on the host', () => {
    const file = open(shared, '/new', O_RDWR | O_CREAT);
    assert.equal(file.write(new BufferSource(Buffer.from('abc'))), 3);
    file.release();
    const more = open(shared, '/new', O_WRONLY | O_APPEND);
    more.write(new BufferSource(Buffer.from('def')));
    more.release();
    assert.equal(readFileSync(join(directory, 'rw/new'), 'latin1'), 'abcdef');
    assert.equal(makeDirectory(shared, AT_FDCWD, '/sub', 0o755), 0);
    assert.equal(renamePath(shared, AT_FDCWD, '/new', AT_FDCWD, '/sub/moved', 0), 0);
    assert.equal(contents(shared, '/sub/moved'), 'abcdef');
    assert.equal(renamePath(shared, AT_FDCWD, '/sub', AT_FDCWD, '/other', 0), 0);
    assert.equal(contents(shared, '/other/moved'), 'abcdef');
    assert.equal(makeSymlink(shared, 'other/moved', AT_FDCWD, '/l'), 0);
    assert.equal(contents(shared, '/l'), 'abcdef');
    const path = walkPath(shared, AT_FDCWD, '/other/moved', 0);
    assert.ok(!isErrno(path));
    assert.equal(
      path.node.setAttributes({ mode: 0o600, sizeBytes: 2, mtime: { sec: 5, nsec: 6 } }),
      0,
    );
    assert.equal(readFileSync(join(directory, 'rw/other/moved'), 'latin1'), 'ab');
    assert.equal(path.node.setXattr('user.test', Buffer.from('v'), 0), 0);
    assert.deepEqual(path.node.listXattr(), ['user.test']);
    assert.equal(removeFile(shared, AT_FDCWD, '/other/moved'), 0);
    assert.equal(existsSync(join(directory, 'rw/other/moved')), false);
  });

  it('is not fooled by a directory that became a link', () => {
    mkdirSync(join(directory, 'rw/trap'));
    writeFileSync(join(directory, 'rw/trap/f'), 'inside');
    assert.equal(contents(shared, '/trap/f'), 'inside');
    renameSync(join(directory, 'rw/trap'), join(directory, 'rw/was'));
    symlinkSync('../../', join(directory, 'rw/trap'));
    assert.equal(walkPath(shared, AT_FDCWD, '/trap/secret', 0), ENOENT);
  });

  it('keeps what loses its name while it is open', () => {
    const file = open(shared, '/dying', O_RDWR | O_CREAT);
    assert.equal(removeFile(shared, AT_FDCWD, '/dying'), 0);
    assert.equal(file.node.setAttributes({ mode: 0o600, mtime: { sec: 7, nsec: 0 } }), 0);
    file.write(new BufferSource(Buffer.from('abc')));
    assert.equal(file.node.setAttributes({ mode: 0o640 }), 0);
    const attributes = file.node.attributes();
    assert.ok(
      !isErrno(attributes) && (attributes.mode & 0o777) === 0o640 && attributes.nlink === 0,
    );
    file.release();
    const replaced = open(shared, '/replaced', O_RDWR | O_CREAT);
    open(shared, '/new', O_RDWR | O_CREAT).release();
    assert.equal(renamePath(shared, AT_FDCWD, '/new', AT_FDCWD, '/replaced', 0), 0);
    assert.equal(replaced.node.setAttributes({ mode: 0o604 }), 0);
    assert.equal(statSync(join(directory, 'rw/replaced')).mode & 0o777, 0o644);
    replaced.release();
  });

  it('makes files without a name, and gives them one', () => {
    const file = open(shared, '/', O_RDWR | O_TMPFILE);
    file.write(new BufferSource(Buffer.from('unnamed')));
    const root = walkPath(shared, AT_FDCWD, '/', 0);
    assert.ok(!isErrno(root));
    assert.equal(root.node.link('named', file.node), 0);
    file.release();
    assert.equal(readFileSync(join(directory, 'rw/named'), 'latin1'), 'unnamed');
    assert.equal(contents(shared, '/named'), 'unnamed');
  });

  it('changes the mode of any kind of file', () => {
    const made = makeNode(shared, AT_FDCWD, '/fifo', S_IFIFO | 0o644, 0);
    assert.ok(!isErrno(made));
    assert.equal(made.node.setAttributes({ mode: 0o601 }), 0);
    assert.equal(statSync(join(directory, 'rw/fifo')).mode & 0o777, 0o601);
  });

  it('makes device nodes that are none on the host', () => {
    const made = makeNode(shared, AT_FDCWD, '/device', S_IFCHR | 0o640, 0x103);
    assert.ok(!isErrno(made));
    assert.equal(made.node.setAttributes({ mode: 0o604, uid: 3, gid: 4 }), 0);
    assert.equal(renamePath(shared, AT_FDCWD, '/device', AT_FDCWD, '/other/device', 0), 0);
    const path = walkPath(shared, AT_FDCWD, '/other/device', 0);
    assert.ok(!isErrno(path));
    const attributes = path.node.attributes();
    assert.ok(!isErrno(attributes));
    const { mode, rdev, uid } = attributes;
    assert.deepEqual([mode, rdev, uid, path.node.kind], [S_IFCHR | 0o604, 0x103, 3, S_IFCHR]);
    assert.ok(statSync(join(directory, 'rw/other/device')).isFile());
    // What makes it one is not the guest's to write.
    const plain = walkPath(shared, AT_FDCWD, '/named', 0);
    assert.ok(!isErrno(plain));
    assert.equal(plain.node.setXattr('user.runts.node', Buffer.from('8576 259'), 0), EOPNOTSUPP);
    assert.equal(removeFile(shared, AT_FDCWD, '/other/device'), 0);
  });

  it('serves capabilities of files, and no other security attribute', () => {
    const path = walkPath(shared, AT_FDCWD, '/named', 0);
    assert.ok(!isErrno(path));
    const value = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    assert.equal(path.node.setXattr('security.capability', value, 0), 0);
    assert.deepEqual(path.node.getXattr('security.capability'), new Uint8Array(value));
    assert.deepEqual(path.node.listXattr(), ['security.capability']);
    assert.equal(path.node.setXattr('security.evil', value, 0), EOPNOTSUPP);
    assert.equal(path.node.getXattr('security.evil'), ENODATA);
  });

  it('can be frozen for good', () => {
    const other = startGofer(`rw:${join(directory, 'frozen')}`);
    const attached = GoferFileSystem.attach({
      client: other.client,
      attachPoint: 0,
      exclusive: false,
      clock: new FakeClock(),
    });
    assert.ok(!isErrno(attached));
    const caller = new FakeCaller(attached);
    assert.equal(makeDirectory(caller, AT_FDCWD, '/sub', 0o755), 0);
    const { entries } = other.client.walk(attached.root.id(), 'sub');
    attached.freeze();
    assert.equal(makeDirectory(caller, AT_FDCWD, '/sub/more', 0o755), EROFS);
    // The Gofer does not rely on it.
    assert.ok(entries[0] !== undefined);
    const more = { id: entries[0].id, name: 'more', mode: 0o755, uid: 0, gid: 0 };
    assert.equal(other.client.makeDirectory(more), EROFS);
    assert.equal(other.client.remove(attached.root.id(), 'sub', true), EROFS);
    other.stop();
  });

  it('leaves a file alone that has the name of one that is gone', () => {
    for (const use of [
      (node: Node) => node.setAttributes({ mode: 0o666 }),
      (node: Node) => node.setXattr('user.a', Buffer.from('1'), 0),
      (node: Node) => node.getXattr('user.mine'),
      (node: Node) => node.removeXattr('user.mine'),
      (node: Node) => shared.namespace.root.root.node?.link('stolen', node) ?? 0,
    ]) {
      // As an O_PATH descriptor has it: not open.
      open(shared, '/mine', O_RDWR | O_CREAT).release();
      const path = walkPath(shared, AT_FDCWD, '/mine', WALK_FOLLOW);
      assert.ok(!isErrno(path));
      removeFile(shared, AT_FDCWD, '/mine');
      writeFileSync(join(directory, 'rw/mine'), 'secret', { mode: 0o600 });
      assert.equal(use(path.node), ENOENT);
      assert.equal(statSync(join(directory, 'rw/mine')).mode & 0o777, 0o600);
      assert.equal(statSync(join(directory, 'rw/mine')).nlink, 1);
      rmSync(join(directory, 'rw/mine'));
    }
  });

  it('shows what fstat must know of a file that is gone', () => {
    const file = open(shared, '/fleeting', O_RDWR | O_CREAT);
    chmodSync(join(directory, 'rw/fleeting'), 0o640);
    rmSync(join(directory, 'rw/fleeting'));
    file.write(new BufferSource(Buffer.from('12345')));
    for (let looks = 0; looks < 2000; looks += 1) shared.namespace.root.filesystem.dev;
    const attributes = file.node.attributes();
    assert.ok(!isErrno(attributes));
    assert.deepEqual(
      [attributes.nlink, attributes.sizeBytes, attributes.mode & 0o777],
      [0, 5, 0o640],
    );
    file.release();
  });
});

describe('the connection', () => {
  it('ends the sandbox when the Gofer is gone', () => {
    const other = startGofer(directory);
    const fs = GoferFileSystem.attach({
      client: other.client,
      attachPoint: 0,
      exclusive: true,
      clock: new FakeClock(),
    });
    assert.ok(!isErrno(fs));
    other.process.kill('SIGKILL');
    assert.throws(() => fs.client.statfs(fs.root.id()), GoferDied);
    other.stop();
  });
});
