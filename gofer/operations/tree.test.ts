// SPDX-License-Identifier: Apache-2.0
// Listings of many directories, asked of a Gofer by a Sentry that does as it likes.
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EBADF, EINVAL, ELOOP, EOPNOTSUPP, isErrno } from '../../abi/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import { OPENED_MAX } from '../../protocol/gofer/opened.ts';
import { REPLY_BYTES } from '../../protocol/gofer/operations.ts';
import { ASKED, TREE_PLACES_MAX } from '../../protocol/gofer/tree.ts';
import type { ListedTree } from '../../sentry/fs/gofer/client.ts';
import { startGofer, startOwnedGofer, type TestGofer } from '../../test/support/start-gofer.ts';

const bytes = new Uint8Array(8);

let directory = '';
let gofer: TestGofer;
let root = 0;

/** The longest of many replies: the Gofer stops early where time passes (the machine is busy). */
function ask(
  paths: readonly string[],
  limit = 100,
  attributes = false,
  room = REPLY_BYTES,
): ListedTree {
  let longest: ListedTree = { directories: [] };
  for (let round = 0; round < 50; round += 1) {
    const listed = gofer.client.listTree({ id: root, paths, limit, attributes, room });
    if (isErrno(listed)) throw new Error(`${listed}`);
    if (listed.directories.length > longest.directories.length) longest = listed;
  }
  return longest;
}

/** The paths of all directories of a reply. */
function pathsOf({ directories }: ListedTree, asked: readonly string[]): string[] {
  const paths: string[] = [];
  for (const { parent, place, name } of directories)
    paths.push(parent === ASKED ? (asked[place] as string) : `${paths[parent]}/${name}`);
  return paths;
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-tree-'));
  for (const path of ['a/b/c', 'a/d', 'e', 'large', 'outside'])
    mkdirSync(join(directory, path), { recursive: true });
  writeFileSync(join(directory, 'a/b/file'), 'hello');
  symlinkSync('../outside', join(directory, 'a/link'));
  for (let n = 0; n < 1500; n += 1)
    writeFileSync(join(directory, `large/${'n'.repeat(100)}${n}`), '');
  gofer = startGofer(directory);
  const attached = gofer.client.attach(0);
  if (isErrno(attached)) throw new Error(`attach: ${attached}`);
  root = attached.id;
});

afterAll(() => {
  gofer.stop();
  rmSync(directory, { recursive: true });
});

describe('directories listed together', () => {
  it('come in the order of a depth-first walk, and a link is none', () => {
    const asked = ['a', 'e'];
    const paths = pathsOf(ask(asked), asked);
    expect([...paths].sort()).toEqual(['a', 'a/b', 'a/b/c', 'a/d', 'e']);
    expect(paths.indexOf('a/b/c')).toBe(paths.indexOf('a/b') + 1);
    expect(paths.at(-1)).toBe('e');
  });

  it('have names and types, and attributes of subdirectories', () => {
    const { directories } = ask(['a/b'], 1);
    const entries = new Map(directories[0]?.entries.map((entry) => [entry.name, entry]));
    const { ino } = lstatSync(join(directory, 'a/b/file'));
    expect(entries.get('file')).toEqual({
      name: 'file',
      ino,
      kind: S_IFREG,
      attributes: undefined,
    });
    expect(entries.get('c')).toMatchObject({ kind: S_IFDIR, attributes: { nlink: 2 } });
    const [a] = ask(['a'], 1).directories;
    expect(a?.entries.find(({ name }) => name === 'link')?.kind).toBe(S_IFLNK);
  });

  it('have attributes of everything where these are asked for', () => {
    const [b] = ask(['a/b'], 1, true).directories;
    expect(b?.entries.find(({ name }) => name === 'file')?.attributes?.size).toBe(5);
  });

  it('are as many as were asked for', () => {
    expect(ask(['a', 'e'], 2).directories).toHaveLength(2);
    expect(ask(['a', 'e'], 0).directories).toHaveLength(0);
  });

  it('come whole or not at all', () => {
    const asked = ['e', 'large', 'a'];
    expect(pathsOf(ask(asked), asked)).toEqual(['e']);
    expect(ask(['a/b'], 1, true, 64).directories).toHaveLength(0);
  });

  it('are left out where there is no such directory', () => {
    const asked = ['nothing', 'a/link', 'a/b/file', 'e'];
    expect(pathsOf(ask(asked), asked)).toEqual(['e']);
  });

  it('are refused where the request is none, or each would have to be judged', () => {
    const many = new Array<string>(TREE_PLACES_MAX + 1).fill('e');
    const request = { paths: ['e'], limit: 1, attributes: false, room: REPLY_BYTES };
    expect(gofer.client.listTree({ ...request, id: root, paths: many })).toBe(EINVAL);
    expect(gofer.client.listTree({ ...request, id: 4711 })).toBe(EBADF);
    expect(gofer.client.listTree({ ...request, id: root, paths: ['..'] })).toBe(EINVAL);
    const ranges = { uids: [[0, 1000, 10]], gids: [[0, 1000, 10]] } as const;
    const owned = startOwnedGofer({ container: ranges }, directory);
    const attached = owned.client.attach(0);
    if (isErrno(attached)) throw new Error(`attach: ${attached}`);
    expect(owned.client.listTree({ ...request, id: attached.id })).toBe(EOPNOTSUPP);
    owned.stop();
  });
});

describe('files opened together', () => {
  it('are those that are regular files, for reading', () => {
    const opened = gofer.client.openMany(root, 'a/b', ['no', 'c', 'file']);
    if (isErrno(opened)) throw new Error(`${opened}`);
    const { ino } = lstatSync(join(directory, 'a/b/file'));
    expect(opened.opened).toEqual([{ index: 2, ino }]);
    expect(opened.fds).toHaveLength(1);
    for (const fd of opened.fds) {
      expect(native.pread(fd, bytes, 0, 8, 0)).toBe(5);
      expect(native.pwrite(fd, bytes, 0, 1, 0)).toBe(EBADF);
      native.close(fd);
    }
  });

  it('are none behind a link, nor links themselves', () => {
    expect(gofer.client.openMany(root, 'a/link', ['x'])).toBe(ELOOP);
    expect(gofer.client.openMany(root, '..', ['x'])).toBe(EINVAL);
    const opened = gofer.client.openMany(root, 'a', ['link', 'b']);
    expect(opened).toMatchObject({ opened: [], fds: [] });
  });

  it('are no more than a message carries', () => {
    const names = Array.from({ length: OPENED_MAX + 9 }, (_, n) => `${'n'.repeat(100)}${n}`);
    const opened = gofer.client.openMany(root, 'large', names);
    if (isErrno(opened)) throw new Error(`${opened}`);
    expect(opened.fds).toHaveLength(OPENED_MAX);
    for (const fd of opened.fds) native.close(fd);
  });

  it('are refused where each would have to be judged', () => {
    const ranges = { uids: [[0, 1000, 10]], gids: [[0, 1000, 10]] } as const;
    const owned = startOwnedGofer({ container: ranges }, directory);
    const attached = owned.client.attach(0);
    if (isErrno(attached)) throw new Error(`attach: ${attached}`);
    expect(owned.client.openMany(attached.id, '', ['file'])).toBe(EOPNOTSUPP);
    owned.stop();
  });
});
