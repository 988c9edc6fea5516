// SPDX-License-Identifier: Apache-2.0
// The Sentry's own account of its turns (RUNTS_TURNS=1), for tests that nothing keeps it from
// others for long.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TurnCount } from '../../sentry/kernel/turn-meter.ts';

export interface MeteredRun<T> {
  readonly result: T;
  readonly turns: readonly TurnCount[];
}

/**
 * The longest turn that a test allows. 20 ms are what a call shall have on an idle machine; a
 * machine that is busy takes more processor time for the same work, and whatever is wrong takes
 * seconds.
 */
export const LONGEST_TURN_MS = 200;

/**
 * The same for a collection of the Sentry's garbage, which V8 does in one go: 40 to 270 ms were seen on
 * an idle machine with 350 MiB alive (docs/security.md, "Known weak points").
 */
export const LONGEST_COLLECTION_MS = 600;

const longest = (name: string): number =>
  name === 'collection' ? LONGEST_COLLECTION_MS : LONGEST_TURN_MS;

/** Runs something with the flags and the environment that make the Sentry count. */
export async function withTurns<T>(
  start: (flags: readonly string[], env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<MeteredRun<T>> {
  const dir = mkdtempSync(join(tmpdir(), 'runts-turns-'));
  const log = join(dir, 'log');
  try {
    const result = await start(['--debug-log', log], { RUNTS_TURNS: '1' });
    return { result, turns: turnsIn(readFileSync(log, 'utf8')) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function turnsIn(log: string): readonly TurnCount[] {
  for (const line of log.split('\n')) {
    if (!line.includes('turns [')) continue;
    const { msg } = JSON.parse(line) as { msg: string };
    return JSON.parse(msg.slice('turns '.length)) as TurnCount[];
  }
  return [];
}

/**
 * Those that took too long, as text. The turn named "start" is all that came before the first
 * guest ran: nobody could wait for the Sentry yet, and it sleeps for the first stubs, which a busy
 * machine starts late.
 */
export function longTurns(turns: readonly TurnCount[]): string[] {
  return turns
    .filter(({ name, longestMs }) => name !== 'start' && longestMs > longest(name))
    .map(({ name, longestMs }) => `${name}: ${longestMs} ms`);
}
