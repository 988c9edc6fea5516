// SPDX-License-Identifier: Apache-2.0
// Guest programs of test/guest: compiled once, run natively first (a case that fails there is wrong),
// then in the sandbox. See test/guest/check.h for the frame and its output.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { itMayFail } from './expected.ts';
import { type Outcome, root, run, runInSandbox, straceTail } from './run.ts';

const sources = join(root, 'test/guest');
const binaries = join(root, 'build/guest');

const compilerFlags = [
  '-O1',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-Wno-nonnull',
  '-Wno-stringop-overread',
  '-Wno-stringop-overflow',
  '-Wno-array-bounds',
  '-D_GNU_SOURCE',
  '-pthread',
];

export type Variant = 'dynamic' | 'static';

/** Straces taken for one program: the first failures tell most. */
const MAX_TRACES = 3;

/** What the runs said about each case. */
interface Report {
  readonly passed: Set<string>;
  readonly skipped: Set<string>;
  /** The `#` lines before a case's own line, or how the sandbox ended in it. */
  readonly notes: Map<string, string>;
}

export function caseNames(name: string): string[] {
  const text = readFileSync(join(sources, `${name}.c`), 'utf8');
  return [...text.matchAll(/^TEST\((\w+)\)/gm)].map(([, word]) => word as string);
}

/** Compiles test/guest/NAME.c where it is newer than its binary; answers the binary's path. */
export function compileGuest(name: string, variant: Variant): string {
  const source = join(sources, `${name}.c`);
  const binary = join(binaries, variant === 'static' ? `${name}-static` : name);
  const newest = Math.max(statSync(source).mtimeMs, statSync(join(sources, 'check.h')).mtimeMs);
  if (existsSync(binary) && statSync(binary).mtimeMs > newest) return binary;
  mkdirSync(binaries, { recursive: true });
  const draft = `${binary}.${process.pid}`;
  const extra = variant === 'static' ? ['-static'] : [];
  execFileSync('gcc', [...compilerFlags, ...extra, '-o', draft, source, '-lutil', '-lrt'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  renameSync(draft, binary);
  return binary;
}

const emptyReport = (): Report => ({ passed: new Set(), skipped: new Set(), notes: new Map() });

/** Adds what one run said to `report`. */
function readOutcome(outcome: Outcome, report: Report): void {
  let pending: string[] = [];
  for (const line of outcome.stdout.split('\n')) {
    const match = /^(not )?ok \d+ - (\w+)( # SKIP)?/.exec(line);
    if (match === null) {
      pending.push(line);
      continue;
    }
    const [, not, name, skip] = match as unknown as [string, string?, string?, string?];
    report.notes.set(name ?? '', pending.join('\n'));
    pending = [];
    if (not === undefined) (skip === undefined ? report.passed : report.skipped).add(name ?? '');
  }
}

/**
 * Runs all cases in one sandbox. Where it ends before its time, the first case that was not reached is
 * to blame, and the rest runs in a new one.
 */
async function runCases(
  binary: string,
  cases: readonly string[],
  seconds: number,
  flags: readonly string[],
): Promise<Report> {
  const report = emptyReport();
  const deadlineMs = Date.now() + 2 * seconds * 1000;
  let args: string[] = [];
  while (Date.now() < deadlineMs) {
    const outcome = await runInSandbox([binary, ...args], { seconds, cwd: '/tmp' }, flags);
    readOutcome(outcome, report);
    const culprit = cases.find((name) => !report.notes.has(name));
    if (culprit === undefined) break;
    report.notes.set(culprit, describeEnd(outcome));
    args = ['--after', culprit];
  }
  return report;
}

function describeEnd({ code, timedOut, stdout, stderr }: Outcome): string {
  const how = timedOut ? 'timed out' : `ended with ${code}`;
  return `the sandbox ${how} in this case\n${stdout.slice(-300)}\n${stderr.slice(-2000)}`;
}

/** Tests each case of test/guest/NAME.c natively and in the sandbox, started with `flags` of `runts do`. */
export function testGuestProgram(
  name: string,
  variant: Variant = 'dynamic',
  flags: readonly string[] = [],
): void {
  const seconds = 150;
  const label = [
    'guest/',
    name,
    variant === 'static' ? ' static' : '',
    ...flags.map((flag) => ` ${flag}`),
  ].join('');
  describe(label, () => {
    let binary = '';
    const native = emptyReport();
    let guest = emptyReport();
    const cases = caseNames(name);
    let traces = 0;

    beforeAll(
      async () => {
        binary = compileGuest(name, variant);
        readOutcome(await run([binary], { seconds, cwd: '/tmp' }), native);
        guest = await runCases(binary, cases, seconds, flags);
      },
      4 * seconds * 1000 + 60_000,
    );

    for (const test of cases) {
      const id = `${label}: ${test}`;
      itMayFail(test, id, async () => {
        if (native.skipped.has(test)) return;
        expect(
          native.passed.has(test),
          `wrong test: fails natively\n${native.notes.get(test)}`,
        ).toBe(true);
        if (guest.passed.has(test)) return;
        const trace =
          traces++ < MAX_TRACES ? await straceTail([binary, test], { cwd: '/tmp' }, flags) : '';
        expect.fail(`${explain(guest, test)}\n${trace}`);
      });
    }
  });
}

function explain(report: Report, test: string): string {
  if (report.skipped.has(test)) return 'skipped in the sandbox, but runs natively';
  return report.notes.get(test) ?? 'not reached: the program took too long before';
}
