// SPDX-License-Identifier: Apache-2.0
// Each source file says its licence in its first line. With --write the line is put where it is missing.
import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lacksLicence, withLicence } from './spdx.ts';

const root = join(import.meta.dirname, '..');
const isWriting = process.argv.includes('--write');

const tracked = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
if (tracked.status !== 0) {
  console.log(`git ls-files: ${tracked.error?.message ?? tracked.stderr}`);
  process.exit(1);
}
let missing = 0;
for (const path of tracked.stdout.split('\0').filter((name) => name !== '')) {
  const file = join(root, path);
  // Removed and not yet committed; links belong to their targets.
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() !== true) continue;
  const text = readFileSync(file, 'utf8');
  if (!lacksLicence(path, text)) continue;
  missing += 1;
  if (isWriting) writeFileSync(file, withLicence(path, text));
  else console.log(`${path}: no SPDX-License-Identifier in its first line`);
}
console.log(
  `${missing} files ${isWriting ? 'changed' : 'without the line (--write puts it there)'}`,
);
if (missing > 0 && !isWriting) process.exitCode = 1;
