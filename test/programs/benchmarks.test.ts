// SPDX-License-Identifier: Apache-2.0
// `npm run bench` with tiny counts: every benchmark runs, natively and in the sandbox, and has its
// line in the tables. No figure is judged.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

function bench(...groups: string[]): string {
  const done = spawnSync(process.execPath, [join(root, 'bench/run.ts'), ...groups], {
    encoding: 'utf8',
    env: {
      ...process.env,
      BENCH_SHORT: '1',
      BENCH_ENGINES: 'native,runts',
      BENCH_RUNTIMES: 'native,do,runts',
    },
  });
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
  return done.stdout;
}

/** The names in a table of benchmarks in C. */
function namesIn(source: string): string[] {
  const text = readFileSync(join(root, 'bench', source), 'utf8');
  return [...text.matchAll(/^ {4}\{"([^"]+)", \w+/gm)].map(([, name]) => name as string);
}

/** Lines that have a figure above 0 for native and for runts. */
function measured(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => /^\S.* {2,}[\d.]*[1-9][\d.]* +[\d.]*[1-9][\d.]* +[\d.]+$/.test(line));
}

describe('npm run bench', () => {
  it('measures each call of micro.c', () => {
    const lines = measured(bench('micro'));
    const names = namesIn('micro.c');
    expect(names).toContain('getppid');
    for (const name of names) expect(lines.some((line) => line.startsWith(`${name}  `))).toBe(true);
  });

  it('measures each kind of unix.c with one copy and with several', () => {
    const lines = measured(bench('unix'));
    const names = namesIn('unix.c');
    expect(names).toContain('shell scripts, 8 at once');
    for (const name of names)
      expect(lines.filter((line) => line.startsWith(`${name} x`))).toHaveLength(2);
  });

  it('runs each program', () => {
    expect(measured(bench('programs'))).toHaveLength(11);
  });

  it('runs each server that is installed, and names the others', () => {
    const text = bench('servers');
    for (const name of ['nginx', 'redis', 'memcached'])
      expect(text).toMatch(new RegExp(`^${name}(: not installed$| .*: a request  )`, 'm'));
  });

  it('measures many at once', () => {
    expect(measured(bench('many'))).toHaveLength(11);
  });

  it('looks at an idle sandbox', () => {
    expect(bench('idle')).toMatch(/^idle memory \(MiB PSS\) +\d/m);
  });
});
