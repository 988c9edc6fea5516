// SPDX-License-Identifier: Apache-2.0
// A nursery (native/preboot): a Node that has loaded the command line, the Sentry and the Gofer, and
// is forked for each `create` that asks it. What the quick path, which asks, and the nursery agree on;
// the messages themselves are in native/preboot/nursery.h.

/**
 * In the environment of a caller: for how many seconds a nursery waits for the next `create`. 0: no
 * nursery is asked or made.
 */
export const NURSERY_VARIABLE = 'RUNTS_NURSERY';

/** The same where the caller says nothing, and the records are in /run; elsewhere none is made then. */
export const NURSERY_IDLE_SECONDS = 30;

/**
 * So many sandboxes one nursery starts, and then makes room for the next: its forks have their
 * addresses in common (docs/security.md).
 */
export const NURSERY_MOST_CALLS = 64;

/** Calls that one nursery carries out at the same time. Others do without. */
export const NURSERY_MOST_AT_ONCE = 8;

/** In the directory of all records: the sockets, by what must be alike in a caller and a nursery. */
export const NURSERY_SOCKET_PREFIX = '.nursery-';

/**
 * In the environment of a Node that is to be a nursery: the listening socket, its directory, its
 * file (three descriptors) and its seconds, each a number.
 */
export const NURSERY_PARTS_VARIABLE = 'RUNTS_NURSERY_PARTS';

/** The name that ps(1) shows of one. */
export const NURSERY_NAME = 'runts-nursery';
