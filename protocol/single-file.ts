// SPDX-License-Identifier: Apache-2.0
// The place in the entry of the one-file build (native/single-file/entry.h) that
// tools/single-file/entry.ts fills in.

/** The mark at the start of the place: 16 bytes, without a 0 at the end. */
export const NODE_PLACE_MARK = 'runts node place';
/** Room for program headers of Node's. */
export const MOST_NODE_HEADERS = 24;
