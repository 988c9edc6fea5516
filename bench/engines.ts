// SPDX-License-Identifier: Apache-2.0
// The ways to run a command that the benchmarks compare.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');

/** Tiny counts, one round: shows that each benchmark runs, and measures nothing (BENCH_SHORT=1). */
export const isShort = process.env['BENCH_SHORT'] === '1';

/** How often each engine has its turn. */
export const rounds = Number(process.env['BENCH_ROUNDS'] ?? (isShort ? 1 : 3));

export interface Engine {
  readonly name: string;
  /** What stands before the command. */
  readonly prefix: readonly string[];
}

/** The peer: the runsc that is installed with platform systrap beside the machine's own, else that one. */
export const runsc = existsSync('/usr/local/bin/runsc-systrap')
  ? '/usr/local/bin/runsc-systrap'
  : 'runsc';

const runscFlags: readonly string[] = ['--platform=systrap', '--network=none', '--ignore-cgroups'];

const runts = process.env['RUNTS'] ?? join(root, 'bin/runts');

const all: readonly Engine[] = [
  { name: 'native', prefix: [] },
  { name: 'runsc', prefix: [runsc, ...runscFlags, 'do'] },
  { name: 'runts', prefix: [runts, 'do', '--'] },
  { name: 'runts-1cpu', prefix: ['taskset', '-c', '1', runts, 'do', '--'] },
];

/** Another runts to compare with, from one and the same run. */
const before = process.env['BENCH_BEFORE'];

/** Those of BENCH_ENGINES (names with commas between), else all; `runts-1cpu` also asks for BENCH_ONE=1. */
export const engines: readonly Engine[] = [
  ...all,
  ...(before === undefined ? [] : [{ name: 'before', prefix: [before, 'do', '--'] }]),
].filter(({ name }) => {
  const wanted = process.env['BENCH_ENGINES']?.split(',');
  if (wanted !== undefined) return wanted.includes(name);
  return name !== 'runts-1cpu' || process.env['BENCH_ONE'] === '1';
});

export function isUsable(engine: Engine): boolean {
  const [program] = engine.prefix;
  if (program === undefined) return true;
  if (program === runsc) return hasRunsc();
  return program === 'taskset' || existsSync(program);
}

export function hasRunsc(): boolean {
  return spawnSync(runsc, ['--version']).error === undefined;
}

/** Standard output of a command under an engine; throws where it fails or takes too long. */
export function capture(engine: Engine, command: readonly string[], seconds = 120): string {
  const [program = '', ...args] = [...engine.prefix, ...command];
  const run = spawnSync(program, args, {
    cwd: '/',
    encoding: 'utf8',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  });
  if (run.status !== 0) {
    throw new Error(`exit ${run.status ?? run.signal}: ${run.stderr?.slice(-300) ?? ''}`);
  }
  return run.stdout;
}
