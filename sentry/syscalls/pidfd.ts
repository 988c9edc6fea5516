// pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).
import {
  EBADF,
  EINVAL,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { O_NONBLOCK, O_RDWR } from '../../abi/fcntl.ts';
import { SI_USER, SIGRTMAX } from '../../abi/signal.ts';
import { AnonymousFileSystem, AnonymousNode } from '../fs/anon/anonymous-node.ts';
import { Subject } from '../fs/proc/subject.ts';
import { PseudoDirectory } from '../fs/pseudo/directory.ts';
import { PIDFD_MODE, PidFd } from '../kernel/pidfd.ts';
import { mayAccessProcess } from '../kernel/process-access.ts';
import type { SignalInfo } from '../kernel/signal-info.ts';
import { maySignal } from '../kernel/signal-permission.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread-group.ts';
import type { SyscallArgs } from './args.ts';
import { direct, type Row } from './entry.ts';
import { readQueuedInfo } from './signal.ts';

const PIDFS_MAGIC = 0x50494446;
const pidfs = new AnonymousFileSystem('pidfs', 12, PIDFS_MAGIC);

/** Gives `task` a close-on-exec descriptor for a process. Also behind CLONE_PIDFD. */
export function addPidfd(task: Task, group: ThreadGroup, flags = O_RDWR): SysResult {
  const { euid, egid } = task.credentials;
  const node = new AnonymousNode(pidfs, PIDFD_MODE, group.serial, {
    uid: euid,
    gid: egid,
    time: task.kernel.clock.realtime(),
  });
  return task.files.add(new PidFd(group, node, flags), true);
}

function sysPidfdOpen(task: Task, args: SyscallArgs): SysResult {
  const pid = args.i32(0);
  if (pid <= 0 || (args.u32(1) & ~O_NONBLOCK) !== 0) return EINVAL;
  const group = task.pids.groups.get(pid);
  if (group === undefined) return task.pids.tasks.has(pid) ? EINVAL : ESRCH;
  return addPidfd(task, group, O_RDWR | args.u32(1));
}

function pidfdAt(task: Task, fd: number): Result<PidFd> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof PidFd ? file : EBADF;
}

/** A pidfd, or a directory /proc/PID: both name a process to signal. */
function processAt(task: Task, fd: number): Result<ThreadGroup> {
  const file = task.files.getAny(fd);
  if (isErrno(file)) return file;
  if (file instanceof PidFd) return file.group;
  const { node } = file;
  if (!(node instanceof PseudoDirectory) || !(node.subject instanceof Subject)) return EBADF;
  return node.subject.thread === undefined ? node.subject.group : EBADF;
}

/** As kill(2) has it, or what the guest wrote. */
function signalInfo(
  task: Task,
  group: ThreadGroup,
  signal: number,
  addr: number,
): Result<SignalInfo> {
  if (addr === 0) return { signal, code: SI_USER, pid: task.group.id, uid: task.credentials.uid };
  const toSelf = group.id === task.tid; // Of one namespace, both.
  const info = readQueuedInfo(task, addr, signal, toSelf);
  if (isErrno(info) || info.raw === undefined) return info;
  const { buffer } = info.raw;
  return new DataView(buffer).getInt32(0, true) === signal ? info : EINVAL;
}

function sysPidfdSendSignal(task: Task, args: SyscallArgs): SysResult {
  if (args.u32(3) !== 0) return EINVAL;
  const group = processAt(task, args.i32(0));
  if (isErrno(group)) return group;
  if (group.pids !== task.pids) return EINVAL; // Came from another container; Linux's access_pidfd_pidns().
  const signal = args.i32(1);
  const info = signalInfo(task, group, signal, args.addr(2));
  if (isErrno(info)) return info;
  if (group.state === 'reaped') return ESRCH;
  if (signal < 0 || signal > SIGRTMAX) return EINVAL;
  if (!maySignal(task, group, signal)) return EPERM;
  if (signal !== 0) group.send(info);
  return 0;
}

function sysPidfdGetfd(task: Task, args: SyscallArgs): SysResult {
  if (args.u32(2) !== 0) return EINVAL;
  const file = pidfdAt(task, args.i32(0));
  if (isErrno(file)) return file;
  const other = file.group.anyTask;
  if (other === undefined || other.isDead) return ESRCH;
  if (!mayAccessProcess(task, file.group)) return EPERM;
  const wanted = other.files.getAny(args.i32(1));
  return isErrno(wanted) ? wanted : task.files.add(wanted, true);
}

export const pidfdRows: readonly Row[] = [
  direct(424, 'pidfd_send_signal', ['fd', 'signal', 'addr', 'hex'], sysPidfdSendSignal),
  direct(434, 'pidfd_open', ['pid', 'hex'], sysPidfdOpen),
  direct(438, 'pidfd_getfd', ['fd', 'fd', 'hex'], sysPidfdGetfd),
];
