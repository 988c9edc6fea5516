// SPDX-License-Identifier: Apache-2.0
// The end of threads and processes (exit(2), exit_group(2)), zombies, and who adopts orphans.

import { POLLIN } from '../../abi/poll.ts';
import {
  SA_NOCLDWAIT,
  SI_KERNEL,
  SI_USER,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
  SIGRTMAX,
} from '../../abi/signal.ts';
import { exitedStatus, infoOfStatus, signaledStatus } from '../../abi/wait.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { SignalSet } from '../base/sigset.ts';
import { undoSemaphores } from './ipc/leave.ts';
import { tracerEnded } from './ptrace/trace.ts';
import { wakeRobustList } from './robust-list.ts';
import { taskStopped } from './stop.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

const everySignal = new SignalSet(0xffffffff, 0xffffffff);

/** Ends one thread; the last one ends its process with `code`, whichever it is (Linux since 5.17). */
export function exitTask(task: Task, code: number): void {
  if (task.isDead) return;
  const group = task.group;
  if (group.tasks.size === 1) {
    groupExit(group, exitedStatus(code));
    return;
  }
  endTask(task, exitedStatus(code));
  group.exitQueue.notify(POLLIN);
  group.retarget(task, everySignal);
  passOnChildren(task);
  for (const other of group.tasks) {
    taskStopped(other); // It may have been the last that a stop of the process waited for.
    break;
  }
}

/** Ends a process with a wait status: every thread at once, wherever it is. */
export function groupExit(group: ThreadGroup, status: number): void {
  if (group.isExiting || group.isVirtual) return;
  group.state = 'exiting';
  group.exitStatus = status;
  group.stopRequested = false;
  group.intervalTimers?.cancel();
  group.cpuLimitTimer?.cancel();
  group.removeTimers();
  noteEnding(group);
  for (const task of [...group.tasks]) endTask(task, status);
  becomeZombie(group);
}

/** All threads of a process leave its memory together, where no other process uses it. */
export function noteEnding({ tasks, anyTask }: ThreadGroup): void {
  if (anyTask?.mm !== undefined) anyTask.mm.isEnding = anyTask.mm.userCount === tasks.size;
}

/**
 * Releases all that a thread holds. Its host thread ends with its address space or on its own.
 * `status` is for who observes tasks.
 */
export function endTask(task: Task, status = 0): void {
  const kernel = task.kernel;
  kernel.observer?.exited(task, status);
  dropThreadLists(task);
  const wasInGuest = task.state === 'guest';
  kernel.scheduler.abandon(task);
  task.state = 'dead';
  task.workPending = true; // Keeps the fast way back to the guest shut.
  task.group.tasks.delete(task);
  task.group.holdings.uncharge(OBJECT_COST.task);
  task.pids.removeTask(task);
  releaseMemory(task, wasInGuest);
  undoSemaphores(task);
  task.ipc.shm.taskEnded(task);
  task.files.release();
  task.fs.release();
  task.ipc.release();
  endBonds(task, status);
}

/** The thread is traced no more, unless its tracer is to hear how it ended, and traces nobody. */
function endBonds(task: Task, status: number): void {
  // A leader that ends before its process is heard of when the process has ended.
  if (task.trace !== undefined && !task.isLeader) task.trace.ended(status);
  if (task.group.tracees.size === 0) return;
  for (const orphan of tracerEnded(task)) groupExit(orphan.group, signaledStatus(SIGKILL, false));
}

/**
 * Treats what a thread leaves in its memory for others: robust futexes and the word that joiners
 * wait on.
 */
export function dropThreadLists(task: Task): void {
  // Where nobody shares any of the memory, nobody sees what is marked in it.
  const isSeen = isUsedByOthers(task.mm) || task.mm.map.sharedBytes > 0;
  if (isSeen) wakeRobustList(task);
  else task.robustList = 0;
  clearChildTid(task);
}

/** The thread no longer uses its address space: exec moved it on, or it ended. */
export function releaseMemory(task: Task, wasInGuest: boolean): void {
  const thread = task.thread;
  task.vforkDone?.();
  task.vforkDone = undefined;
  if (task.mm.userCount === 1) accountMemory(task);
  if (task.mm.release(thread)) {
    thread.owner = undefined; // The last user: the host process went with it.
    return;
  }
  thread.owner = undefined;
  if (task.mm.isEnding) return; // The last user takes all threads along.
  if (wasInGuest)
    thread.interrupt(); // Its stop finds no owner, and ends it then.
  else thread.exit();
}

/** The address space goes: what its host process used is the process's past. */
function accountMemory(task: Task): void {
  const { group, mm } = task;
  group.pastCpuNs += mm.space.usage().cpuNs;
  noteResident(task);
}

/** Keeps how much memory the process had, before its program gives it back (ru_maxrss). */
export function noteResident({ group, mm }: Task): void {
  const { residentBytes } = mm.space.usage();
  group.pastResidentBytes = Math.max(group.pastResidentBytes, residentBytes);
}

function isUsedByOthers(mm: Task['mm']): boolean {
  return mm.userCount > 1 && (!mm.isEnding || mm.map.sharedBytes > 0);
}

function clearChildTid(task: Task): void {
  if (task.clearChildTid === 0) return;
  const addr = task.clearChildTid;
  task.clearChildTid = 0;
  if (!isUsedByOthers(task.mm)) return; // Nobody is left to look.
  task.memory.writeU32(addr, 0);
  task.kernel.futexes.wakeAddress(task.mm, addr, 1);
}

