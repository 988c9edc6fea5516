// SPDX-License-Identifier: Apache-2.0
// What a process gets that config.json and the caller say nothing about, by Node and by the quick path alike.

/**
 * The umask of processes whose document names none. runc sets its own umask to this value before it
 * starts anything.
 */
export const DEFAULT_UMASK = 0o022;

/** The size of a terminal that does not tell its size. */
export const DEFAULT_ROWS = 24;
export const DEFAULT_COLUMNS = 80;
