// SPDX-License-Identifier: Apache-2.0
// The three ways to run a command that the benchmarks compare.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');

export interface Engine {
  readonly name: string;
  /** What stands before the command. */
  readonly prefix: readonly string[];
}

const runts = process.env['RUNTS'] ?? join(root, 'bin/runts');

export const engines: readonly Engine[] = [
  { name: 'native', prefix: [] },
  {
    name: 'runsc',
    prefix: ['runsc', '--platform=ptrace', '--network=none', '--ignore-cgroups', 'do'],
  },
  { name: 'runts', prefix: [runts, 'do', '--'] },
];

export function isUsable(engine: Engine): boolean {
  const [program] = engine.prefix;
  if (program === undefined) return true;
  if (program === 'runsc') return spawnSync('runsc', ['--version']).error === undefined;
  return existsSync(program);
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
