// SPDX-License-Identifier: Apache-2.0
// The resource limits of whoever called runts, for the command of `runts do`.
import { readFileSync } from 'node:fs';
import { RLIMIT_NOFILE } from '../abi/resource.ts';
import type { ProcessConfig } from '../protocol/boot-config.ts';

/** fs.nr_open inside: no process has more descriptors. */
const MOST_FILES = 1_048_576;
/**
 * The soft RLIMIT_NOFILE with which bin/runts was called. Node raises its own to the hard one before
 * any of our code runs.
 */
export const SOFT_FILES_VARIABLE = 'RUNTS_CALLER_SOFT_NOFILE';

type Limits = ProcessConfig['limits'];

/** Returns the limits as setrlimit(2) would be given them for a child of the caller. */
export function callerLimits(): Limits {
  return limitsOf(readFileSync('/proc/self/limits', 'latin1'), softFiles());
}

/** Returns the limits in the text of a /proc/PID/limits, whose rows are in the order of RLIMIT_*. */
export function limitsOf(text: string, soft: number | undefined): Limits {
  const rows = text.split('\n').slice(1);
  return rows.flatMap((row, resource) => {
    const match = /^.{26}(\d+|unlimited) +(\d+|unlimited)/.exec(row);
    if (match === null) return [];
    const [softValue, hardValue] = [limitValue(match[1]), limitValue(match[2])];
    if (resource !== RLIMIT_NOFILE) return [[resource, softValue, hardValue] as const];
    const hard = Math.min(hardValue ?? MOST_FILES, MOST_FILES);
    return [[resource, Math.min(soft ?? softValue ?? hard, hard), hard] as const];
  });
}

function limitValue(word: string | undefined): number | null {
  return word === undefined || word === 'unlimited' ? null : Number(word);
}

/** Without bin/runts (the single file) the parent's limit is most often the caller's. */
function softFiles(): number | undefined {
  const given = process.env[SOFT_FILES_VARIABLE];
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  if (given === 'unlimited') return undefined;
  try {
    const text = readFileSync(`/proc/${process.ppid}/limits`, 'latin1');
    const match = /^Max open files +(\d+)/m.exec(text);
    return match === null ? undefined : Number(match[1]);
  } catch {
    // A parent of another user, or one that has gone: the hard limit is all that is known.
    return undefined;
  }
}
