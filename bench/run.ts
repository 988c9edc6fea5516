// SPDX-License-Identifier: Apache-2.0
// npm run bench: native, runsc (where installed) and runts side by side, from one run on one machine.
// `node bench/run.ts micro` runs one group only (README.md lists them), `micro=getpid,stat` some of it.
import { cpus, release } from 'node:os';
import { engines, isUsable } from './engines.ts';
import { fileBenchmarks } from './files.ts';
import { idleBenchmarks } from './idle.ts';
import { lifecycleBenchmarks } from './lifecycle.ts';
import { manyBenchmarks } from './many.ts';
import { microBenchmarks } from './micro.ts';
import { programBenchmarks } from './programs.ts';
import { printSamples } from './samples.ts';
import { serverBenchmarks } from './servers.ts';
import { printTable } from './table.ts';
import { unixBenchmarks } from './unix.ts';

const groups = new Map(
  process.argv.slice(2).map((word) => {
    const [group = '', names] = word.split('=');
    return [group, names?.split(',') ?? []];
  }),
);
const wanted = (group: string): boolean => groups.size === 0 || groups.has(group);
const some = (group: string): readonly string[] => groups.get(group) ?? [];

const usable = engines.filter(isUsable);
const names = usable.map(({ name }) => name);
console.log(
  `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}, ${new Date().toISOString()}`,
);

if (wanted('micro'))
  printSamples('system calls', 'ns', names, microBenchmarks(usable, some('micro')));
if (wanted('unix'))
  printSamples("UnixBench's kinds", 'us', names, unixBenchmarks(usable, some('unix')));
if (wanted('programs'))
  printSamples('programs', 'ms', names, programBenchmarks(usable, some('programs')));
if (wanted('servers'))
  printSamples('servers', 'us', names, serverBenchmarks(usable, some('servers')));
if (wanted('many')) printSamples('many at once', 'us', names, await manyBenchmarks(usable));
if (wanted('idle')) printTable('an idle sandbox', '', names, await idleBenchmarks(usable));
if (wanted('files')) fileBenchmarks();
if (wanted('lifecycle')) await lifecycleBenchmarks(some('lifecycle'));
