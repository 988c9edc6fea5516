// SPDX-License-Identifier: Apache-2.0
// How the processes of runts know what they are, and what a preboot (native/preboot) is asked to become.

/**
 * The name (argv[0]) that the launcher gives the two programs it starts; the one-file build finds
 * its role by it.
 */
export const SENTRY_NAME = 'runts-sentry';
export const GOFER_NAME = 'runts-gofer';

/**
 * In the environment of a command line that is to make a preboot: the path that its own program was
 * started by.
 */
export const PREBOOT_VARIABLE = 'RUNTS_PREBOOT';

/** Beside it: no Sentry is to be started, so that the preboot loads the Gofer's program only. */
export const PREBOOT_GOFER_VARIABLE = 'RUNTS_PREBOOT_GOFER';

/** Names a file for the Sentry's code cache: that run is there to make caches (tools/code-cache.ts). */
export const CODE_CACHE_VARIABLE = 'RUNTS_WRITE_CODE_CACHE';

/** The processes that a preboot can be asked to become. */
export const PREBOOT_LAUNCHER = 1;
export const PREBOOT_FRONT = 2;
