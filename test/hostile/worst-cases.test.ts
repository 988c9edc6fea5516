// SPDX-License-Identifier: Apache-2.0
// Each call of the table with the most that it can be given to do, beside a neighbour (worst.h), and
// that none is left out.
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { table } from '../../sentry/syscalls/table-x86-64.ts';
import { runInSandbox } from '../support/run.ts';
import { caseNames, testHostile } from './hostile-program.ts';
import { caseOfCall, constantCalls } from './worst-cases.ts';

const programs = [
  'worst-memory',
  'worst-descriptors',
  'worst-files',
  'worst-ipc',
  'worst-processes',
] as const;
/**
 * How long the neighbour may wait in ms, where nothing else runs on the machine: else its wait says
 * nothing of the Sentry, and only the Sentry's own account of its turns counts.
 */
const BEAT_MS = 200;
const isIdle = (loadavg()[0] as number) < availableParallelism() / 4;
const limits = ['--pids', '3000', '--memory', '2g', '--timeout', '200s'];

describe('the worst case of each call', () => {
  const supported = table.filter((row) => row !== undefined && row.mode !== 'absent');
  const names = supported.map((row) => row?.name ?? '');

  it('is known', () => {
    const known = new Set([...caseOfCall.keys(), ...constantCalls]);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
    expect([...known].filter((name) => !names.includes(name))).toEqual([]);
  });

  it('is told once', () => {
    expect(constantCalls.filter((name) => caseOfCall.has(name))).toEqual([]);
    expect(new Set(constantCalls).size).toBe(constantCalls.length);
  });

  it('is a case that there is', () => {
    const there = [...programs, 'long-calls'].flatMap((name) =>
      caseNames(name).map((test) => `${name}/${test}`),
    );
    expect([...caseOfCall.values()].filter((name) => !there.includes(name))).toEqual([]);
  });

  it('runs beside a neighbour', () => {
    for (const name of programs) {
      const text = readFileSync(join(import.meta.dirname, `${name}.c`), 'utf8');
      expect(text).not.toMatch(/^TEST\(/m);
    }
  });
});

const beat = isIdle ? ['--env', `BEAT_MS=${BEAT_MS}`] : [];
for (const name of programs) {
  testHostile(name, (binary, flags, env) =>
    runInSandbox([binary], { seconds: 210, cwd: '/tmp', env }, [...limits, ...flags, ...beat]),
  );
}
