// Failed host calls of the addon, in words.
import { ESRCH, errnoName, type SysResult } from '../../abi/errno.ts';
import { Failure } from '../failure.ts';

export function describeErrno(what: string, error: SysResult): Failure {
  // The text that containerd looks for where a container has just ended.
  if (error === ESRCH) return new Failure('os: process already finished', 1);
  return new Failure(`${what}: ${errnoName(error)}`, 1);
}
