// SPDX-License-Identifier: Apache-2.0
/** Bytes of a page on x86-64, of guests and of the host alike: getpagesize(2). */
export const PAGE_SIZE = 4096;
