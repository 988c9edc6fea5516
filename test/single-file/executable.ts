// SPDX-License-Identifier: Apache-2.0
// dist/runts, built once for a state of the bundles.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';

const root = join(import.meta.dirname, '../..');

export const executable = join(root, 'dist/runts');

const sources = ['build/sentry.body.js', 'native/build/entry'];

/** Builds it where it is older than its sources. */
const build = `for source; do [ dist/runts -nt "$source" ] || exec "$NODE" tools/single-file.ts; done`;

/** One test file builds it, the others wait. */
export function buildExecutable(): void {
  const command = [join(root, 'build/single-file.lock'), 'sh', '-c', build, 'sh', ...sources];
  const { stderr, status } = spawnSync('flock', command, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE: process.execPath },
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
}
