// SPDX-License-Identifier: Apache-2.0
// fork(2), vfork(2), clone(2), clone3(2), exit(2), exit_group(2), unshare(2), setns(2).

import { CAP_SYS_ADMIN } from '../../abi/capability.ts';
import { E2BIG, EFAULT, EINVAL, EPERM, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  CLONE_CLEAR_SIGHAND_HIGH,
  CLONE_DETACHED,
  CLONE_FILES,
  CLONE_FS,
  CLONE_INTO_CGROUP_HIGH,
  CLONE_NAMESPACES,
  CLONE_NEWIPC,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PIDFD,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  CSIGNAL,
  cloneArgs,
} from '../../abi/sched.ts';
import { getU64 } from '../../abi/time.ts';
import { exitedStatus } from '../../abi/wait.ts';
import type { MaybeBlocking } from '../base/wait.ts';
import { namespaceOfFile } from '../fs/proc/namespace-file.ts';
import {
  type CloneRequest,
  checkClone,
  cloneTask,
  MAKEABLE_NAMESPACES,
  plainFork,
} from '../kernel/clone.ts';
import { exitTask, groupExit } from '../kernel/exit.ts';
import { IpcNamespace } from '../kernel/ipc/ipc-namespace.ts';
import { enterIpcNamespace, undoSemaphores } from '../kernel/ipc/leave.ts';
import { HANDED_OVER } from '../kernel/result.ts';
import type { Task } from '../kernel/task.ts';
import { UtsNamespace } from '../kernel/uts-namespace.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row, sleeps } from './entry.ts';

function begin(task: Task, request: CloneRequest): MaybeBlocking {
  const checked = checkClone(task, request);
  return isErrno(checked) ? checked : cloneTask(task, request);
}

function sysFork(task: Task): MaybeBlocking {
  return begin(task, plainFork);
}

function sysVfork(task: Task): MaybeBlocking {
  return begin(task, { ...plainFork, flags: CLONE_VFORK | CLONE_VM });
}

function sysClone(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = (args.u32(0) & ~CSIGNAL) >>> 0;
  if ((flags & CLONE_PIDFD) !== 0 && (flags & CLONE_DETACHED) !== 0) return EINVAL;
  return begin(task, {
    flags,
    exitSignal: args.u32(0) & CSIGNAL,
    stackPointer: args.addr(1),
    parentTidAddr: args.addr(2),
    childTidAddr: args.addr(3),
    tls: args.addr(4),
    pidfdAddr: args.addr(2),
    clearHandlers: false,
    wantedPid: 0,
  });
}

function sysClone3(task: Task, args: SyscallArgs): MaybeBlocking {
  const size = args.len(1);
  if (size > 4096) return E2BIG;
  if (size < cloneArgs.sizeVer0) return EINVAL;
  const view = task.memory.view(args.addr(0), size);
  if (isErrno(view)) return EFAULT;
  for (let at: number = cloneArgs.size; at < size; at += 1)
    if (view.getUint8(at) !== 0) return E2BIG;
  const flags = view.getUint32(cloneArgs.flags, true);
  const high = view.getUint32(cloneArgs.flags + 4, true);
  if (
    (high & ~(CLONE_CLEAR_SIGHAND_HIGH | CLONE_INTO_CGROUP_HIGH)) !== 0 ||
    (flags & (CSIGNAL | CLONE_DETACHED)) !== 0
  )
    return EINVAL;
  if ((high & CLONE_INTO_CGROUP_HIGH) !== 0) return EINVAL; // No cgroups to name.
  const exitSignal = getU64(view, cloneArgs.exitSignal);
  if (exitSignal > 64 || ((flags & (CLONE_THREAD | CLONE_PARENT)) !== 0 && exitSignal !== 0))
    return EINVAL;
  if (size >= cloneArgs.setTidSize + 8 && getU64(view, cloneArgs.setTidSize) !== 0) {
    return isCapable(task.credentials, CAP_SYS_ADMIN) ? EINVAL : EPERM;
  }
  const stack = getU64(view, cloneArgs.stack);
  const stackSize = getU64(view, cloneArgs.stackSize);
  if ((stack === 0) !== (stackSize === 0)) return EINVAL;
  return begin(task, {
    flags,
    exitSignal,
    stackPointer: stack + stackSize,
    parentTidAddr: getU64(view, cloneArgs.parentTid),
    childTidAddr: getU64(view, cloneArgs.childTid),
    tls: getU64(view, cloneArgs.tls),
    pidfdAddr: getU64(view, cloneArgs.pidfd),
    clearHandlers: (high & CLONE_CLEAR_SIGHAND_HIGH) !== 0,
    wantedPid: 0,
  });
}

