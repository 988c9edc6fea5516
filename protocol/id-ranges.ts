// SPDX-License-Identifier: Apache-2.0
// The ids of a container and those of the host that they are (user_namespaces(7)), as the command
// line tells them to the Sentry and to the Gofer.

/** First id inside, first id outside, how many. */
export type IdRange = readonly [inside: number, outside: number, count: number];

export interface IdRanges {
  /** Empty: every id is itself. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export const sameIdRanges: IdRanges = { uids: [], gids: [] };
