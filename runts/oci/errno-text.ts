// SPDX-License-Identifier: Apache-2.0
// Failed host calls of the addon, in words.
import { ESRCH, errnoName, type SysResult } from '../../abi/errno.ts';
import { Failure } from '../failure.ts';

export function describeErrno(what: string, error: SysResult): Failure {
  // The text that containerd looks for where a container has just ended.
  if (error === ESRCH)
    return new Failure('RUNTS_E_CONTAINER_ENDED', 'os: process already finished');
  return new Failure('RUNTS_E_HOST_CALL', `${what}: ${errnoName(error)}`);
}
