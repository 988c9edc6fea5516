// SPDX-License-Identifier: Apache-2.0
// execve(2), execveat(2): a new program in a fresh address space, and what of the task survives.

import { CAP_SYS_PTRACE } from '../../abi/capability.ts';
import { EAGAIN, EINTR, EPERM, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { MS_NOSUID } from '../../abi/fs.ts';
import { SIGCHLD, SIGSEGV } from '../../abi/signal.ts';
import { S_ISGID, S_ISUID, S_IXGRP } from '../../abi/stat.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { XATTR_NAME_CAPS } from '../../abi/xattr.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import {
  credentialsAfterExec,
  type ExecIdentity,
  isSubset,
  lacksFileCapabilities,
  wantsOtherIds,
} from '../kernel/credentials.ts';
import {
  dropThreadLists,
  endTask,
  groupExit,
  noteEnding,
  noteResident,
  releaseMemory,
} from '../kernel/exit.ts';
import { type FileCapabilities, parseFileCapabilities } from '../kernel/file-capabilities.ts';
import { OneShot } from '../kernel/one-shot.ts';
import { HANDED_OVER, REGISTERS_SET } from '../kernel/result.ts';
import { noAlternateStack, type Task } from '../kernel/task.ts';
import type { FreshAddressSpace } from '../platform/platform.ts';
import { isCapable } from '../vfs/credentials.ts';
import { isOwned } from '../vfs/node.ts';
import { openForExec } from '../vfs/open.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { Path } from '../vfs/path.ts';
import { WALK_FOLLOW } from '../vfs/path-walk.ts';
import { MAY_READ, mayAccess } from '../vfs/permission.ts';
import {
  closeProgram,
  type LaidOutImage,
  type LoadedImage,
  type LoadRequest,
  layOutOpened,
  layOutProgram,
  loadProgram,
  openProgram,
  type ProgramIdentity,
  personalityAfter,
} from './load.ts';
import type { PackedStrings } from './packed-strings.ts';

const TASK_COMM_BYTES = 15;
/** A program with more is not emptied, which takes one host call for each 256 MiB, but left to the host. */
const MOST_BYTES_IN_PLACE = 4 * 1024 ** 3;
const MOST_VMAS_IN_PLACE = 512;

export interface ExecRequest {
  /** From openForExec; the caller keeps its reference. */
  readonly file: OpenFile;
  /** The path in the form that the guest used. */
  readonly path: string;
  readonly argv: PackedStrings;
  readonly envp: PackedStrings;
}

/**
 * Replaces the task's program. REGISTERS_SET, or an errno with nothing changed. Sleeps where the
 * host is slow.
 */
export function execute(task: Task, request: ExecRequest): MaybeBlocking {
  return executeInPlace(task, request) ?? executeInFresh(task, request);
}

/**
 * Loads the program into the task's own host process, which costs neither a new process nor the end
 * of the old one. Undefined where that cannot be: others use this memory too, there is much of it,
 * or the new program must not trust what the old one may have left in its stub: it has other rights,
 * or may not be read by whom it runs for.
 */
function executeInPlace(task: Task, request: ExecRequest): MaybeBlocking | undefined {
  const { mm, group, thread } = task;
  if (mm.userCount > 1 || group.tasks.size > 1 || !task.isLeader) return undefined;
  if (mm.map.vmas.size > MOST_VMAS_IN_PLACE || mm.map.totalBytes > MOST_BYTES_IN_PLACE)
    return undefined;
  const own = loadRequest(task, request, { space: mm.space, thread });
  const opened = openProgram(own);
  if (isErrno(opened)) return opened;
  const { secure, unreadable } = opened.identity;
  if (secure || unreadable) {
    closeProgram(opened);
    return undefined;
  }
  mm.begin(task);
  const image = layOutOpened({ ...own, replaced: mm }, opened);
  if (isErrno(image)) return image;
  dropThreadLists(task);
  noteResident(task);
  const done = new OneShot<SysResult>({ threadIsBusy: true });
  const flushed = mm.space.tryFlush(thread, (result) => done.set(result));
  const start = (result: SysResult): SysResult => startInPlace(task, request, image, result);
  return flushed === undefined ? startInPlaceOnceDone(done, start) : start(flushed);
}

function* startInPlaceOnceDone(
  done: OneShot<SysResult>,
  start: (flushed: SysResult) => SysResult,
): Blocking<SysResult> {
  let isLeft = true;
  try {
    const flushed = yield* done.wait();
    isLeft = false;
    return start(flushed);
  } finally {
    if (isLeft) start(EINTR);
  }
}

/**
 * The old program is gone from the host by now: where the new one is not there, nothing is
 * (force_fatal_sig).
 */
function startInPlace(
  task: Task,
  request: ExecRequest,
  image: LaidOutImage,
  flushed: SysResult,
): SysResult {
  const finished = image.finish(flushed);
  if (isErrno(finished)) {
    groupExit(task.group, signaledStatus(SIGSEGV, false));
    return HANDED_OVER;
  }
  task.vforkDone?.();
  task.vforkDone = undefined;
  task.mm.retire(task.thread);
  task.mm = image.mm;
  task.thread.queueLoadFpState(0);
  resetState(task, image.identity, request.path);
  return REGISTERS_SET;
}

function executeInFresh(task: Task, request: ExecRequest): MaybeBlocking {
  const ready = new OneShot<boolean>();
  const fresh = tryFresh(task, ready);
  if (fresh === undefined) return executeOnceReady(task, request, ready);
  return isErrno(fresh) ? fresh : loadInto(fresh, task, request);
}

/** The very first program of the sandbox: `task` has no memory yet. 0 or an errno. */
export function executeFirst(task: Task, request: ExecRequest): SysResult {
  const fresh = task.kernel.platform.newAddressSpace(task.group.container.processPool);
  if (isErrno(fresh)) return fresh;
  const image = loadProgram(loadRequest(task, request, fresh));
  if (isErrno(image)) {
    fresh.space.destroy();
    return image;
  }
  adopt(task, fresh, image);
  resetState(task, image.identity, request.path);
  return 0;
}

function tryFresh(task: Task, ready: OneShot<boolean>): Result<FreshAddressSpace> | undefined {
  const { processPool } = task.group.container;
  return task.kernel.platform.tryNewAddressSpace(processPool, (isReady) => ready.set(isReady));
}

function* executeOnceReady(
  task: Task,
  request: ExecRequest,
  ready: OneShot<boolean>,
): Blocking<SysResult> {
  for (let next = ready; ; ) {
    if (!(yield* next.wait())) return EAGAIN;
    next = new OneShot();
    const fresh = tryFresh(task, next);
    if (fresh === undefined) continue;
    if (isErrno(fresh)) return fresh;
    const loaded = loadInto(fresh, task, request);
    return typeof loaded === 'number' ? loaded : yield* loaded;
  }
}

function loadInto(fresh: FreshAddressSpace, task: Task, request: ExecRequest): MaybeBlocking {
  const image = layOutProgram(loadRequest(task, request, fresh));
  if (isErrno(image)) {
    fresh.space.destroy();
    return image;
  }
  const done = new OneShot<SysResult>();
  const flushed = fresh.space.tryFlush(fresh.thread, (result) => done.set(result));
  const start = (result: SysResult): SysResult => startProgram(task, request, fresh, image, result);
  return flushed === undefined ? startOnceDone(task, done, start) : start(flushed);
}

function* startOnceDone(
  task: Task,
  done: OneShot<SysResult>,
  start: (flushed: SysResult) => SysResult,
): Blocking<SysResult> {
  const { noNewPrivileges } = task;
  const shares = sharesFs(task);
  const isTraced = isTracedByOthers(task);
  let isLeft = true;
  try {
    const flushed = yield* done.wait();
    isLeft = false;
    // Another thread's seccomp(2) and clone(2) can set them meanwhile, and what the program gets was
    // judged without.
    const isAsJudged =
      task.noNewPrivileges === noNewPrivileges &&
      sharesFs(task) === shares &&
      isTracedByOthers(task) === isTraced;
    return start(isAsJudged ? flushed : EAGAIN);
  } finally {
    if (isLeft) start(EINTR);
  }
}

function startProgram(
  task: Task,
  request: ExecRequest,
  fresh: FreshAddressSpace,
  image: LaidOutImage,
  flushed: SysResult,
): SysResult {
  const finished = image.finish(flushed);
  if (isErrno(finished)) {
    fresh.space.destroy();
    return finished;
  }
  becomeLeader(task);
  dropThreadLists(task);
  releaseMemory(task, false);
  adopt(task, fresh, image);
  resetState(task, image.identity, request.path);
  return REGISTERS_SET;
}

function loadRequest(task: Task, request: ExecRequest, fresh: FreshAddressSpace): LoadRequest {
  const { kernel } = task;
  return {
    ...request,
    ...kernel.program,
    ...(task.group.container.time !== undefined && { vdso: task.group.container.time.vdso }),
    fresh,
    guestTop: kernel.platform.guestTop,
    limits: task.group.limits,
    personality: task.group.personality,
    randomFill: kernel.randomFill,
    open: (path) => openForExec(task, AT_FDCWD, path, WALK_FOLLOW),
    identify: (executable) => identify(task, executable),
  };
}

/** The tracer, who could lead the program astray, may not do so to any program. */
function isTracedByOthers({ trace }: Task): boolean {
  return trace !== undefined && !isCapable(trace.tracer.credentials, CAP_SYS_PTRACE);
}

function identify(task: Task, executable: OpenFile): Result<ProgramIdentity> {
  const attributes = executable.node.attributes();
  if (isErrno(attributes)) return attributes;
  const old = task.credentials;
  const mountFlags = (executable.path as Path | undefined)?.mount?.flags ?? 0;
  const honoursMount = (mountFlags & MS_NOSUID) === 0;
  const { mode, uid, gid } = attributes;
  const honoured = honoursMount && isOwned(attributes) && !task.noNewPrivileges;
  const fileCapabilities = honoursMount ? fileCapabilitiesOf(executable) : undefined;
  if (fileCapabilities !== undefined && lacksFileCapabilities(old, fileCapabilities)) return EPERM;
  const identity: ExecIdentity = {
    setUid: honoured && (mode & S_ISUID) !== 0 ? uid : undefined,
    setGid: honoured && (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) ? gid : undefined,
    noNewPrivileges: task.noNewPrivileges,
    sharesFs: sharesFs(task),
    isTraced: isTracedByOthers(task),
    fileCapabilities,
  };
  const credentials = credentialsAfterExec(old, identity);
  const gains = credentials.uid !== 0 && !isSubset(credentials.permitted, credentials.ambient);
  const secure =
    wantsOtherIds(old, identity) ||
    credentials.euid !== credentials.uid ||
    credentials.egid !== credentials.gid ||
    gains;
  // Who may not read a program shall not read it out of its process (would_dump of fs/exec.c).
  const unreadable = isErrno(mayAccess(old, executable.node, MAY_READ));
  return { credentials, secure, unreadable };
}

/** Returns whether a task of another process shares the root and working directory (check_unsafe_exec). */
function sharesFs({ fs, group }: Task): boolean {
  let own = 0;
  for (const task of group.tasks) if (task.fs === fs) own += 1;
  return fs.holders > own;
}

function fileCapabilitiesOf(executable: OpenFile): FileCapabilities | undefined {
  const bytes = executable.node.getXattr(XATTR_NAME_CAPS);
  return isErrno(bytes) ? undefined : parseFileCapabilities(bytes);
}

/** The other threads end, and the caller takes the leader's place and id. */
function becomeLeader(task: Task): void {
  const { group, pids } = task;
  noteEnding(group);
  for (const other of [...group.tasks]) if (other !== task) endTask(other);
  if (task.isLeader) return;
  // The caller takes the leader's place also for a tracer, who hears of the exec alone.
  group.leader?.trace?.end();
  pids.removeTask(task);
  task.tid = group.id;
  pids.addTask(task);
  group.leader = task;
  for (const child of group.children) child.creator = task;
}

function adopt(task: Task, fresh: FreshAddressSpace, image: LoadedImage): void {
  task.mm = image.mm;
  task.thread = fresh.thread;
  task.thread.owner = task;
  task.args.words = task.thread.syscall;
}

function resetState(task: Task, identity: ProgramIdentity, path: string): void {
  const { group } = task;
  if (task.files.isShared) {
    const own = task.files.fork();
    task.files.release();
    task.files = own;
  }
  task.files.closeOnExec();
  group.actions = group.actions.fork(); // CLONE_SIGHAND without CLONE_THREAD may share them.
  group.actions.resetHandled();
  task.alternateStack = noAlternateStack;
  for (const timer of group.posixTimers.values()) group.removeTimer(timer);
  task.credentials = identity.credentials;
  task.comm = path.slice(path.lastIndexOf('/') + 1).slice(0, TASK_COMM_BYTES);
  task.thread.showName(task.comm);
  task.mm.space.queueShownArguments(task.mm.image, task.thread);
  task.restart = undefined;
  group.hasExecuted = true;
  group.execCount += 1;
  group.exitSignal = SIGCHLD; // Whatever clone(2) was asked for.
  group.dumpable = identity.secure || identity.unreadable ? 0 : 1;
  group.personality = personalityAfter(group.personality, identity);
  if (identity.secure) task.parentDeathSignal = 0;
}
