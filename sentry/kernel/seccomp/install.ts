// SPDX-License-Identifier: Apache-2.0
// Entering seccomp modes: seccomp(2), kernel/seccomp.c.
import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { EACCES, EINVAL, ENOMEM, ESRCH, isErrno, type SysResult } from '../../../abi/errno.ts';
import {
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
  SECCOMP_MODE_FILTER,
  SECCOMP_MODE_STRICT,
} from '../../../abi/seccomp.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { isCapable } from '../../vfs/credentials.ts';
import type { Task } from '../task.ts';
import { checkProgram } from './check-program.ts';
import { type Filter, isBelow, newFilter, Seccomp, strictSeccomp } from './seccomp.ts';

/** MAX_INSNS_PER_PATH: what all filters of a task may cost. */
const MAX_PATH_COST = 32768;

export function setStrictMode(task: Task): SysResult {
  if (task.seccomp?.mode === SECCOMP_MODE_FILTER) return EINVAL;
  task.seccomp = strictSeccomp;
  return 0;
}

/**
 * Returns 0 where the task may install filters, else the errno: no program that is executed later
 * can be led astray with more privilege.
 */
export function mayInstallFilter(task: Task): SysResult {
  return task.noNewPrivileges || isCapable(task.credentials, CAP_SYS_ADMIN) ? 0 : EACCES;
}

/**
 * `program`: an array of struct sock_filter. 0, an errno, or the id of a thread that cannot follow
 * (TSYNC).
 */
export function installFilter(task: Task, program: Uint8Array, flags: number): SysResult {
  const checked = checkProgram(program);
  if (isErrno(checked)) return checked;
  const { seccomp } = task;
  if (seccomp?.mode === SECCOMP_MODE_STRICT) return EINVAL;
  const filter = newFilter(checked, seccomp?.newest, (flags & SECCOMP_FILTER_FLAG_LOG) !== 0);
  if (filter.cost > MAX_PATH_COST) return ENOMEM;
  const instructions = filter.cost - (seccomp?.newest?.cost ?? 0);
  if (!task.group.holdings.charge(instructions * OBJECT_COST.filterInstruction)) return ENOMEM;
  const toAll = (flags & SECCOMP_FILTER_FLAG_TSYNC) !== 0;
  if (toAll) {
    const stray = findStray(task, seccomp?.newest);
    if (stray !== undefined)
      return (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) === 0 ? stray.tid : ESRCH;
  }
  task.seccomp = new Seccomp(filter);
  if (toAll) synchronize(task);
  return 0;
}

/** A thread of the process whose filters are not among the caller's. */
function findStray(task: Task, newest: Filter | undefined): Task | undefined {
  for (const other of task.group.tasks) {
    if (other === task || other.seccomp === undefined) continue;
    if (other.seccomp.mode === SECCOMP_MODE_STRICT) return other;
    if (newest === undefined || !isBelow(other.seccomp.newest, newest)) return other;
  }
  return undefined;
}

function synchronize(task: Task): void {
  for (const other of task.group.tasks) {
    other.seccomp = task.seccomp;
    if (task.noNewPrivileges) other.noNewPrivileges = true;
  }
}
