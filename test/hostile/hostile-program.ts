// SPDX-License-Identifier: Apache-2.0
// Builds a program of this folder and tells what became of its cases.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TurnCount } from '../../sentry/kernel/turn-meter.ts';
import { type Outcome, root } from '../support/run.ts';
import { longTurns, withTurns } from '../support/turns.ts';

const sources = import.meta.dirname;
const binaries = join(root, 'build/hostile');
const headers = [
  join(sources, 'fuzz.h'),
  join(sources, 'hostile.h'),
  join(sources, 'worst.h'),
  join(sources, '../guest/check.h'),
];

const compilerFlags = [
  '-O1',
  '-D_GNU_SOURCE',
  '-pthread',
  '-static',
  '-Wall',
  // What is wrong with these calls is the point of them.
  '-Wno-nonnull',
  '-Wno-unused-result',
  '-Wno-array-bounds',
  '-Wno-stringop-overread',
  '-Wno-stringop-overflow',
];

function compile(name: string): string {
  const source = join(sources, `${name}.c`);
  const binary = join(binaries, name);
  const newest = Math.max(...[source, ...headers].map((file) => statSync(file).mtimeMs));
  if (!existsSync(binary) || statSync(binary).mtimeMs < newest) {
    mkdirSync(binaries, { recursive: true });
    execFileSync('gcc', [...compilerFlags, '-o', binary, source], { stdio: 'inherit' });
  }
  return binary;
}

/** The cases of a program, in order. */
export function caseNames(name: string): string[] {
  const text = readFileSync(join(sources, `${name}.c`), 'utf8');
  return [...text.matchAll(/^(?:TEST|WORST)\((\w+)\)/gm)].map(([, word]) => word as string);
}

/** The lines about `test`: `ok` or `not ok`, with the notes before it. */
function verdict({ stdout, stderr, code, timedOut }: Outcome, test: string): string {
  let notes = '';
  for (const line of stdout.split('\n')) {
    const name = /^(?:not )?ok \d+ - (\w+)/.exec(line)?.[1];
    if (name === test) return line.startsWith('ok') ? 'ok' : `${notes}${line}`;
    notes = name === undefined ? `${notes}${line}\n` : '';
  }
  const end = timedOut ? 'was killed by the test' : `ended with ${code}`;
  return `not reached: the sandbox ${end}\n${notes}${stderr.slice(-1000)}`;
}

/** Starts a program in a sandbox, with the flags and variables that make the Sentry count its turns. */
export type Start = (
  binary: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>>,
) => Promise<Outcome>;

/**
 * Runs a program in one sandbox, and a test for each of its cases, for its turns and for the
 * sandbox's end.
 */
export function testHostile(name: string, start: Start): void {
  describe(`hostile/${name}`, () => {
    let outcome: Outcome = { stdout: '', stderr: '', code: -1, timedOut: false };
    let turns: readonly TurnCount[] = [];
    beforeAll(async () => {
      const binary = compile(name);
      const metered = await withTurns((flags, env) => start(binary, flags, env));
      outcome = metered.result;
      turns = metered.turns;
    }, 400_000);
    it('keeps nobody waiting', () => {
      expect(turns.length).toBeGreaterThan(0);
      expect(longTurns(turns)).toEqual([]);
    });
    it.each(caseNames(name))('%s', (test) => expect(verdict(outcome, test)).toBe('ok'));
    it('leaves the sandbox alive', () => {
      expect(outcome.timedOut).toBe(false);
      // That the OOM killer ended a guest, and that there is no network, is what the person at the
      // terminal is told; nothing else is to be said.
      const told = outcome.stderr.replaceAll(/^runts: (?:out of memory |network: ).*\n/gm, '');
      expect(told).not.toContain('runts:');
    });
  });
}
