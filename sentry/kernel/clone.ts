// SPDX-License-Identifier: Apache-2.0
// New tasks: fork(2), vfork(2), clone(2), clone3(2). The platform makes the host thread or process;
// the kernel decides what the child shares with its parent and what is copied.

import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../abi/capability.ts';
import {
  EAGAIN,
  EINVAL,
  ENOMEM,
  EPERM,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PIDFD_THREAD } from '../../abi/pidfd.ts';
import { PTRACE_EVENT_VFORK_DONE, PTRACE_O_TRACEVFORKDONE } from '../../abi/ptrace.ts';
import { RLIMIT_NPROC } from '../../abi/resource.ts';
import {
  CLONE_CHILD_SETTID,
  CLONE_FILES,
  CLONE_NAMESPACES,
  CLONE_NEWIPC,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  SCHED_DEADLINE,
} from '../../abi/sched.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import type { Blocking } from '../base/wait.ts';
import type { ForkedAddressSpace } from '../platform/address-space.ts';
import { type GuestThread, REG, setRegister } from '../platform/guest-thread.ts';
import { isCapable } from '../vfs/credentials.ts';
import { forkTask } from './fork-task.ts';
import { hostResult } from './host-result.ts';
import { IpcNamespace } from './ipc/ipc-namespace.ts';
import { OneShot } from './one-shot.ts';
import { cloneEvent, traceChild } from './ptrace/attach.ts';
import type { Task } from './task.ts';

/** The arguments of all four system calls. */
export interface CloneRequest {
  /** The low word of the flags, without CSIGNAL. */
  readonly flags: number;
  readonly exitSignal: number;
  /** The child's stack pointer; 0 keeps the caller's. */
  readonly stackPointer: number;
  readonly parentTidAddr: number;
  readonly childTidAddr: number;
  readonly tls: number;
  readonly pidfdAddr: number;
  readonly clearHandlers: boolean;
  /** The pid that clone3's set_tid asks for; 0 for none. */
  readonly wantedPid: number;
}

export const plainFork: CloneRequest = {
  flags: 0,
  exitSignal: 17,
  stackPointer: 0,
  parentTidAddr: 0,
  childTidAddr: 0,
  tls: 0,
  pidfdAddr: 0,
  clearHandlers: false,
  wantedPid: 0,
};

/** The kinds of namespaces that guests can make with clone and unshare. */
export const MAKEABLE_NAMESPACES = CLONE_NEWIPC | CLONE_NEWUTS;

/** Checks the request before any work is done for it. Returns 0 or the errno. */
export function checkClone(task: Task, request: CloneRequest): SysResult {
  const { flags } = request;
  if ((flags & CLONE_THREAD) !== 0 && (flags & CLONE_SIGHAND) === 0) return EINVAL;
  if ((flags & CLONE_SIGHAND) !== 0 && (flags & CLONE_VM) === 0) return EINVAL;
  if ((flags & CLONE_SIGHAND) !== 0 && request.clearHandlers) return EINVAL;
  // Process 1 has no parent in its namespace, so nobody would wait for a sibling of process 1.
  if ((flags & CLONE_PARENT) !== 0 && task.group === task.pids.init) return EINVAL;
  if ((flags & CLONE_NAMESPACES) !== 0) {
    if (!isCapable(task.credentials, CAP_SYS_ADMIN)) return EPERM;
    if ((flags & CLONE_NAMESPACES & ~MAKEABLE_NAMESPACES) !== 0) return EINVAL;
    // Undo lists of semaphores cannot be shared across IPC namespaces.
    if ((flags & CLONE_NEWIPC) !== 0 && (flags & CLONE_SYSVSEM) !== 0) return EINVAL;
  }
  if ((flags & CLONE_PIDFD) !== 0) {
    // Both would be written to one place: always so in clone(2), which has one argument for them.
    if ((flags & CLONE_PARENT_SETTID) !== 0 && request.pidfdAddr === request.parentTidAddr)
      return EINVAL;
  }
  if ((flags & CLONE_SETTLS) !== 0 && request.tls >= task.kernel.platform.guestTop) return EPERM;
  const { policy, resetsOnFork } = task.scheduling;
  if (policy === SCHED_DEADLINE && !resetsOnFork) return EAGAIN;
  if (exceedsProcessLimit(task)) return EAGAIN;
  return 0;
}

