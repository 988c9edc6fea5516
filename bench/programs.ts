// SPDX-License-Identifier: Apache-2.0
// Whole programs, milliseconds. All but the cold start are timed inside the sandbox, so that the start
// of the engine does not count.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, type Engine, root } from './engines.ts';
import type { Figures } from './table.ts';

const work = join(root, 'build/bench');

interface ProgramBenchmark {
  readonly name: string;
  /** Run by bash before the clock starts. */
  readonly setup?: string;
  readonly script: string;
  readonly rounds: number;
}

const benchmarks: readonly ProgramBenchmark[] = [
  { name: 'find /usr -xdev', script: 'find /usr -xdev', rounds: 2 },
  { name: 'git status (2000 files)', script: `git -C ${work}/repo status`, rounds: 3 },
  {
    name: 'make -j2 (40 C files)',
    setup: `rm -rf /tmp/bench-make; cp -r ${work}/make /tmp/bench-make`,
    script: 'make -C /tmp/bench-make -s -j2',
    rounds: 1,
  },
  { name: 'python3 start-up', script: '/usr/bin/python3 -c pass', rounds: 5 },
  { name: '100 forks of /bin/true', script: 'for i in {1..100}; do /bin/true; done', rounds: 2 },
];

function prepareRepository(): void {
  const repo = join(work, 'repo');
  if (existsSync(join(repo, '.git/index'))) return;
  mkdirSync(repo, { recursive: true });
  for (let index = 0; index < 2000; index++) {
    const dir = join(repo, `d${index % 40}`);
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, `f${index}`), `file ${index}\n`.repeat(20));
  }
  const git = (...args: string[]): void => {
    execFileSync('git', ['-C', repo, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args]);
  };
  git('init', '-q');
  git('add', '.');
  git('commit', '-q', '-m', 'all');
}

function prepareMake(): void {
  const dir = join(work, 'make');
  mkdirSync(dir, { recursive: true });
  for (let index = 0; index < 40; index++) {
    writeFileSync(
      join(dir, `f${index}.c`),
      `#include <stdio.h>\n#include <stdlib.h>\nint f${index}(int x) { return printf("%d", x + ${index}); }\n`,
    );
  }
  writeFileSync(
    join(dir, 'Makefile'),
    'all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n',
  );
}

/** Milliseconds of the best of `rounds` runs inside one sandbox. */
function timeInside(engine: Engine, { setup, script, rounds }: ProgramBenchmark): number {
  const text = capture(
    engine,
    [
      '/bin/bash',
      '-c',
      `export HOME=/root; TIMEFORMAT=%3R; for n in $(seq ${rounds}); do ${setup ?? ':'}; { time { ${script}; } >/dev/null 2>&1; } 2>&1; done`,
    ],
    300,
  );
  return 1000 * Math.min(...text.trim().split('\n').map(Number));
}

function coldStart(engine: Engine): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const startedMs = performance.now();
    capture(engine, ['/bin/true'], 30);
    best = Math.min(best, performance.now() - startedMs);
  }
  return best;
}

export function programBenchmarks(engines: readonly Engine[]): Figures {
  mkdirSync(work, { recursive: true });
  prepareRepository();
  prepareMake();
  const figures: Figures = new Map();
  const measure = (name: string, body: (engine: Engine) => number): void => {
    const row = new Map<string, number>();
    figures.set(name, row);
    for (const engine of engines) {
      try {
        row.set(engine.name, body(engine));
      } catch (error) {
        console.error(`${name} under ${engine.name}: ${(error as Error).message}`);
      }
    }
  };
  for (const benchmark of benchmarks) measure(benchmark.name, (e) => timeInside(e, benchmark));
  measure('do true, cold', coldStart);
  return figures;
}
