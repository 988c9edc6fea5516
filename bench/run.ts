// SPDX-License-Identifier: Apache-2.0
// npm run bench: native, runsc (where installed) and runts side by side, from one run on one machine.
// `node bench/run.ts micro` runs one group only: micro, programs, files, idle or lifecycle.
import { cpus, release } from 'node:os';
import { engines, isUsable } from './engines.ts';
import { fileBenchmarks } from './files.ts';
import { idleBenchmarks } from './idle.ts';
import { lifecycleBenchmarks } from './lifecycle.ts';
import { microBenchmarks } from './micro.ts';
import { programBenchmarks } from './programs.ts';
import { printTable } from './table.ts';

const groups = process.argv.slice(2);
const wanted = (group: string): boolean => groups.length === 0 || groups.includes(group);

const usable = engines.filter(isUsable);
const names = usable.map(({ name }) => name);
console.log(
  `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, ${new Date().toISOString()}`,
);

if (wanted('micro')) printTable('system calls', 'ns', names, microBenchmarks(usable));
if (wanted('programs')) printTable('programs', 'ms', names, programBenchmarks(usable));
if (wanted('idle')) printTable('an idle sandbox', '', names, await idleBenchmarks(usable));
if (wanted('files')) fileBenchmarks();
if (wanted('lifecycle')) await lifecycleBenchmarks();
