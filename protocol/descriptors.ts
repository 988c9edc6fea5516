// SPDX-License-Identifier: Apache-2.0
// Descriptors that the launcher leaves for the processes that it starts. native/launcher/children.c
// puts them there.

/** The debug log, or /dev/null: standard error of the Sentry and of the Gofer. */
export const STDERR_LOG = 2;

export const SENTRY_CONTROL = 3;
export const SENTRY_WAKE = 4;
export const SENTRY_PAGE = 5;
export const SENTRY_ZYGOTE = 6;
export const SENTRY_GOFER = 7;
export const SENTRY_SEALER = 8;
export const SENTRY_CPUINFO = 9;
export const SENTRY_MEMINFO = 10;
/** The guest's standard input, output and error: three descriptors. */
export const SENTRY_STDIO = 11;
export const SENTRY_STRACE = 14;
/** A container's control socket, listening. */
export const SENTRY_LISTEN = 15;
/** The network broker (native/launcher/broker.c), or /dev/null. */
export const SENTRY_BROKER = 16;
/** The directory /proc/sys/net of the host's network, or /dev/null; while the Sentry boots. */
export const SENTRY_NET_SETTINGS = 17;
/** Where `runts do --stats` and `--profile` write at the end, or /dev/null. */
export const SENTRY_STATS = 18;
export const SENTRY_PROFILE = 19;
/** The network proxy (native/proxy), or /dev/null. */
export const SENTRY_PROXY = 20;
/** The network that the Sentry is to have (protocol/links.ts), or /dev/null; while it boots. */
export const SENTRY_LINKS = 21;
/** How many the Sentry starts with: all below. */
export const SENTRY_FDS = 22;

export const GOFER_SOCKET = 3;
export const GOFER_SEALER = 4;
/** The first attach point; the others follow. */
export const GOFER_ATTACH = 5;

export const ZYGOTE_CONTROL = 3;
/** Stubs keep it: a write wakes the Sentry. */
export const ZYGOTE_WAKE = 4;
export const ZYGOTE_PAGE = 5;
export const ZYGOTE_FDS = 6;

/** The first of the descriptors that the launcher makes for itself. */
export const LAUNCHER_HIGH = 300;
/** Where the Sentry and the Gofer of the one-file build find the addon. */
export const ADDON_PLACE = LAUNCHER_HIGH - 1;
