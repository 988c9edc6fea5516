// SPDX-License-Identifier: Apache-2.0
// `runts debug profile`: what `runts do --profile` wrote, with the names and places of the source
// instead of those of the bundles: the functions and the system calls that took the most time, and
// a file for Chrome's DevTools, VS Code or speedscope.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { describe, Failure } from '../failure.ts';
import { mapProfile, timesByCall, timesByFunction } from '../map-profile.ts';
import { parseCount } from '../quantities.ts';

/** The bundles' folder, both from source (runts/commands/) and from the bundle itself (build/). */
const build = import.meta.filename.endsWith('.ts')
  ? join(import.meta.dirname, '../../build')
  : import.meta.dirname;

interface Options {
  readonly output?: string;
  readonly lines: string;
}

export function printProfile(file: string, { output, lines }: Options): void {
  const count = parseCount(lines, '--lines');
  const profile = mapProfile(readProfile(file), build);
  print('call', timesByCall(profile), count);
  print('function', timesByFunction(profile), count);
  if (output === undefined) return;
  try {
    writeFileSync(output, JSON.stringify(profile));
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `--output: ${output}: ${describe(error)}`);
  }
}

function readProfile(file: string): Profiler.Profile {
  let profile: Profiler.Profile | undefined;
  try {
    profile = JSON.parse(readFileSync(file, 'utf8')) as Profiler.Profile;
  } catch (error) {
    throw new Failure('RUNTS_E_OPTION_FILE', `debug profile: ${file}: ${describe(error)}`);
  }
  if (!Array.isArray(profile?.nodes))
    throw new Failure('RUNTS_E_OPTION_FILE', `debug profile: ${file}: no profile of V8`);
  return profile;
}

/** A line for each name, with its share of the time and its milliseconds. */
function print(what: string, times: ReadonlyMap<string, number>, count: number): void {
  const sorted = [...times].sort(([, a], [, b]) => b - a);
  const total = sorted.reduce((sum, [, us]) => sum + us, 0);
  process.stdout.write(`${'%'.padStart(6)} ${'ms'.padStart(9)}  ${what}\n`);
  for (const [name, us] of sorted.slice(0, count)) {
    const share = ((100 * us) / Math.max(total, 1)).toFixed(1);
    process.stdout.write(`${share.padStart(6)} ${(us / 1000).toFixed(1).padStart(9)}  ${name}\n`);
  }
}
