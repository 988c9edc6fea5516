// SPDX-License-Identifier: Apache-2.0
// Making and removing the directories of a cgroup. Others make and remove siblings at the same time.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, Failure } from '../../failure.ts';
import { isErrnoOf } from './control-files.ts';

/**
 * The directory and those above it, below `mountPoint`. `visit` sees each, from the top, whether
 * new or not; what was new is added to `made` at once.
 */
export function makeDirectories(
  mountPoint: string,
  path: string,
  made: string[],
  visit: (directory: string) => void,
): void {
  // Somebody else's clean-up may take an empty parent away between two steps.
  for (let attempt = 0; ; attempt++) {
    try {
      for (const directory of chain(mountPoint, path)) {
        if (makeDirectory(directory)) made.push(directory);
        visit(directory);
      }
      return;
    } catch (error) {
      if (!isErrnoOf(error, 'ENOENT') || attempt >= 5) throw error;
    }
  }
}

function makeDirectory(directory: string): boolean {
  try {
    mkdirSync(directory, 0o755);
    return true;
  } catch (error) {
    if (isErrnoOf(error, 'EEXIST')) return false;
    throw error;
  }
}

/** '/m', '/m/a/b' → '/m/a', '/m/a/b' */
function chain(mountPoint: string, path: string): string[] {
  const names = relative(mountPoint, path).split('/');
  return names.map((_, index) => join(mountPoint, ...names.slice(0, index + 1)));
}

export function subdirectories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  } catch (error) {
    if (isErrnoOf(error, 'ENOENT', 'ENODEV', 'ENOTDIR', 'EACCES')) return [];
    throw error;
  }
}

/** This cgroup and all below it, children before parents. */
export function treeBottomUp(path: string): string[] {
  return [...subdirectories(path).flatMap(treeBottomUp), path];
}

/**
 * A process that was killed may take a while to leave. Whole directories go: cgroupfs cares for the
 * files.
 */
export async function removeTree(path: string): Promise<void> {
  for (let delayMs = 1; ; delayMs *= 2) {
    const error = tryRemove(path);
    if (error === undefined) return;
    if (!isErrnoOf(error, 'EBUSY') || delayMs > 8192)
      throw new Failure(
        'RUNTS_E_CGROUP_FILE',
        `cannot remove the cgroup ${path}: ${describe(error)}`,
      );
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

function tryRemove(path: string): unknown {
  try {
    for (const directory of treeBottomUp(path)) removeOne(directory);
    return undefined;
  } catch (error) {
    return error;
  }
}

function removeOne(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    // What is not there is refused in other words by a file system that is read-only.
    if (!isErrnoOf(error, 'ENOENT', 'ENODEV') && existsSync(directory)) throw error;
  }
}

/**
 * Removes as much as possible of what was made just now: somebody else may be using a parent
 * already.
 */
export function removeMade(made: readonly string[]): void {
  for (const directory of [...made].reverse()) {
    try {
      rmdirSync(directory);
    } catch {
      // Not ours alone any more.
    }
  }
}

export function mayWrite(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
