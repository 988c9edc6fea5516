// SPDX-License-Identifier: Apache-2.0
// Cases that are a shell script over docker or ctr, run with runc and with runts: both must write the same
// and end with the same code, and runc's must be what the case says, so that an oracle that could not do it
// does not count as one.
import { mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject } from 'vitest';
import { commandLine } from '../../lifecycle/sandbox-processes.ts';
import { itMayFail } from '../../support/expected.ts';
import { type Outcome, run } from '../../support/run.ts';
import { cgroupsBelow, enginesIn, processesIn } from '../engines/daemons.ts';
import { lacks, type Need, ORACLE_RETRIES, type Runtime, runtimes } from './runtimes.ts';

export interface ScriptCase {
  readonly name: string;
  readonly script: string;
  /** What runc must write. */
  readonly says: string | RegExp;
  /** The answer of runts where it is another one on purpose; the case says why. */
  readonly runtsSays?: string;
  readonly code?: number;
  /** Not run where the machine lacks it: not even runc could. */
  readonly needs?: Need;
  /** Longest time, where it hangs. */
  readonly seconds?: number;
  /** With the sockets of the container's network namespace, where runts is to be told (docs/oci.md). */
  readonly network?: 'host';
}

export interface GroupOptions {
  /** Before each case; such cases run one after the other. */
  readonly prepare?: (dir: string, runtime: Runtime) => Promise<void>;
  /** runc cannot do it here. */
  readonly only?: 'runts';
  /** Skipped where that is false. */
  readonly isPossible?: boolean;
}

const SECONDS = 200;

const prelude = readFileSync(join(import.meta.dirname, 'prelude.sh'), 'utf8');

/** Declares the cases of one group, each for each runtime, and afterwards looks for what they left. */
export function scriptCases(
  group: string,
  cases: readonly ScriptCase[],
  options: GroupOptions = {},
): void {
  const dir = inject('enginesDir');
  const possible = describe.skipIf(dir === '' || options.isPossible === false);
  const tested = runtimes.filter(({ name }) => name === (options.only ?? name));
  (options.prepare === undefined ? possible.concurrent : possible)(group, () => {
    const parent = `${enginesIn(dir).cgroup}/${group}`;
    for (const one of cases.filter(({ needs }) => !lacks(needs))) {
      claimWord(one.name);
      for (const runtime of tested) {
        const id = `oci/${group}: ${one.name}`;
        const check = async (): Promise<void> => {
          await options.prepare?.(dir, runtime);
          await runCase(dir, `${parent}-${runtime.name}`, one, runtime);
        };
        const seconds = (one.seconds ?? SECONDS) + 30;
        if (runtime.name === 'runc')
          itMayFail(`${one.name} (runc)`, `${id} (runc)`, check, seconds * 1000, ORACLE_RETRIES);
        else itMayFail(one.name, id, check, seconds * 1000);
      }
    }
    afterAll(async () => {
      for (const { name } of tested) await nothingLeft(`${parent}-${name}`);
    });
  });
}

/** The word by which a case names what it makes in the engine, and finds that again to remove it. */
const wordOf = (name: string): string => name.replace(/[^a-z0-9]+/gi, '-').replace(/^-+|-+$/g, '');

/** The words of this file's cases, which run side by side: one would remove the other's containers. */
const words = new Set<string>();

function claimWord(name: string): void {
  const word = wordOf(name);
  if (words.has(word)) throw new Error(`two cases of this file have the name '${name}'`);
  words.add(word);
}

async function runCase(
  dir: string,
  cgroup: string,
  { name, script, says: oracleSays, runtsSays, code, seconds, network }: ScriptCase,
  runtime: Runtime,
): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'oci-case-'));
  const word = wordOf(name);
  let outcome: Outcome;
  try {
    outcome = await run(['bash', '-c', `${prelude}\n${script}`], {
      seconds: seconds ?? SECONDS,
      env: {
        ...enginesIn(dir).env,
        RT: network === 'host' && runtime.name === 'runts' ? 'runts-host' : runtime.name,
        BIN: runtime.path,
        C: `${runtime.name}-${word}`,
        G: cgroup,
        W: work,
        E: dir,
      },
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const { stdout, stderr, timedOut } = outcome;
  const told = `${stdout}\n--- stderr: ${stderr}${timedOut ? '\n(timed out)' : ''}`;
  const says = runtime.name === 'runts' ? (runtsSays ?? oracleSays) : oracleSays;
  if (typeof says === 'string') expect(stdout.trim(), told).toBe(says);
  else expect(stdout.trim(), told).toMatch(says);
  expect(outcome.code, told).toBe(code ?? 0);
}

/** Every container is gone, so every process and every cgroup of theirs must be. */
async function nothingLeft(cgroup: string): Promise<void> {
  // The engine removes a container when it knows of its end, which the last process may outlive a little.
  const left = (): string[] => [
    ...processesIn(cgroup).map(commandLine),
    ...cgroupsBelow(cgroup).filter((path) => !path.endsWith(cgroup)),
  ];
  for (let tries = 0; tries < 600 && left().length > 0; tries++) await sleep(50);
  expect(left()).toEqual([]);
  for (const path of cgroupsBelow(cgroup)) rmdirSync(path);
}
