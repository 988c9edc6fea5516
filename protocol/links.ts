// SPDX-License-Identifier: Apache-2.0
// What the launcher (native/launcher/link.c) hands to a Sentry with a network stack of its own: one
// message on SENTRY_LINKS, whose bytes are the indexes (i32) of interfaces, with these descriptors
// and then a packet socket for each index.

/** A memfd with messages of rtnetlink: links, addresses, routes and neighbours, one after another. */
export const LINKS_TOLD = 0;
/** Held while the Sentry has the namespace. */
export const LINKS_LOCK = 1;
/** A UDP socket that is connected to 127.0.0.11:53 in the namespace, where Docker's resolver listens. */
export const LINKS_RESOLVER = 2;
export const LINKS_FIRST = 3;
export const MAX_INTERFACES = 16;
