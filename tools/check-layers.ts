// SPDX-License-Identifier: Apache-2.0
// Runs dependency-cruiser over the tree. It reports success when it could read no module at all (as it
// does with a TypeScript it does not know), so the number of modules is checked too.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
  readonly cycle?: readonly { readonly name: string }[];
}

const root = join(import.meta.dirname, '..');
const folders = [
  'abi',
  'protocol',
  'sentry',
  'gofer',
  'native',
  'platform-ptrace',
  'platform-kvm',
  'runts',
];

const run = spawnSync(
  join(root, 'node_modules/.bin/depcruise'),
  [
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
    ...folders.filter((folder) => existsSync(join(root, folder))),
  ],
  { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
);
if (run.stdout === '') {
  console.error(run.stderr);
  process.exit(1);
}
const { summary } = JSON.parse(run.stdout) as {
  summary: { totalCruised: number; violations: readonly Violation[] };
};
for (const { rule, from, to, cycle } of summary.violations) {
  const way = cycle === undefined ? to : cycle.map((step) => step.name).join(' -> ');
  console.log(`${rule.name}: ${from} -> ${way}`);
}
console.log(`${summary.totalCruised} modules, ${summary.violations.length} violations`);
if (summary.totalCruised === 0 || summary.violations.length > 0) process.exit(1);
