// SPDX-License-Identifier: Apache-2.0
// Writes docs/compatibility.md from the syscall table; with --check, fails where the file differs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName } from '../abi/errno.ts';
import type { Row } from '../sentry/syscalls/entry.ts';
import { table } from '../sentry/syscalls/table-x86-64.ts';

const target = join(import.meta.dirname, '../docs/compatibility.md');

function support(row: Row): string {
  if (row.mode === 'absent') return `no (${errnoName(row.errno)})`;
  return row.partial === undefined ? 'yes' : 'partial';
}

function render(rows: readonly Row[]): string {
  const count = (word: string): number =>
    rows.filter((row) => support(row).startsWith(word)).length;
  return [
    '# System calls',
    '',
    'Generated from the syscall table by `npm run compat`: do not edit.',
    '',
    `${rows.length} calls of Linux x86-64: ${count('yes')} supported, ${count('partial')} in part, ` +
      `${count('no')} answered with the error Linux gives where they are not built in.`,
    '',
    '| number | name | supported | note |',
    '| ---: | --- | --- | --- |',
    ...rows.map(
      (row) => `| ${row.number} | ${row.name} | ${support(row)} | ${row.partial ?? ''} |`,
    ),
    '',
  ].join('\n');
}

const text = render(table.filter((row) => row !== undefined));
if (process.argv.includes('--check')) {
  const have = existsSync(target) ? readFileSync(target, 'utf8') : '';
  if (have !== text) {
    console.log('docs/compatibility.md differs from the syscall table: run npm run compat');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
