// SPDX-License-Identifier: Apache-2.0
// pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import {
  PIDFD_NONBLOCK,
  PIDFD_SIGNAL_PROCESS_GROUP,
  PIDFD_SIGNAL_THREAD,
  PIDFD_SIGNAL_THREAD_GROUP,
  PIDFD_THREAD,
} from '../../abi/pidfd.ts';
import { SI_TKILL, SI_USER, SIGRTMAX, SIGRTMIN } from '../../abi/signal.ts';
import { AnonymousFileSystem, AnonymousNode } from '../fs/anon/anonymous-node.ts';
import { Subject } from '../fs/proc/subject.ts';
import { PseudoDirectory } from '../fs/pseudo/directory.ts';
import type { KernelOptions } from '../kernel/kernel.ts';
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

/** The kernel makes those of CLONE_PIDFD with it: the nodes of descriptors live above its layer. */
export const newPidfd: KernelOptions['newPidfd'] = (task, group, flags, thread) => {
  const { euid, egid } = task.credentials;
  const node = new AnonymousNode(pidfs, PIDFD_MODE, thread?.serial ?? group.serial, {
    uid: euid,
    gid: egid,
    time: task.kernel.clock.realtime(),
  });
  return new PidFd(group, node, O_RDWR | flags, thread);
};

function sysPidfdOpen(task: Task, args: SyscallArgs): SysResult {
  const [pid, flags] = [args.i32(0), args.u32(1)];
  if (pid <= 0 || (flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD)) !== 0) return EINVAL;
  const group = task.pids.groups.get(pid);
  if ((flags & PIDFD_THREAD) === 0) {
    if (group === undefined) return task.pids.tasks.has(pid) ? EINVAL : ESRCH;
    return task.files.add(task.kernel.newPidfd(task, group, flags), true);
  }
  // A leader that ended before its siblings, or a zombie, has its id still.
  const thread = task.pids.tasks.get(pid) ?? group?.leader;
  const owner = thread?.group ?? group;
  if (owner === undefined) return ESRCH;
  return task.files.add(task.kernel.newPidfd(task, owner, flags, thread), true);
}

function pidfdAt(task: Task, fd: number): Result<PidFd> {
  const file = task.files.get(fd);
  if (isErrno(file)) return file;
  return file instanceof PidFd ? file : EBADF;
}

/** Whom pidfd_send_signal(2) signals. */
interface Addressee {
  /** That of the descriptor, which only a thread's is unlike its process's. */
  readonly id: number;
  readonly group: ThreadGroup;
  readonly isGone: boolean;
  /** The signal is for this thread alone. */
  readonly thread: Task | undefined;
  readonly toThread: boolean;
}

/**
 * Returns the addressee that a pidfd or a directory /proc/PID names; `scope` is one PIDFD_SIGNAL_*,
 * or 0.
 */
function addresseeAt(task: Task, fd: number, scope: number): Result<Addressee> {
  const file = task.files.getAny(fd);
  if (isErrno(file)) return file;
  if (file instanceof PidFd) {
    const toThread = scope === 0 ? file.isOfThread : scope === PIDFD_SIGNAL_THREAD;
    const thread = file.isOfThread ? file.task : file.group.leader;
    return { id: file.tid, group: file.group, isGone: file.isGone, thread, toThread };
  }
  const { node } = file;
  if (!(node instanceof PseudoDirectory) || !(node.subject instanceof Subject)) return EBADF;
  if (node.subject.thread !== undefined) return EBADF;
  const { group } = node.subject;
  const toThread = scope === PIDFD_SIGNAL_THREAD;
  const isGone = group.state === 'reaped';
  return { id: group.id, group, isGone, thread: group.leader, toThread };
}

/** Returns the signal's information as kill(2) makes it, or as the guest wrote it. */
function signalInfo(
  task: Task,
  { id, toThread }: Addressee,
  { signal, addr, toMany }: { signal: number; addr: number; toMany: boolean },
): Result<SignalInfo> {
  const code = toThread ? SI_TKILL : SI_USER;
  if (addr === 0) return { signal, code, pid: task.group.id, uid: task.credentials.uid };
  const toSelf = !toMany && id === task.tid; // Of one namespace, both.
  const info = readQueuedInfo(task, addr, signal, toSelf);
  if (isErrno(info) || info.raw === undefined) return info;
  const { buffer } = info.raw;
  return new DataView(buffer).getInt32(0, true) === signal ? info : EINVAL;
}

function sysPidfdSendSignal(task: Task, args: SyscallArgs): SysResult {
  const scope = args.u32(3);
  const scopes = PIDFD_SIGNAL_THREAD | PIDFD_SIGNAL_THREAD_GROUP | PIDFD_SIGNAL_PROCESS_GROUP;
  if ((scope & ~scopes) !== 0 || (scope & (scope - 1)) !== 0) return EINVAL;
  const to = addresseeAt(task, args.i32(0), scope);
  if (isErrno(to)) return to;
  const { group } = to;
  if (group.pids !== task.pids) return EINVAL; // Came from another container; Linux's access_pidfd_pidns().
  const toMany = scope === PIDFD_SIGNAL_PROCESS_GROUP;
  const info = signalInfo(task, to, { signal: args.i32(1), addr: args.addr(2), toMany });
  if (isErrno(info)) return info;
  if (toMany) return sendToProcessGroup(task, to, info);
  if (to.isGone) return ESRCH;
  return to.toThread ? sendToThread(task, to, info) : sendToProcess(task, group, info);
}

const isSignalOrZero = (signal: number): boolean => signal >= 0 && signal <= SIGRTMAX;

function sendToProcess(task: Task, group: ThreadGroup, info: SignalInfo): SysResult {
  const { signal } = info;
  if (!isSignalOrZero(signal)) return EINVAL;
  if (!maySignal(task, group, signal)) return EPERM;
  if (signal !== 0) group.send(info);
  return 0;
}

function sendToThread(task: Task, { group, thread }: Addressee, info: SignalInfo): SysResult {
  const { signal } = info;
  if (!isSignalOrZero(signal)) return EINVAL;
  if (!maySignal(task, group, signal, thread)) return EPERM;
  if (signal === 0 || thread === undefined || thread.isDead) return 0;
  if (signal >= SIGRTMIN && thread.queueLimitReached()) return EAGAIN;
  thread.sendSignal(info);
  return 0;
}

/** The id of the descriptor is taken for a process group's. */
function sendToProcessGroup(task: Task, { id }: Addressee, info: SignalInfo): SysResult {
  const members = task.pids.processGroups.get(id)?.members ?? [];
  let result: SysResult = ESRCH;
  for (const member of [...members]) {
    const one = sendToProcess(task, member, info);
    if (result !== 0) result = one;
  }
  return result;
}

function sysPidfdGetfd(task: Task, args: SyscallArgs): SysResult {
  if (args.u32(2) !== 0) return EINVAL;
  const file = pidfdAt(task, args.i32(0));
  if (isErrno(file)) return file;
  const other = file.task;
  if (other === undefined || other.isDead) return ESRCH;
  if (!mayAccessProcess(task, file.group, 'real')) return EPERM;
  const wanted = other.files.getAny(args.i32(1));
  return isErrno(wanted) ? wanted : task.files.add(wanted, true);
}

export const pidfdRows: readonly Row[] = [
  direct(424, 'pidfd_send_signal', ['fd', 'signal', 'addr', 'hex'], sysPidfdSendSignal),
  direct(434, 'pidfd_open', ['pid', 'hex'], sysPidfdOpen),
  direct(438, 'pidfd_getfd', ['fd', 'fd', 'hex'], sysPidfdGetfd),
];
