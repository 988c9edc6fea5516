// SPDX-License-Identifier: Apache-2.0
// npm run fuzz: random calls beside a heartbeat (random-calls.c) for an hour, or for FUZZ_SECONDS,
// with the seed FUZZ_SEED or one of its own, which it prints. Exit status 0: nothing hung, and no
// turn of the Sentry was too long.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { root, runInSandbox } from '../support/run.ts';
import { longTurns, withTurns } from '../support/turns.ts';

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 3600);
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1e6);
const binary = join(root, 'build/hostile/random-calls-for-long');
const source = join(import.meta.dirname, 'random-calls.c');
const flags = ['-O1', '-D_GNU_SOURCE', '-pthread', '-static', '-w'];
execFileSync('mkdir', ['-p', join(root, 'build/hostile')]);
execFileSync('gcc', [...flags, '-o', binary, source], { stdio: 'inherit' });
console.log(`seed ${seed}, ${seconds} s; the same again: FUZZ_SEED=${seed} npm run fuzz`);
const { result, turns } = await withTurns((meter, env) =>
  runInSandbox([binary], { seconds: seconds + 120, cwd: '/tmp', env }, [
    ...['--pids', '400', '--memory', '1g', '--timeout', `${seconds + 60}s`],
    ...meter,
    ...['--env', `FUZZ_SEED=${seed}`, '--env', `FUZZ_SECONDS=${seconds}`],
  ]),
);
console.log(result.stdout, result.stderr);
const long = longTurns(turns);
for (const { name, longestMs } of turns.slice(0, 5)) console.log(`${name}: ${longestMs} ms`);
console.log(`exit status ${result.code}${result.timedOut ? ', killed by its time limit' : ''}`);
if (turns.length === 0) console.log('the Sentry left no account of its turns');
process.exitCode = result.code === 0 && turns.length > 0 && long.length === 0 ? 0 : 1;
