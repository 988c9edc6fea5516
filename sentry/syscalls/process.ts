// SPDX-License-Identifier: Apache-2.0
// Ids of processes, groups and sessions: getpid(2), setpgid(2), setsid(2) and relatives.
import { EACCES, EINVAL, EPERM, ESRCH, type SysResult } from '../../abi/errno.ts';
import { ProcessGroup } from '../kernel/session.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';

function sysSetpgid(task: Task, args: SyscallArgs): SysResult {
  const pid = args.i32(0) === 0 ? task.group.id : args.i32(0);
  const pgid = args.i32(1) === 0 ? pid : args.i32(1);
  if (pgid < 0) return EINVAL;
  const group = task.pids.groups.get(pid);
  if (group === undefined) return task.pids.tasks.has(pid) ? EINVAL : ESRCH; // A thread.
  if (group.parent === task.group) {
    if (group.processGroup.session !== task.group.processGroup.session) return EPERM;
    if (group.hasExecuted) return EACCES;
  } else if (group !== task.group) return ESRCH;
  const session = group.processGroup.session;
  if (session.leader === group) return EPERM;
  if (pgid === pid) {
    if (group.processGroup.id !== pgid) {
      const made = task.pids.processGroups.get(pgid) ?? new ProcessGroup(pgid, session);
      task.pids.processGroups.set(pgid, made);
      group.moveTo(made);
    }
    return 0;
  }
  const target = task.pids.processGroups.get(pgid);
  if (target === undefined || target.session !== session) return EPERM;
  group.moveTo(target);
  return 0;
}

function sysSetsid(task: Task): SysResult {
  if (task.pids.processGroups.has(task.group.id)) return EPERM;
  return task.pids.newSession(task.group).id;
}

/** `pid` 0 is the caller. */
function groupOf(task: Task, pid: number): ThreadGroup | undefined {
  return pid === 0 ? task.group : task.pids.processOf(pid);
}

function sysGetpgid(task: Task, args: SyscallArgs): SysResult {
  return groupOf(task, args.i32(0))?.processGroup.id ?? ESRCH;
}

function sysGetsid(task: Task, args: SyscallArgs): SysResult {
  return groupOf(task, args.i32(0))?.processGroup.session.id ?? ESRCH;
}

function sysSetTidAddress(task: Task, args: SyscallArgs): SysResult {
  task.clearChildTid = args.addr(0);
  return task.tid;
}

export const processRows: readonly Row[] = [
  direct(39, 'getpid', [], (task) => task.answerFromNowOn('getpid', task.group.id)),
  direct(110, 'getppid', [], (task) => task.group.parentId),
  direct(186, 'gettid', [], (task) => task.answerFromNowOn('gettid', task.tid)),
  direct(109, 'setpgid', ['pid', 'pid'], sysSetpgid),
  direct(111, 'getpgrp', [], (task) => task.group.processGroup.id),
  direct(112, 'setsid', [], sysSetsid),
  direct(121, 'getpgid', ['pid'], sysGetpgid),
  direct(124, 'getsid', ['pid'], sysGetsid),
  direct(218, 'set_tid_address', ['addr'], sysSetTidAddress),
];
