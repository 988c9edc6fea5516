// SPDX-License-Identifier: Apache-2.0
// node tools/profile-top.ts LOG [FILE.cpuprofile]: the functions in which the Sentry spent most of
// its CPU time, from the log of a run with RUNTS_PROFILE=1 (docs/debugging.md). With a second
// argument also writes the profile for Chrome's DevTools.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';

const SHOWN = 30;

interface LogLine {
  readonly msg?: string;
  readonly profile?: Profiler.Profile;
}

function readProfile(path: string): Profiler.Profile | undefined {
  const line = readFileSync(path, 'utf8')
    .split('\n')
    .find((text) => text.includes('"msg":"profile"'));
  return line === undefined ? undefined : (JSON.parse(line) as LogLine).profile;
}

/** Microseconds that each function ran itself, by name and place. */
function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): [string, number][] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` ${url.replace(/^.*\/app\//, '')}:${lineNumber + 1}`;
      return [id, `${functionName === '' ? '(anonymous)' : functionName}${place}`];
    }),
  );
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? '?';
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  }
  return [...times].sort(([, a], [, b]) => b - a);
}

const [log, target] = process.argv.slice(2);
const profile = log === undefined ? undefined : readProfile(log);
if (profile === undefined) {
  console.error(
    'usage: node tools/profile-top.ts LOG [FILE.cpuprofile], with the log of RUNTS_PROFILE=1',
  );
  process.exit(1);
}
const times = selfTimes(profile);
const total = times.reduce((sum, [, time]) => sum + time, 0);
for (const [name, time] of times.slice(0, SHOWN)) {
  console.log(
    `${((100 * time) / total).toFixed(1).padStart(5)} %  ${(time / 1000).toFixed(1).padStart(8)} ms  ${name}`,
  );
}
if (target !== undefined) writeFileSync(target, JSON.stringify(profile));
