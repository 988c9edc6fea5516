// SPDX-License-Identifier: Apache-2.0
// What a process's front (native/launcher/) tells the command line that waits for the process's
// start: a line each, of a word and what it calls for.

export const STATUS_WORD = {
  /** The container's network namespace is there; the front waits for a byte. */
  namespaces: 'namespaces',
  created: 'created',
  started: 'started',
  /** CODE TEXT: the exit code that a shell would give, and what is to be said. */
  failed: 'failed',
} as const;

/** Those that tell of progress. */
export type StatusWord = (typeof STATUS_WORD)[Exclude<keyof typeof STATUS_WORD, 'failed'>];
