// SPDX-License-Identifier: Apache-2.0
// Whole programs, milliseconds. All but the cold start are timed inside the sandbox, so that the start
// of the engine does not count. Each turn is a sandbox of its own, which knows nothing of the one before.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { work } from './build.ts';
import { capture, type Engine, isShort } from './engines.ts';
import { inTurn, Samples } from './samples.ts';

interface ProgramBenchmark {
  readonly name: string;
  /** Run by bash before the clock starts. */
  readonly setup?: string;
  readonly script: string;
}

const few = (count: number): number => (isShort ? 2 : count);

/** Files in the repository, and C files to compile. */
const REPOSITORY_FILES = isShort ? 20 : 2000;
const SOURCES = few(40);
const input = join(work, isShort ? 'short' : 'programs');

const benchmarks: readonly ProgramBenchmark[] = [
  { name: 'find /usr -xdev', script: `find ${isShort ? '/usr/include/linux' : '/usr'} -xdev` },
  { name: `git status (${REPOSITORY_FILES} files)`, script: `git -C ${input}/repo status` },
  {
    name: 'git clone and status',
    setup: 'rm -rf /tmp/bench-clone',
    script: `git clone -q --no-hardlinks ${input}/repo /tmp/bench-clone && git -C /tmp/bench-clone status`,
  },
  {
    name: "tar of Python's library",
    setup: 'rm -rf /tmp/bench-tar; mkdir /tmp/bench-tar',
    script: `tar -C ${library()} -cf - . | tar -C /tmp/bench-tar -xf -`,
  },
  {
    name: `make -j2 (${SOURCES} C files)`,
    setup: `rm -rf /tmp/bench-make; cp -r ${input}/make /tmp/bench-make`,
    script: 'make -C /tmp/bench-make -s -j2',
  },
  {
    name: `${few(2000)} files made and removed by Node`,
    setup: 'rm -rf /tmp/bench-node',
    script: `${process.execPath} ${input}/files.cjs /tmp/bench-node ${few(2000)}`,
  },
  {
    name: 'two Python threads over a queue',
    script: `/usr/bin/python3 ${input}/queues.py ${few(20_000)}`,
  },
  { name: 'python3 start-up', script: '/usr/bin/python3 -c pass' },
  {
    name: `${few(10)} starts of Python`,
    script: `for i in {1..${few(10)}}; do /usr/bin/python3 -c 'import json, re'; done`,
  },
  { name: `${few(200)} forks of true`, script: `for i in {1..${few(200)}}; do /bin/true; done` },
];

const filesOfNode = `
const fs = require('node:fs');
const [, , top, count] = process.argv;
fs.mkdirSync(top);
for (let i = 0; i < count; i++) fs.writeFileSync(top + '/' + i, 'x'.repeat(200));
for (const name of fs.readdirSync(top)) fs.unlinkSync(top + '/' + name);
fs.rmdirSync(top);
`;

const queues = `
import queue, sys, threading
there, back = queue.Queue(), queue.Queue()
def echo():
    while (item := there.get()) is not None:
        back.put(item)
thread = threading.Thread(target=echo)
thread.start()
for i in range(int(sys.argv[1])):
    there.put(i)
    assert back.get() == i
there.put(None)
thread.join()
`;

/** The directory that is copied: Python's library without what is not part of it. */
function library(): string {
  if (isShort) return '/usr/include/linux';
  const print = "import sysconfig; print(sysconfig.get_paths()['stdlib'])";
  return execFileSync('/usr/bin/python3', ['-c', print], { encoding: 'utf8' }).trim();
}

function prepareRepository(): void {
  const repo = join(input, 'repo');
  if (existsSync(join(repo, '.git/index'))) return;
  mkdirSync(repo, { recursive: true });
  for (let index = 0; index < REPOSITORY_FILES; index++) {
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
  const dir = join(input, 'make');
  mkdirSync(dir, { recursive: true });
  for (let index = 0; index < SOURCES; index++) {
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

/** Milliseconds of one run in a new sandbox. A script that fails has no time. */
function timeInside(engine: Engine, { setup, script }: ProgramBenchmark): number {
  const text = capture(
    engine,
    [
      '/bin/bash',
      '-c',
      `export HOME=/root TIMEFORMAT=%3R; ${setup ?? ':'}; { time { ${script}; } >/dev/null 2>/tmp/bench-errors; } 2>&1 || { cat /tmp/bench-errors >&2; exit 1; }`,
    ],
    300,
  );
  return 1000 * Number(text.trim());
}

function coldStart(engine: Engine): number {
  const startedMs = performance.now();
  capture(engine, ['/bin/true'], 30);
  return performance.now() - startedMs;
}

/** `names`: words of which a benchmark's name must have one; none for all. */
export function programBenchmarks(engines: readonly Engine[], names: readonly string[]): Samples {
  mkdirSync(input, { recursive: true });
  prepareRepository();
  prepareMake();
  writeFileSync(join(input, 'files.cjs'), filesOfNode);
  writeFileSync(join(input, 'queues.py'), queues);
  const samples = new Samples();
  const measure = (name: string, body: (engine: Engine) => number): void => {
    if (names.length > 0 && !names.some((word) => name.includes(word))) return;
    inTurn(engines, name, (engine) => samples.add(name, engine.name, body(engine)));
  };
  for (const benchmark of benchmarks) measure(benchmark.name, (e) => timeInside(e, benchmark));
  measure('do true, cold', coldStart);
  return samples;
}
