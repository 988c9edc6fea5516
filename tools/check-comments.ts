// SPDX-License-Identifier: Apache-2.0
// Holds comments to docs/comments.md, as far as a program can judge them: no line is longer than
// 110 columns, and no doc comment of the product begins with a word that leaves out subject and
// verb. `--write` reflows what is too long.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { badOpenings } from './comment-openings.ts';
import { longLines, reflow } from './comments.ts';

const root = join(import.meta.dirname, '..');
const writes = process.argv.includes('--write');
const listed = execFileSync('git', ['ls-files', '-z', '*.ts', '*.c', '*.h'], { cwd: root });
const findings: string[] = [];
for (const file of new Set(listed.toString('utf8').split('\0'))) {
  if (file === '') continue;
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const long = longLines(file, text);
  if (writes && long.length > 0) {
    const filled = reflow(file, text);
    if (filled !== text) writeFileSync(path, filled);
  } else {
    for (const line of long) findings.push(`${file}:${line}: a comment line over 110 columns`);
  }
  for (const { line, word } of badOpenings(file, text))
    findings.push(`${file}:${line}: a doc comment that begins with '${word}'`);
}
if (findings.length > 0) {
  console.log(findings.join('\n'));
  console.log(`${findings.length} comments: see docs/comments.md; --write reflows long lines`);
  process.exitCode = 1;
}