function becomeZombie(group: ThreadGroup): void {
  group.state = 'zombie';
  leaveSession(group);
  if (group === group.pids.init) endNamespace(group);
  orphanChildren(group);
  if (group.parent !== undefined) hangUpOrphanedGroup(group, group.parent, group);
  group.exitQueue.notify(POLLIN);
  group.signalQueue.notify(POLLIN);
  group.container.processEnded(group);
  const trace = group.leader?.trace;
  if (trace !== undefined && trace.tracer.group !== group.parent) {
    trace.ended(group.exitStatus);
    trace.whenOver = () => tellParent(group);
    return;
  }
  trace?.end();
  tellParent(group);
}

function tellParent(group: ThreadGroup): void {
  if (group.parent === undefined)
    reap(group); // Whoever is outside was told.
  else announceDeath(group, group.parent);
}

/** Process 1 has ended: all others of its namespace are killed (zap_pid_ns_processes()). */
function endNamespace(init: ThreadGroup): void {
  for (const group of [...init.pids.groups.values()])
    if (group !== init) groupExit(group, signaledStatus(SIGKILL, false));
}

/** Linux's do_notify_parent: the signal, and the end of a zombie that nobody will wait for. */
function announceDeath(group: ThreadGroup, parent: ThreadGroup): void {
  if (parent.isVirtual || (parent.isExiting && parent === parent.pids.init)) {
    reap(group);
    return;
  }
  // A parent that execed meanwhile asked for nothing else.
  const isOther = group.parentExecCount !== parent.execCount;
  const signal = isOther ? SIGCHLD : group.exitSignal;
  const action = parent.actions.get(SIGCHLD);
  const isIgnored = signal === SIGCHLD && action.handler === SIG_IGN;
  const isUnwanted = isIgnored || (signal === SIGCHLD && (action.flags & SA_NOCLDWAIT) !== 0);
  // clone(2) takes any low byte as the signal.
  if (signal > 0 && signal <= SIGRTMAX && !isIgnored) parent.send({ signal, ...childInfo(group) });
  if (isUnwanted) reap(group);
  parent.childQueue.notify(POLLIN);
}

/** si_code, si_pid, si_uid, si_status of an exited child. */
export function childInfo(group: ThreadGroup): {
  code: number;
  pid: number;
  uid: number;
  status: number;
} {
  const uid = group.leader?.credentials.uid ?? 0;
  return { ...infoOfStatus(group.exitStatus), pid: group.id, uid };
}

/** A dead process of which another process than its parent is to hear first, as its tracer. */
export function isHeldByTracer(group: ThreadGroup): boolean {
  return group.leader?.trace?.exitStatus !== undefined;
}

/** Forgets a zombie. */
export function reap(group: ThreadGroup): void {
  if (group.state !== 'zombie') return;
  group.state = 'reaped';
  group.parent?.children.delete(group);
  group.processGroup.members.delete(group);
  if (group.processGroup.members.size === 0) group.pids.forgetProcessGroup(group.processGroup);
  group.pids.removeGroup(group);
  group.holdings.close();
}

function orphanChildren(group: ThreadGroup): void {
  const heir = newParent(group);
  for (const child of [...group.children]) {
    group.children.delete(child);
    child.parent = heir;
    child.creator = heir?.anyTask;
    heir?.children.add(child);
    child.exitSignal = SIGCHLD;
    tellOfParentDeath(child, group);
    if (child.state === 'zombie' && !isHeldByTracer(child)) {
      if (heir === undefined) reap(child);
      else announceDeath(child, heir);
    }
    hangUpOrphanedGroup(child, group, undefined);
  }
}

/** A thread ended before its process: its children are its siblings' now. */
function passOnChildren(task: Task): void {
  const { group } = task;
  for (const child of group.children) {
    if (child.creator !== task) continue;
    child.creator = group.anyTask;
    tellOfParentDeath(child, group);
  }
}

/** PR_SET_PDEATHSIG, of whatever threads of `child` asked for it. */
function tellOfParentDeath(child: ThreadGroup, parent: ThreadGroup): void {
  const uid = parent.leader?.credentials.uid ?? 0;
  for (const task of [...child.tasks]) {
    const signal = task.parentDeathSignal;
    if (signal !== 0) child.send({ signal, code: SI_USER, pid: parent.id, uid });
  }
}

/** The next subreaper, else process 1. Undefined while the latter ends: nobody is left to wait. */
function newParent(group: ThreadGroup): ThreadGroup | undefined {
  for (let ancestor = group.parent; ancestor !== undefined; ancestor = ancestor.parent) {
    if (ancestor.isSubreaper && !ancestor.isExiting) return ancestor;
  }
  const { init } = group.pids;
  return init === group ? undefined : init;
}

function leaveSession(group: ThreadGroup): void {
  const session = group.processGroup.session;
  if (session.leader !== group) return;
  session.leader = undefined;
  session.terminal?.sessionEnded(session);
  session.terminal = undefined;
}

/**
 * POSIX: a process group that became orphaned because `member` lost `parent` (or because `leaving`,
 * that is `member`, ended) and has stopped members gets SIGHUP and SIGCONT.
 */
function hangUpOrphanedGroup(
  member: ThreadGroup,
  parent: ThreadGroup,
  leaving: ThreadGroup | undefined,
): void {
  const { processGroup } = member;
  const kept =
    parent.processGroup !== processGroup && parent.processGroup.session === processGroup.session;
  if (!kept || !processGroup.isOrphaned(leaving)) return;
  const others = [...processGroup.members].filter((other) => other !== leaving);
  if (!others.some((other) => other.isStopped)) return;
  for (const other of others) {
    other.send({ signal: SIGHUP, code: SI_KERNEL });
    other.send({ signal: SIGCONT, code: SI_KERNEL });
  }
}
