// SPDX-License-Identifier: Apache-2.0
// The burst beside quota and period: it may not be larger than the quota, so which goes first
// depends on what was there.

import { isNumberAsked } from './asked.ts';
import { type ControlFiles, isErrnoOf } from './control-files.ts';

export function writeCpuBandwidth(
  files: ControlFiles,
  burstFile: string,
  burst: number | bigint | undefined,
  quota: number | bigint | undefined,
  writeQuota: () => void,
): void {
  let isBurstDue = burst !== undefined;
  if (isBurstDue) {
    try {
      files.write(burstFile, String(burst));
      isBurstDue = false;
    } catch (error) {
      if (!isErrnoOf(error, 'EINVAL') || !isNumberAsked(quota)) throw error;
    }
  }
  writeQuota();
  if (isBurstDue) files.write(burstFile, String(burst));
}
