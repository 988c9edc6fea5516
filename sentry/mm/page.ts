// SPDX-License-Identifier: Apache-2.0
// Page arithmetic on guest addresses, which are plain numbers below 2^47 (no 32-bit operators here).
import { PAGE_SIZE } from '../../abi/page.ts';

/** The start of the page that holds `addr`. */
export function pageFloor(addr: number): number {
  return addr - (addr % PAGE_SIZE);
}

/** `addr` rounded up to a page boundary. */
export function pageCeil(addr: number): number {
  const rest = addr % PAGE_SIZE;
  return rest === 0 ? addr : addr + (PAGE_SIZE - rest);
}

/** PAGE_ALIGN of a 64-bit length: what is within a page of 2^64 becomes 0. */
export function wrappedPageCeil(length: number): number {
  const size = pageCeil(length);
  return size < 2 ** 64 ? size : size - 2 ** 64;
}

export function isPageAligned(addr: number): boolean {
  return addr % PAGE_SIZE === 0;
}
