// dist/runts, built once for a state of the bundles.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

const root = join(import.meta.dirname, '../..');

export const executable = join(root, 'dist/runts');

const sources = ['build/sentry.body.js', 'native/build/entry'];

function isBuilt(): boolean {
  if (!existsSync(executable)) return false;
  const built = statSync(executable).mtimeMs;
  return sources.every((source) => statSync(join(root, source)).mtimeMs < built);
}

export function buildExecutable(): void {
  if (isBuilt()) return;
  const build = spawnSync(process.execPath, [join(root, 'tools/single-file.ts')], {
    encoding: 'utf8',
  });
  expect(build.stderr).toBe('');
  expect(build.status).toBe(0);
}
