// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { nodeFlags } from '../runts/node-flags.ts';

/** Prints what V8 says of one function while it becomes hot: bits that differ between its compilers. */
const program = `
const { useBaselineCompiler } = await import(process.argv[1]);
if (process.argv[2] === 'all') console.log(useBaselineCompiler());
function sum(values) { let all = 0; for (const value of values) all += value; return all; }
const values = Array.from({ length: 100 }, (_, index) => index);
const seen = new Set();
for (let round = 0; round < 20_000; round++) { sum(values); seen.add(%GetOptimizationStatus(sum)); }
console.log([...seen].sort().join(' '));`;

function statuses(flags: readonly string[], ...args: readonly string[]): string[] {
  const module = new URL('./baseline-compiler.ts', import.meta.url).href;
  const node = ['--allow-natives-syntax', '--input-type=module', '-e', program, module, ...args];
  return execFileSync(process.execPath, [...flags, ...node], { encoding: 'utf8' }).split('\n');
}

it('the compiler that a start goes without is there once it is asked for', () => {
  const words = (line: string | undefined): Set<string> => new Set(line?.split(' '));
  // As without the flag, one thread compiling.
  const usual = words(statuses(['--single-threaded'])[0]);
  const started = words(statuses(nodeFlags)[0]);
  const [result, said] = statuses(nodeFlags, 'all');
  const missing = usual.difference(started);
  expect(missing.size).toBeGreaterThan(0);
  expect(result).toBe('0');
  expect([...missing.difference(words(said))]).toEqual([]);
});
