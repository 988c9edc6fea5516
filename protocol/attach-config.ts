// SPDX-License-Identifier: Apache-2.0
// What the command line tells the Gofer about the directories and files of the host that it serves
// (its attach points): JSON, as the last argument of the Gofer's process.
import type { IdRanges } from './id-ranges.ts';

/** Whose files those of an attach point are. */
export interface OwnersConfig {
  /** From ids in the container to those of the host. */
  readonly container: IdRanges;
  /** An ID-mapped mount's: from ids of the files to those of the host. */
  readonly mount?: IdRanges;
  /** Mounts below it are mapped too. */
  readonly mapsBelow?: boolean;
}

export interface GoferConfig {
  /** One for each attach point. */
  readonly readOnly: readonly boolean[];
  /** By attach point: mounts that the host makes below it later show up in it. */
  readonly follows: readonly boolean[];
  /** null: the container's ids are the host's. */
  readonly owners: readonly (OwnersConfig | null)[];
  readonly seccomp: 'kill' | 'log';
  /** The command line was started by root: every id of the host is mapped. */
  readonly privileged: boolean;
  /** Directories that the Gofer may watch at once; 0: nobody else changes what it serves. */
  readonly maxWatches: number;
}
