// SPDX-License-Identifier: Apache-2.0
// A tree that nobody changes: what a walk over it costs in requests, and that what is known of it is
// what is there, whatever was listed how and forgotten when.
import { strict as assert } from 'node:assert';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ENOENT, isErrno } from '../../../abi/errno.ts';
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from '../../../abi/fcntl.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import type { OwnersConfig } from '../../../protocol/attach-config.ts';
import { FakeCaller, FakeClock } from '../../../test/support/fake-caller.ts';
import { startGofer, startOwnedGofer, type TestGofer } from '../../../test/support/start-gofer.ts';
import { BufferSink } from '../../vfs/io.ts';
import { openNow } from '../../vfs/open.ts';
import { walkPath } from '../../vfs/path-walk.ts';
import { GoferDirectory } from './directory.ts';
import { GoferFileSystem } from './filesystem.ts';

/** Directories of the tree, and files in each. */
const WIDTH = 12;
const FILES = 5;
/** Files of one large directory, whose names fit into a reply and whose attributes do not. */
const MANY = 1500;

let directory = '';
const gofers: TestGofer[] = [];

const IDLE_DESCRIPTORS = 200;

interface Tree {
  readonly gofer: TestGofer;
  readonly filesystem: GoferFileSystem;
  readonly caller: FakeCaller;
}

function attach(owners?: OwnersConfig): Tree {
  const gofer = owners === undefined ? startGofer(directory) : startOwnedGofer(owners, directory);
  gofers.push(gofer);
  const clock = new FakeClock();
  const filesystem = GoferFileSystem.attach({
    client: gofer.client,
    attachPoint: 0,
    exclusive: true,
    idleDescriptors: IDLE_DESCRIPTORS,
    clock,
  });
  assert.ok(!isErrno(filesystem));
  return { gofer, filesystem, caller: new FakeCaller(filesystem) };
}

interface Found {
  readonly name: string;
  readonly kind: number;
}

function list({ caller }: Tree, path: string): Found[] {
  const file = openNow(caller, AT_FDCWD, path, {
    flags: O_RDONLY | O_DIRECTORY,
    mode: 0,
    resolve: 0,
  });
  assert.ok(!isErrno(file), path);
  file.acquire();
  const found: Found[] = [];
  file.readDirectory((name, _ino, kind) => found.push({ name, kind }) > 0, caller);
  file.release();
  return found.filter(({ name }) => name !== '.' && name !== '..');
}

/** Size of a file as stat(2) would tell, or the errno. */
function sizeOf({ caller }: Tree, path: string): number {
  const place = walkPath(caller, AT_FDCWD, path, 0);
  if (isErrno(place)) return place;
  const attributes = place.node.attributes();
  return isErrno(attributes) ? attributes : attributes.sizeBytes;
}

/** All paths below, by a depth-first walk; each file is looked at where `looks`. */
function walk(tree: Tree, path: string, looks: boolean, each: (path: string) => void = () => {}) {
  const paths: string[] = [];
  for (const { name, kind } of list(tree, path)) {
    const child = path === '/' ? `/${name}` : `${path}/${name}`;
    paths.push(child);
    each(child);
    if (kind === S_IFDIR) paths.push(...walk(tree, child, looks, each));
    else if (looks)
      assert.equal(sizeOf(tree, child), lstatSync(join(directory, child)).size, child);
  }
  return paths;
}

function hostPaths(): string[] {
  return readdirSync(directory, { recursive: true })
    .map((path) => `/${String(path)}`)
    .sort();
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-exclusive-'));
  chmodSync(directory, 0o755);
  for (let a = 0; a < WIDTH; a += 1)
    for (let b = 0; b < WIDTH; b += 1) {
      const path = join(directory, `a${a}/b${b}/c`);
      mkdirSync(path, { recursive: true });
      for (let file = 0; file < FILES; file += 1)
        writeFileSync(join(path, `file${file}`), 'x'.repeat(a + b + file));
    }
  symlinkSync('a1/b2/c/file3', join(directory, 'link'));
  mkdirSync(join(directory, 'many'));
  for (let n = 0; n < MANY; n += 1)
    writeFileSync(join(directory, `many/entry-with-a-rather-long-name-to-fill-replies-${n}`), 'y');
});

afterAll(() => {
  for (const gofer of gofers) gofer.stop();
  rmSync(directory, { recursive: true });
});

