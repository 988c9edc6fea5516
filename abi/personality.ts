// SPDX-License-Identifier: Apache-2.0
// personality(2): the flags that change how Linux lays out and runs a program.
export const MMAP_PAGE_ZERO = 0x0100000;
export const ADDR_COMPAT_LAYOUT = 0x0200000;
export const READ_IMPLIES_EXEC = 0x0400000;
export const ADDR_NO_RANDOMIZE = 0x0040000;
