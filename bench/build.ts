// SPDX-License-Identifier: Apache-2.0
// The benchmarks in C: static, so that all engines run the same machine code.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './engines.ts';

/** Where benchmarks are built and keep their input. */
export const work = join(root, 'build/bench');

/** Builds `bench/NAME.c` and answers the program's path. */
export function buildProgram(name: string, ...flags: readonly string[]): string {
  mkdirSync(work, { recursive: true });
  const program = join(work, name);
  const source = join(root, `bench/${name}.c`);
  execFileSync('gcc', [
    '-O2',
    '-D_GNU_SOURCE',
    '-pthread',
    '-static',
    '-o',
    program,
    source,
    ...flags,
  ]);
  return program;
}
