// SPDX-License-Identifier: Apache-2.0
// seccomp(2), and what prctl(2) has of it.
import { EFAULT, EINVAL, EOPNOTSUPP, isErrno, type SysResult } from '../../abi/errno.ts';
import { BPF_MAXINSNS, sockFilter, sockFprog } from '../../abi/filter.ts';
import {
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
  SECCOMP_GET_ACTION_AVAIL,
  SECCOMP_MODE_FILTER,
  SECCOMP_MODE_STRICT,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_SET_MODE_FILTER,
  SECCOMP_SET_MODE_STRICT,
} from '../../abi/seccomp.ts';
import { getU64 } from '../../abi/time.ts';
import { installFilter, mayInstallFilter, setStrictMode } from '../kernel/seccomp/install.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

/** NEW_LISTENER and WAIT_KILLABLE_RECV are as unknown as to a kernel before user notification. */
const KNOWN_FLAGS =
  SECCOMP_FILTER_FLAG_TSYNC |
  SECCOMP_FILTER_FLAG_LOG |
  SECCOMP_FILTER_FLAG_SPEC_ALLOW |
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH;

const availableActions: ReadonlySet<number> = new Set([
  SECCOMP_RET_KILL_PROCESS,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_LOG,
  SECCOMP_RET_ALLOW,
]);

function sysSeccomp(task: Task, args: SyscallArgs): SysResult {
  const flags = args.u32(1);
  const addr = args.addr(2);
  switch (args.u32(0)) {
    case SECCOMP_SET_MODE_STRICT:
      return flags === 0 && addr === 0 ? setStrictMode(task) : EINVAL;
    case SECCOMP_SET_MODE_FILTER:
      return setFilterMode(task, flags, addr);
    case SECCOMP_GET_ACTION_AVAIL:
      return flags === 0 ? actionAvailable(task, addr) : EINVAL;
    default:
      return EINVAL; // SECCOMP_GET_NOTIF_SIZES too: there is no user notification.
  }
}

/** prctl(PR_SET_SECCOMP). */
export function setSeccompMode(task: Task, mode: number, addr: number): SysResult {
  if (mode === SECCOMP_MODE_STRICT) return setStrictMode(task);
  return mode === SECCOMP_MODE_FILTER ? setFilterMode(task, 0, addr) : EINVAL;
}

function setFilterMode(task: Task, flags: number, addr: number): SysResult {
  if ((flags & ~KNOWN_FLAGS) !== 0) return EINVAL;
  const program = task.memory.view(addr, sockFprog.size);
  if (isErrno(program)) return program;
  const length = program.getUint16(sockFprog.len, true);
  if (length === 0 || length > BPF_MAXINSNS) return EINVAL;
  const refused = mayInstallFilter(task);
  if (isErrno(refused)) return refused;
  const filterAddr = getU64(program, sockFprog.filter);
  if (filterAddr === 0) return EINVAL;
  const bytes = new Uint8Array(length * sockFilter.size);
  if (isErrno(task.memory.read(filterAddr, bytes))) return EFAULT;
  return installFilter(task, bytes, flags);
}

function actionAvailable(task: Task, addr: number): SysResult {
  const action = task.memory.view(addr, 4);
  if (isErrno(action)) return action;
  return availableActions.has(action.getUint32(0, true)) ? 0 : EOPNOTSUPP;
}

export const seccompRows: readonly Row[] = [
  direct(317, 'seccomp', ['int', 'hex', 'addr'], sysSeccomp, {
    partial:
      'no user notification (SECCOMP_FILTER_FLAG_NEW_LISTENER); strict mode leaves rdtsc alone',
  }),
];
