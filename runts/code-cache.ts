// SPDX-License-Identifier: Apache-2.0
// Runs that make V8's code caches (tools/code-cache.ts): started with a variable that names the Sentry's.
import { globals } from '../protocol/globals.ts';
import { CODE_CACHE_VARIABLE } from '../protocol/processes.ts';

/** The file for the Sentry's cache; undefined in all other runs. */
export function sentryCacheFile(): string | undefined {
  return process.env[CODE_CACHE_VARIABLE];
}

/**
 * Writes the command line's own, with all that has been compiled so far. The loader of the bundle
 * knows how.
 */
export function saveCodeCache(): void {
  if (sentryCacheFile() === undefined) return;
  globals.runtsSaveCodeCache?.();
}
