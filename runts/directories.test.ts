// SPDX-License-Identifier: Apache-2.0
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeDirectories, removeFile, removeTree } from './directories.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'runts-directories-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('makes a directory with those above it', () => {
  expect(makeDirectories(join(directory, 'a/b/c'), 0o711)).toBe(join(directory, 'a'));
  expect(makeDirectories(join(directory, 'a/b/c'), 0o711)).toBe(undefined);
  expect(statSync(join(directory, 'a/b')).mode & 0o777).toBe(0o711);
  expect(readdirSync(join(directory, 'a/b'))).toEqual(['c']);
});

it('says what is wrong above', () => {
  writeFileSync(join(directory, 'a'), '');
  expect(() => makeDirectories(join(directory, 'a/b/c'), 0o711)).toThrow(/ENOTDIR/);
  expect(() => makeDirectories('/proc/nosuch/b', 0o711)).toThrow(/ENOENT/);
});

it('removes what there is, and does not follow links', () => {
  const kept = join(directory, 'kept');
  mkdirSync(kept);
  writeFileSync(join(kept, 'file'), '');
  mkdirSync(join(directory, 'a/b'), { recursive: true });
  writeFileSync(join(directory, 'a/b/file'), '');
  symlinkSync(kept, join(directory, 'a/link'));
  symlinkSync(kept, join(directory, 'link'));
  for (const name of ['a', 'link', 'nosuch']) removeTree(join(directory, name));
  removeFile(join(directory, 'nosuch'));
  expect(readdirSync(directory)).toEqual(['kept']);
  expect(existsSync(join(kept, 'file'))).toBe(true);
});

it('says why it does not', () => {
  expect(() => removeTree('/proc/self/status')).toThrow(/EPERM/);
});
