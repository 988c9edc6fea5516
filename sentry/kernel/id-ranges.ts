// The ids of a container and those of the host that they are, for /proc/PID/uid_map and the files of the Gofer.

/** First id inside, first id outside, how many. */
export type IdRange = readonly [inside: number, outside: number, count: number];

export interface IdRanges {
  /** Empty: every id is itself. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export const sameIdRanges: IdRanges = { uids: [], gids: [] };

const ALL_IDS = 0xffff_ffff;

/** As /proc/PID/uid_map has it. */
export function idMapText(ranges: readonly IdRange[]): string {
  const shown = ranges.length === 0 ? [[0, 0, ALL_IDS]] : ranges;
  return shown
    .map((range) => `${range.map((value) => String(value).padStart(10)).join(' ')}\n`)
    .join('');
}
