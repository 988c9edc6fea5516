// SPDX-License-Identifier: Apache-2.0
// Translation between the ids of a container and those of the host (user_namespaces(7)), for
// /proc/PID/uid_map, the files of the Gofer, and processes of containers of one pod whose ids are
// not the same on the host.
import type { IdRange, IdRanges } from '../../protocol/id-ranges.ts';
import { NO_ID } from '../vfs/node.ts';

/** NO_ID where the container has none for what is `id` on the host. */
export function toInside(ranges: readonly IdRange[], id: number): number {
  if (ranges.length === 0) return id;
  for (const [inside, outside, count] of ranges)
    if (id >= outside && id - outside < count) return id - outside + inside;
  return NO_ID;
}

/** Undefined where the container has no such id. */
export function toOutside(ranges: readonly IdRange[], id: number): number | undefined {
  if (ranges.length === 0) return id;
  for (const [inside, outside, count] of ranges)
    if (id >= inside && id - inside < count) return id - inside + outside;
  return undefined;
}

/**
 * `id` of a container with the ids `owner`, as one with the ids `reader` has it; NO_ID where that
 * one has none for it.
 */
export function idSeenFrom(
  reader: readonly IdRange[],
  owner: readonly IdRange[],
  id: number,
): number {
  if (reader === owner) return id;
  const outside = toOutside(owner, id);
  return outside === undefined ? NO_ID : toInside(reader, outside);
}

/**
 * Capabilities of a process with the ids `own` count over one with `others`: the same, or those of
 * a user namespace below.
 */
export function rulesOver(own: IdRanges, others: IdRanges): boolean {
  if (own === others || (own.uids.length === 0 && own.gids.length === 0)) return true;
  return areSame(own.uids, others.uids) && areSame(own.gids, others.gids);
}

function areSame(a: readonly IdRange[], b: readonly IdRange[]): boolean {
  return a.length === b.length && a.every((range, index) => String(range) === String(b[index]));
}

const ALL_IDS = 0xffff_ffff;

/** Returns the text of /proc/PID/uid_map. */
export function idMapText(ranges: readonly IdRange[]): string {
  const shown = ranges.length === 0 ? [[0, 0, ALL_IDS]] : ranges;
  return shown
    .map((range) => `${range.map((value) => String(value).padStart(10)).join(' ')}\n`)
    .join('');
}
