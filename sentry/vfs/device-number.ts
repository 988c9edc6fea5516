// SPDX-License-Identifier: Apache-2.0
// Device numbers of file systems without a device (st_dev): major 0, counted up.
import { makeDevice } from '../../abi/stat.ts';

let lastMinor = 30;

export function allocateDevice(): number {
  lastMinor += 1;
  return makeDevice(0, lastMinor);
}
