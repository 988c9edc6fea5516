// SPDX-License-Identifier: Apache-2.0
// Numbers of 64 bits as two words of 32, in the hexadecimal digits that C's %llx prints.

export function hexadecimal(high: number, low: number): string {
  if (high === 0) return low.toString(16);
  return high.toString(16) + low.toString(16).padStart(8, '0');
}