function exceedsProcessLimit(task: Task): boolean {
  const limit = task.group.limits.soft(RLIMIT_NPROC);
  const { uid } = task.credentials;
  if (task.kernel.tasks.size < limit || uid === 0) return false;
  if (isCapable(task.credentials, CAP_SYS_ADMIN) || isCapable(task.credentials, CAP_SYS_RESOURCE))
    return false;
  let count = 0;
  for (const other of task.kernel.tasks) if (other.credentials.uid === uid) count += 1;
  return count >= limit;
}

/**
 * Makes the child and starts it; with CLONE_VFORK sleeps until the child gives the memory back.
 * Returns the tid or an errno.
 */
export function* cloneTask(task: Task, request: CloneRequest): Blocking<SysResult> {
  const { flags } = request;
  const kernel = task.kernel;
  const tid = task.pids.allocatePid(task.group.container);
  if (tid === undefined) return EAGAIN;
  const isThread = (flags & CLONE_VM) !== 0;
  // What a child has copies of costs as much as the caller's.
  const mapBytes = isThread ? 0 : task.mm.map.vmas.size * OBJECT_COST.vma;
  const tableBytes = (flags & CLONE_FILES) === 0 ? task.files.placeBytes : 0;
  const bytes = OBJECT_COST.process + OBJECT_COST.task + mapBytes + tableBytes;
  if (!task.group.account.hasRoomBesideGuests(bytes)) return ENOMEM;
  const made = isThread ? yield* hostThread(task) : yield* hostFork(task);
  if (isErrno(made)) return made;
  if ((flags & CLONE_PIDFD) !== 0) {
    const announced = announcePidfd(task, request.pidfdAddr);
    if (isErrno(announced)) {
      undo(made);
      return announced;
    }
  }
  const ipc = (flags & CLONE_NEWIPC) === 0 ? task.ipc : IpcNamespace.forGuest(kernel);
  if (isErrno(ipc)) {
    undo(made);
    return ipc;
  }
  const child = forkTask(task, request, { tid, made, ipc });
  setUpRegisters(child.thread, request);
  if ((flags & CLONE_PARENT_SETTID) !== 0) task.memory.writeU32(request.parentTidAddr, tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) child.memory.writeU32(request.childTidAddr, tid);
  if ((flags & CLONE_PIDFD) !== 0) addPidfd(task, child, flags);
  const event = cloneEvent(task, flags, request.exitSignal);
  traceChild(task, child, flags, event);
  const released = (flags & CLONE_VFORK) === 0 ? undefined : new OneShot<true>();
  if (released !== undefined) child.vforkDone = () => released.set(true);
  kernel.scheduler.start(child);
  if (event !== undefined && task.trace !== undefined) yield* task.trace.holdEvent(event, tid);
  if (released === undefined) return tid;
  yield* released.wait();
  if (task.trace?.has(PTRACE_O_TRACEVFORKDONE) === true)
    yield* task.trace.holdEvent(PTRACE_EVENT_VFORK_DONE, tid);
  return tid;
}

/**
 * Writes the number of the pidfd while the child can still be undone; nothing runs until addPidfd()
 * gives it away.
 */
function announcePidfd(task: Task, addr: number): SysResult {
  const fd = task.files.next();
  return isErrno(fd) ? fd : task.memory.writeU32(addr, fd);
}

/** After the child has got its copy of the descriptors: the pidfd is not among them. */
function addPidfd(task: Task, child: Task, flags: number): void {
  const file =
    (flags & CLONE_THREAD) === 0
      ? task.kernel.newPidfd(task, child.group, 0)
      : task.kernel.newPidfd(task, child.group, PIDFD_THREAD, child);
  task.files.add(file, true);
}

function setUpRegisters(thread: GuestThread, request: CloneRequest): void {
  const registers = thread.registers();
  setRegister(registers, REG.rax, 0);
  if (request.stackPointer !== 0) setRegister(registers, REG.rsp, request.stackPointer);
  if ((request.flags & CLONE_SETTLS) !== 0) setRegister(registers, REG.fsBase, request.tls);
  thread.registersChanged();
}

function hostThread(task: Task): Blocking<Result<GuestThread>> {
  return hostResult<GuestThread>((done) => task.mm.space.newThread(task.thread, done), undo);
}

function hostFork(task: Task): Blocking<Result<ForkedAddressSpace>> {
  return hostResult<ForkedAddressSpace>((done) => task.mm.space.fork(task.thread, done), undo);
}

function undo(made: GuestThread | ForkedAddressSpace): void {
  if ('thread' in made) made.space.destroy();
  else made.exit();
}
