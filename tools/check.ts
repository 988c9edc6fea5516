// npm run check: everything that judges the tree without running a guest. Runs every step even after
// one failed, so that one run tells all.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types', 'tsc', '--noEmit'],
  ['format and lint', 'biome', 'check', '--error-on-warnings', '.'],
  ['layers', 'node', 'tools/check-layers.ts'],
  ['dead code', 'knip'],
  ['blocking calls', 'node', 'tools/check-blocking.ts'],
  ['owners', 'node', 'tools/check-owners.ts'],
  ['results and constants', 'node', 'tools/check-results.ts'],
  ['syscall table', 'node', 'tools/check-table.ts'],
  ['comments', 'node', 'tools/check-comments.ts'],
  ['compatibility page', 'node', 'tools/gen-compatibility.ts', '--check'],
  ['errors page', 'node', 'tools/gen-errors.ts', '--check'],
  ['C format', 'node', 'tools/format-c.ts'],
];

const only = process.argv.slice(2);
const failed: string[] = [];
for (const [name, command, ...args] of steps) {
  if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
  const startedMs = Date.now();
  const run = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` },
    maxBuffer: 1 << 26,
  });
  const ok = run.status === 0;
  if (!ok) {
    failed.push(name);
    console.log(`${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`);
  }
  console.log(
    `${ok ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`,
  );
}
if (failed.length > 0) {
  console.log(`check: failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
