// SPDX-License-Identifier: Apache-2.0
// Compares names and numbers of the syscall table with the host's asm/unistd_64.h: every number that
// the header has must have a row of that name. Rows above the header's last number (it may be older
// than we are) are only counted.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { table } from '../sentry/syscalls/table-x86-64.ts';

const headers = [
  '/usr/include/x86_64-linux-gnu/asm/unistd_64.h',
  '/usr/include/asm/unistd_64.h',
  '/usr/include/asm-x86/unistd_64.h',
];

const header = headers.find((path) => existsSync(path));
if (header === undefined) {
  console.log('no asm/unistd_64.h: install linux-libc-dev');
  process.exit(1);
}

const official = new Map<number, string>();
for (const [, name, number] of readFileSync(header, 'utf8').matchAll(
  /^#define __NR_(\w+)\s+(\d+)/gm,
)) {
  official.set(Number(number), name as string);
}

const problems: string[] = [];
let rows = 0;
let newer = 0;
const lastOfficial = Math.max(...official.keys());
table.forEach((row, index) => {
  if (row === undefined) return;
  rows++;
  if (row.number !== index) problems.push(`row ${row.name} (${row.number}) stands at ${index}`);
  if (row.args.length > 6) problems.push(`${row.name} has ${row.args.length} arguments`);
  if (row.number > lastOfficial) newer++;
  else if (official.get(row.number) !== row.name) {
    problems.push(`${row.number} is ${official.get(row.number) ?? 'free'}, not ${row.name}`);
  }
});
for (const [number, name] of official) {
  if (table[number] === undefined) problems.push(`${number} ${name} has no row`);
}

/** Every guest program, without its comments. */
function guestPrograms(): string {
  const folder = join(import.meta.dirname, '../test/guest');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.c'))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n')
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

const programs = guestPrograms();
for (const row of table) {
  if (row === undefined || row.mode === 'absent') continue;
  if (!new RegExp(`\\b(SYS_|__NR_)?${row.name}\\b`).test(programs)) {
    problems.push(`${row.number} ${row.name}: no program in test/guest names it`);
  }
}

for (const problem of problems) console.log(problem);
console.log(
  `${rows} rows, ${official.size} in ${header}, ${newer} newer, ${problems.length} problems`,
);
if (rows === 0 || official.size === 0 || problems.length > 0) process.exit(1);
