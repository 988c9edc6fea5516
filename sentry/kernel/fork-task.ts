// SPDX-License-Identifier: Apache-2.0
// What a new task and a new process begin with: everything that is inherited stands here
// (copy_process() of Linux). What is not named here a child does not have; fork-task.test.ts holds
// that each field of Task and ThreadGroup has been decided on.
import {
  CLONE_CHILD_CLEARTID,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
} from '../../abi/sched.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import type { ForkedAddressSpace } from '../platform/address-space.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { CloneRequest } from './clone.ts';
import { watchCpuLimit } from './cpu-limit.ts';
import type { IpcNamespace } from './ipc/ipc-namespace.ts';
import { UndoList } from './ipc/semaphore-undo.ts';
import { inheritScheduling } from './scheduling.ts';
import { SyscallArgs } from './syscall-args.ts';
import { Task } from './task.ts';
import { ThreadGroup } from './thread-group.ts';

/** The parts that were made for the child alone. */
export interface ChildParts {
  readonly tid: number;
  /** The host's thread, or its process with a copy of the memory. */
  readonly made: GuestThread | ForkedAddressSpace;
  /** CLONE_NEWIPC; else the parent's. */
  readonly ipc: IpcNamespace;
}

/** The child of `parent`, with all that it inherits: not yet started. */
export function forkTask(
  parent: Task,
  request: CloneRequest,
  { tid, made, ipc }: ChildParts,
): Task {
  const { flags } = request;
  const kernel = parent.kernel;
  const group = (flags & CLONE_THREAD) === 0 ? newGroup(parent, request, tid) : parent.group;
  const thread = 'thread' in made ? made.thread : made;
  const child = new Task({
    kernel,
    tid,
    group,
    credentials: parent.credentials,
    mm: 'thread' in made ? parent.mm.fork(made.space, made.thread) : parent.mm.acquire(),
    files: (flags & CLONE_FILES) === 0 ? parent.files.fork() : parent.files.acquire(),
    fs: (flags & CLONE_FS) === 0 ? parent.fs.fork() : parent.fs.acquire(),
    uts: (flags & CLONE_NEWUTS) === 0 ? parent.uts : parent.uts.fork(parent),
    ipc,
    thread,
    args: new SyscallArgs(thread.syscall),
    comm: parent.comm,
  });
  if ((flags & CLONE_SYSVSEM) !== 0) {
    parent.undo ??= new UndoList(kernel.ipcMemory);
    child.undo = parent.undo.acquire();
  }
  child.signalMask = parent.signalMask.clone();
  if ((flags & CLONE_VM) === 0 || (flags & CLONE_VFORK) !== 0)
    child.alternateStack = parent.alternateStack;
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTidAddr;
  child.noNewPrivileges = parent.noNewPrivileges;
  child.seccomp = parent.seccomp;
  if (group !== parent.group) payForInheritance(child);
  inheritScheduling(child, parent);
  child.timerSlackNs = parent.timerSlackNs;
  child.memoryFailurePolicy = parent.memoryFailurePolicy;
  child.memoryPolicy = parent.memoryPolicy;
  thread.owner = child;
  group.leader ??= child;
  group.tasks.add(child);
  child.pids.addTask(child);
  kernel.forkCount += 1;
  return child;
}

/** Charges the child for what it shares with its parent, because it may keep that longer. */
function payForInheritance({ group, credentials, seccomp }: Task): void {
  group.holdings.force(credentials.groups.length * OBJECT_COST.group);
  group.holdings.force((seccomp?.newest?.cost ?? 0) * OBJECT_COST.filterInstruction);
}

function newGroup(parent: Task, request: CloneRequest, id: number): ThreadGroup {
  const { flags } = request;
  const old = parent.group;
  const sharesHandlers = (flags & CLONE_SIGHAND) !== 0;
  const actions = sharesHandlers ? old.actions : old.actions.fork();
  if (request.clearHandlers) actions.clearHandlers();
  const heir = (flags & CLONE_PARENT) === 0 ? old : old.parent;
  const group = new ThreadGroup({
    container: old.container,
    id,
    parent: heir,
    processGroup: old.processGroup,
    limits: old.limits.fork(),
    actions,
  });
  group.exitSignal = (flags & CLONE_PARENT) === 0 ? request.exitSignal : old.exitSignal;
  group.creator = (flags & CLONE_PARENT) === 0 ? parent : old.creator;
  group.parentExecCount = heir?.execCount ?? 0;
  group.leftTerminal = old.leftTerminal;
  group.dumpable = old.dumpable;
  group.personality = old.personality;
  group.oomScoreAdjustment = old.oomScoreAdjustment;
  group.pids.addGroup(group);
  watchCpuLimit(group);
  return group;
}
