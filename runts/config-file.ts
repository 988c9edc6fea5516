// SPDX-License-Identifier: Apache-2.0
// What a front sends to the Sentry first: in a file in memory, that survives execve.
import { isErrno, type SysResult } from '../abi/errno.ts';
import { native } from '../native/addon.ts';
import { Failure } from './failure.ts';

/** One line of JSON in a file in memory. Its texts are byte strings: one char, one byte. */
export function configFile(request: object): SysResult {
  const bytes = Buffer.from(`${JSON.stringify(request)}\n`, 'latin1');
  const fd = native.memfdCreate('runts-config', 0);
  let written = 0;
  while (!isErrno(fd) && written < bytes.length) {
    const wrote = native.pwrite(fd, bytes, written, bytes.length - written, written);
    if (wrote <= 0) break;
    written += wrote;
  }
  if (written < bytes.length)
    throw new Failure('RUNTS_E_HOST_RESOURCES', 'no memory for the configuration');
  return fd;
}