describe('a walk over a tree that nobody changes', () => {
  it('finds all of it with a request for many directories', () => {
    const tree = attach();
    const before = tree.gofer.client.requests;
    assert.deepEqual(walk(tree, '/', false).sort(), hostPaths());
    const { requests } = tree.gofer.client;
    assert.ok(requests - before < 150, `${requests - before} requests`);
    // And again with none, as all of it is kept.
    assert.deepEqual(walk(tree, '/', false).sort(), hostPaths());
    assert.equal(tree.gofer.client.requests, requests);
  });

  it('that looks at files gets their attributes with the listings', () => {
    const tree = attach();
    const before = tree.gofer.client.requests;
    assert.deepEqual(walk(tree, '/', true).sort(), hostPaths());
    const { requests } = tree.gofer.client;
    assert.ok(requests - before < 150, `${requests - before} requests`);
  });

  it('finds all of it where listings are forgotten meanwhile', () => {
    const tree = attach();
    let count = 0;
    const paths = walk(tree, '/', true, (path) => {
      count += 1;
      const place = walkPath(tree.caller, AT_FDCWD, path, 0);
      assert.ok(!isErrno(place), path);
      const { node, dentry } = place;
      if (count % 3 === 0 && node instanceof GoferDirectory) node.dropListing();
      const parent = dentry.parent?.node;
      if (count % 7 === 0 && parent instanceof GoferDirectory) parent.dropListing();
    });
    assert.deepEqual(paths.sort(), hostPaths());
  });

  it('finds all of it where the Gofer lists one directory a request', () => {
    // Everything belongs to somebody else: names and attributes of what all may read.
    const ranges = { uids: [[0, 100_000, 10]], gids: [[0, 100_000, 10]] } as const;
    const tree = attach({ container: ranges });
    assert.deepEqual(walk(tree, '/', true).sort(), hostPaths());
  });
});

describe('a directory whose names alone were listed', () => {
  it('tells the attributes of each file, and which names are not there', () => {
    const tree = attach();
    walk(tree, '/', false);
    for (let file = 0; file < FILES; file += 1)
      assert.equal(sizeOf(tree, `/a7/b3/c/file${file}`), 10 + file);
    assert.equal(sizeOf(tree, '/a7/b3/c/file9'), ENOENT);
    assert.equal(sizeOf(tree, '/link'), 'a1/b2/c/file3'.length);
  });

  it('asks for all at once where many are wanted', () => {
    const tree = attach();
    walk(tree, '/a1', false);
    const before = tree.gofer.client.requests;
    for (let n = 0; n < MANY; n += 1)
      assert.equal(sizeOf(tree, `/many/entry-with-a-rather-long-name-to-fill-replies-${n}`), 1);
    assert.ok(tree.gofer.client.requests - before < 60);
  });
});

describe('a directory that was not listed', () => {
  it('answers for names that are not there without a request after some', () => {
    const tree = attach();
    for (let n = 0; n < 5; n += 1) assert.equal(sizeOf(tree, `/a2/b2/c/no${n}`), ENOENT);
    const before = tree.gofer.client.requests;
    for (let n = 5; n < 50; n += 1) assert.equal(sizeOf(tree, `/a2/b2/c/no${n}`), ENOENT);
    assert.equal(tree.gofer.client.requests, before);
    assert.equal(sizeOf(tree, '/a2/b2/c/file4'), 8);
  });
});

describe('files of a directory that was listed', () => {
  const contents = (tree: Tree, path: string): string => {
    const file = openNow(tree.caller, AT_FDCWD, path, { flags: O_RDONLY, mode: 0, resolve: 0 });
    assert.ok(!isErrno(file), path);
    file.acquire();
    const buffer = Buffer.alloc(100);
    const count = file.read(new BufferSink(buffer));
    file.release();
    return buffer.toString('latin1', 0, count);
  };
  const descriptors = () => readdirSync('/proc/self/fd').length;

  it('are opened many at a time where they are read one after the other', () => {
    const tree = attach();
    const names = list(tree, '/many').map(({ name }) => `/many/${name}`);
    const held = descriptors();
    const before = tree.gofer.client.requests;
    for (const name of names) assert.equal(contents(tree, name), 'y');
    assert.ok(tree.gofer.client.requests - before < names.length / 8);
    // The idle ones that are kept, and those that nobody asked for yet.
    assert.ok(descriptors() - held <= IDLE_DESCRIPTORS + 64);
    tree.filesystem.close();
    assert.ok(descriptors() - held <= 0);
  });

  it('are opened again without a request while their descriptors are kept', () => {
    const tree = attach();
    const names = list(tree, '/many').slice(0, IDLE_DESCRIPTORS);
    for (const { name } of names) contents(tree, `/many/${name}`);
    const before = tree.gofer.client.requests;
    for (const { name } of names) assert.equal(contents(tree, `/many/${name}`), 'y');
    assert.equal(tree.gofer.client.requests, before);
    assert.ok(tree.filesystem.closeIdle() >= IDLE_DESCRIPTORS);
    assert.equal(contents(tree, `/many/${names[0]?.name}`), 'y');
    tree.filesystem.close();
  });

  it('are opened one by one where most are not read', () => {
    const tree = attach();
    const names = list(tree, '/many').map(({ name }) => `/many/${name}`);
    const held = descriptors();
    for (let at = 0; at < names.length; at += 50)
      assert.equal(contents(tree, names[at] as string), 'y');
    assert.ok(descriptors() - held < (2 * names.length) / 50);
    tree.filesystem.close();
  });

  it('have the bytes of their own name, in any order', () => {
    const tree = attach();
    list(tree, '/a9/b8/c');
    for (const file of [3, 0, 4, 1, 2, 3])
      assert.equal(contents(tree, `/a9/b8/c/file${file}`), 'x'.repeat(17 + file));
  });
});
