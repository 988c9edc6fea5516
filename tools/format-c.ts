// SPDX-License-Identifier: Apache-2.0
// clang-format over our C: checks, or rewrites with --write. Skips, and says so, where clang-format is
// not installed (CI installs it).
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
// native/build/ holds what the build generates.
const files = globSync('{native,platform-kvm,test,bench}/**/*.{c,h,cc}', {
  cwd: root,
  exclude: (path) => path === 'native/build',
});
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];

if (spawnSync('clang-format', ['--version']).error !== undefined) {
  console.log('clang-format is not installed: C format not checked');
} else if (files.length > 0) {
  const run = spawnSync('clang-format', [...mode, '--style=file', ...files], {
    cwd: root,
    stdio: 'inherit',
  });
  process.exit(run.status ?? 1);
}
