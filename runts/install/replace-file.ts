// SPDX-License-Identifier: Apache-2.0
// Replaces a configuration file at once: whoever reads it finds the old or the new text, never a
// half. Its mode and owner stay, and where it is a symbolic link, the link.
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectories } from '../directories.ts';
import { describe, Failure, isCode } from '../failure.ts';

/** Undefined: there is no such file. */
export function readConfig(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new Failure('RUNTS_E_INSTALL_CONFIG', `${path}: ${describe(error)}`);
  }
}

/** Answers the path of the copy that it made of the old text, if there was one. */
export function replaceFile(path: string, text: string): string | undefined {
  try {
    const target = realPath(path);
    const before = statSync(target, { throwIfNoEntry: false });
    // As packages make it, whatever the caller's umask: others read it too (docker info of an ordinary user).
    const made = makeDirectories(dirname(target), 0o755);
    if (made !== undefined) openDirectories(made, dirname(target));
    const backup = `${target}.before-runts`;
    if (before !== undefined) copyFileSync(target, backup);
    writeBeside(target, text, before);
    return before === undefined ? undefined : backup;
  } catch (error) {
    throw new Failure('RUNTS_E_INSTALL_CONFIG', `${path}: ${describe(error)}`);
  }
}

/** From `first` down to `last`: they are new. */
function openDirectories(first: string, last: string): void {
  for (let path = last; path.length >= first.length; path = dirname(path)) chmodSync(path, 0o755);
}

function writeBeside(target: string, text: string, before: Stats | undefined): void {
  const unfinished = `${target}.${process.pid}.tmp`;
  const fd = openSync(unfinished, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    if (before !== undefined) chownSync(unfinished, before.uid, before.gid);
    chmodSync(unfinished, before === undefined ? 0o644 : before.mode & 0o7777);
    fsyncSync(fd);
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return path;
    throw error;
  }
}