function sysExit(task: Task, args: SyscallArgs): SysResult {
  exitTask(task, args.i32(0) & 0xff);
  return HANDED_OVER;
}

function sysExitGroup(task: Task, args: SyscallArgs): SysResult {
  groupExit(task.group, exitedStatus(args.i32(0)));
  return HANDED_OVER;
}

function sysUnshare(task: Task, args: SyscallArgs): SysResult {
  const flags = args.u32(0);
  if ((flags & CLONE_NAMESPACES) !== 0 && !isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  if ((flags & CLONE_NAMESPACES & ~MAKEABLE_NAMESPACES) !== 0) return EINVAL;
  const shareable = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | MAKEABLE_NAMESPACES;
  if ((flags & ~(shareable | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) !== 0) return EINVAL;
  if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) !== 0 && task.group.tasks.size > 1)
    return EINVAL;
  // Made first: it is all that can fail.
  const ipc = (flags & CLONE_NEWIPC) === 0 ? undefined : IpcNamespace.forGuest(task.kernel);
  if (isErrno(ipc)) return ipc;
  if ((flags & CLONE_FS) !== 0 && task.fs.isShared) {
    const own = task.fs.fork();
    task.fs.release();
    task.fs = own;
  }
  if ((flags & CLONE_FILES) !== 0 && task.files.isShared) {
    const own = task.files.fork();
    task.files.release();
    task.files = own;
  }
  if ((flags & CLONE_SYSVSEM) !== 0) undoSemaphores(task);
  if ((flags & CLONE_NEWUTS) !== 0) task.uts = task.uts.fork(task);
  if (ipc !== undefined) enterIpcNamespace(task, ipc);
  return 0;
}

/** setns(2): into what an open /proc/PID/ns/ipc or uts names. */
function sysSetns(task: Task, args: SyscallArgs): SysResult {
  const file = task.files.get(args.i32(0));
  if (isErrno(file)) return file;
  const type = args.u32(1);
  const namespace = namespaceOfFile(file);
  if (namespace === undefined) return EINVAL;
  const isUts = namespace instanceof UtsNamespace;
  if (type !== 0 && type !== (isUts ? CLONE_NEWUTS : CLONE_NEWIPC)) return EINVAL;
  if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
  if (isUts && !namespace.isRuledBy(task)) return EPERM;
  if (isUts) task.uts = namespace;
  else enterIpcNamespace(task, namespace);
  return 0;
}

export const cloneRows: readonly Row[] = [
  sleeps(56, 'clone', ['cloneFlags', 'addr', 'addr', 'addr', 'addr'], sysClone, {
    partial: 'of namespace flags CLONE_NEWIPC and CLONE_NEWUTS',
  }),
  sleeps(57, 'fork', [], sysFork),
  sleeps(58, 'vfork', [], sysVfork),
  sleeps(435, 'clone3', ['addr', 'len'], sysClone3, {
    partial: 'of namespace flags CLONE_NEWIPC and CLONE_NEWUTS, no set_tid, no CLONE_INTO_CGROUP',
  }),
  direct(60, 'exit', ['int'], sysExit),
  direct(231, 'exit_group', ['int'], sysExitGroup),
  direct(272, 'unshare', ['cloneFlags'], sysUnshare, {
    partial: 'of namespace flags CLONE_NEWIPC and CLONE_NEWUTS',
  }),
  direct(308, 'setns', ['fd', 'cloneFlags'], sysSetns, {
    partial: 'IPC and UTS namespaces; EINVAL for others',
  }),
];
