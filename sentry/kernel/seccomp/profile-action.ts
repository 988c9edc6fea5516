// SPDX-License-Identifier: Apache-2.0
// SCMP_ACT_* as the answers of a filter.
import { ENOSYS, EPERM } from '../../../abi/errno.ts';
import {
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
} from '../../../abi/seccomp.ts';
import { SeccompProfileError } from './profile-error.ts';

export const ENOSYS_ANSWER: number = SECCOMP_RET_ERRNO | -ENOSYS;
export const KILL_ANSWER: number = SECCOMP_RET_KILL_THREAD;

/**
 * Returns the value with which a filter answers for an action; `errno` is for those actions that
 * carry one.
 */
export function actionValue(action: string, errno: number | undefined): number {
  switch (action) {
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return SECCOMP_RET_KILL_THREAD;
    case 'SCMP_ACT_KILL_PROCESS':
      return SECCOMP_RET_KILL_PROCESS;
    case 'SCMP_ACT_TRAP':
      return SECCOMP_RET_TRAP;
    case 'SCMP_ACT_ERRNO':
      return SECCOMP_RET_ERRNO | ((errno ?? -EPERM) & SECCOMP_RET_DATA);
    case 'SCMP_ACT_TRACE':
      return SECCOMP_RET_TRACE | ((errno ?? -EPERM) & SECCOMP_RET_DATA);
    case 'SCMP_ACT_LOG':
      return SECCOMP_RET_LOG;
    case 'SCMP_ACT_ALLOW':
      return SECCOMP_RET_ALLOW;
    case 'SCMP_ACT_NOTIFY':
      throw new SeccompProfileError('SCMP_ACT_NOTIFY is not supported');
    default:
      throw new SeccompProfileError(`unknown action ${action}`);
  }
}

/** Returns whether calls that the profile does not name are permitted: runc adds no ENOSYS then. */
export function isPermissive(action: string): boolean {
  return action === 'SCMP_ACT_ALLOW' || action === 'SCMP_ACT_LOG' || action === 'SCMP_ACT_TRACE';
}
