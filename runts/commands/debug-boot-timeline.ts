// SPDX-License-Identifier: Apache-2.0
// `runts debug boot-timeline`: where the time of a start goes, from the call to the first program's end.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { ownExecutable } from '../installation.ts';
import { parseCount } from '../quantities.ts';

interface LogLine {
  /** ms since 1970. */
  readonly time: number;
  readonly name: string;
  readonly msg: string;
}

/** A step and when it was done, ms since the call. */
type Step = readonly [name: string, ms: number];

export function printBootTimeline({ runs }: { readonly runs: string }): void {
  const count = parseCount(runs, '--runs');
  const directory = mkdtempSync(join(tmpdir(), 'runts-timeline-'));
  try {
    const all = Array.from({ length: count }, (_, run) => timeOne(join(directory, String(run))));
    print(all);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function timeOne(log: string): Step[] {
  const args = ['do', '--debug-log', log, '--', 'true'];
  const begin = performance.timeOrigin + performance.now();
  const result = spawnSync(ownExecutable(), args, { encoding: 'utf8' });
  const end = performance.timeOrigin + performance.now();
  if (result.status !== 0)
    throw new Failure('RUNTS_E_TIMELINE', `the sandbox did not run: ${result.stderr.trim()}`);
  const lines = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);
  return [...steps(lines, begin), ['the caller goes on', end - begin]];
}

function steps(lines: readonly LogLine[], begin: number): Step[] {
  const find = (name: string, start: string): LogLine => {
    const line = lines.find((each) => each.name === name && each.msg.startsWith(start));
    if (line === undefined) throw new Failure('RUNTS_E_TIMELINE', `the log has no line '${start}'`);
    return line;
  };
  const marks = find('sentry', 'start, ms: ');
  const inside = [...marks.msg.matchAll(/([a-z ]+?) (\d+\.\d+)/g)].map(
    (match): Step => [(match[1] as string).replace('start, ms: ', '').trim(), Number(match[2])],
  );
  const sentryBegan = marks.time - (inside.at(-1)?.[1] ?? 0) - begin;
  // Of a preboot (native/preboot) it is the command line's Node that the Sentry's marks are counted from.
  const all: Step[] = [
    ['command line: planned', find('runts', 'do').time - begin],
    ['node: process began', sentryBegan],
    ...inside.map(([name, ms]): Step => [`sentry: ${name}`, sentryBegan + ms]),
    ['front: program ended', find('runts', 'ended').time - begin],
  ];
  return all.sort(([, one], [, other]) => one - other);
}

function print(all: readonly (readonly Step[])[]): void {
  const [first = []] = all;
  let before = 0;
  process.stdout.write(`${'ms'.padStart(7)} ${'step'.padStart(6)}  medians of ${all.length}\n`);
  for (const [name] of first) {
    const ms = median(all.map((run) => run.find(([step]) => step === name)?.[1] ?? 0));
    process.stdout.write(
      `${ms.toFixed(1).padStart(7)} ${(ms - before).toFixed(1).padStart(6)}  ${name}\n`,
    );
    before = ms;
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
