// SPDX-License-Identifier: Apache-2.0
// npm run check: everything that judges the tree without running a guest. Runs every step even after
// one failed, so that one run tells all.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types', 'node', 'tools/check-types.ts'],
  ['format and lint', 'biome', 'check', '--error-on-warnings', '.'],
  ['layers', 'node', 'tools/check-layers.ts'],
  ['dead code', 'knip'],
  ['tree', 'node', 'tools/check-tree.ts'],
  ['owners', 'node', 'tools/check-owners.ts'],
  ['licence lines', 'node', 'tools/check-spdx.ts'],
  ['syscall table', 'node', 'tools/check-table.ts'],
  ['comments', 'node', 'tools/check-comments.ts'],
  ['compatibility page', 'node', 'tools/gen-compatibility.ts', '--check'],
  ['errors page', 'node', 'tools/gen-errors.ts', '--check'],
  ['socket options page', 'node', 'tools/gen-socket-options.ts', '--check'],
  ['C format', 'node', 'tools/format-c.ts'],
];

type Step = (typeof steps)[number];

const only = process.argv.slice(2);
const waiting = steps.filter(
  ([name]) => only.length === 0 || only.some((word) => name.includes(word)),
);
const failed: string[] = [];

function runStep([name, command, ...args]: Step): Promise<void> {
  const startedMs = Date.now();
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    const end = (isOk: boolean): void => {
      if (!isOk) {
        failed.push(name);
        console.log(output);
      }
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      console.log(`${isOk ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
      resolve();
    };
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

/** Takes one step after the other, the longest of which stands first, until none is left. */
async function worker(): Promise<void> {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await runStep(step);
}

await Promise.all([worker(), worker()]);
if (failed.length > 0) {
  console.log(`check: failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
