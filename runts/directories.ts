// SPDX-License-Identifier: Apache-2.0
// Directories made and removed step by step: Node's own `recursive` says ENOENT, or "Unknown error"
// without a code, where the file system is read-only, and does not end where a file system makes no
// directories (proc).
import { mkdirSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isCode } from './failure.ts';

/** With its parents; those that are there stay as they are. Answers the first one that was made. */
export function makeDirectories(path: string, mode: number): string | undefined {
  try {
    return makeOne(path, mode);
  } catch (error) {
    if (!isCode(error, 'ENOENT') || dirname(path) === path) throw error;
    const first = makeDirectories(dirname(path), mode);
    const last = makeOne(path, mode);
    return first ?? last;
  }
}

function makeOne(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    return undefined;
  }
}

/** If it is there. */
export function removeFile(path: string): void {
  unlessGone(() => unlinkSync(path));
}

/** A file, or a directory with all that is in it; links are not followed. */
export function removeTree(path: string): void {
  unlessGone(() => {
    try {
      unlinkSync(path);
    } catch (error) {
      if (!isCode(error, 'EISDIR')) throw error;
      for (const name of readdirSync(path)) removeTree(join(path, name));
      rmdirSync(path);
    }
  });
}

function unlessGone(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
}
