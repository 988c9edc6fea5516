// SPDX-License-Identifier: Apache-2.0
// Processes that are made from outside: a container's main one, and those of `runts exec`. A task
// made from nothing, and the command found as a shell would.
import {
  EACCES,
  EAGAIN,
  ENOENT,
  ENOTDIR,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import type { Container } from '../kernel/container.ts';
import { watchCpuLimit } from '../kernel/cpu-limit.ts';
import type { Limits } from '../kernel/limits.ts';
import { answerToExecve } from '../kernel/seccomp/enforce.ts';
import type { Seccomp } from '../kernel/seccomp/seccomp.ts';
import { SignalActions } from '../kernel/signal-state.ts';
import { SyscallArgs } from '../kernel/syscall-args.ts';
import { Task } from '../kernel/task.ts';
import { ThreadGroup } from '../kernel/thread-group.ts';
import type { MemoryManager } from '../mm/memory-manager.ts';
import type { GuestThread } from '../platform/guest-thread.ts';
import type { Credentials } from '../vfs/credentials.ts';
import type { FdTable } from '../vfs/fd-table.ts';
import type { FsContext } from '../vfs/fs-context.ts';
import { openForExec } from '../vfs/open.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { WALK_FOLLOW } from '../vfs/path-walk.ts';
import { executeFirst } from './exec.ts';
import { PackedStrings } from './packed-strings.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface NewProcess {
  readonly container: Container;
  /**
   * The container's main process: process 1 where its PID namespace has none yet. Else one more
   * beside it.
   */
  readonly asMain: boolean;
  readonly credentials: Credentials;
  /** Holds the standard descriptors already. The process's from here on, even where it cannot be made. */
  readonly files: FdTable;
  readonly fs: FsContext;
  readonly limits: Limits;
  /** argv[0] is the command: a path where it has a '/', else looked for in PATH of `envp`. Byte strings. */
  readonly argv: readonly string[];
  readonly envp: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Holds from the execve on that loads the program. */
  readonly seccomp: Seccomp | undefined;
  readonly oomScoreAdjustment: number;
  /** It will be given a terminal, and so has to lead a session. */
  readonly hasTerminal: boolean;
}

/**
 * Makes a process, with its program loaded and not running yet:
 * startProcess follows, or a signal that kills it. Or the errno of finding or loading the command:
 * then nothing is left of it.
 */
export function prepareProcess(request: NewProcess): Result<Task> {
  const task = newTask(request);
  if (isErrno(task)) {
    request.files.release();
    request.fs.release();
    return task;
  }
  const error = findAndExecute(task, request);
  if (isErrno(error)) {
    forget(task);
    return error;
  }
  if (request.asMain) request.container.state = 'created';
  watchCpuLimit(task.group);
  return task;
}

/** A prepared process runs; nothing where it was killed meanwhile. */
export function startProcess(task: Task): void {
  const { container } = task.group;
  if (task.isDead) return;
  if (container.main === task.group) container.state = 'running';
  task.kernel.scheduler.start(task);
}

function newTask(request: NewProcess): Result<Task> {
  const { container, asMain } = request;
  const { pids, kernel } = container;
  // A container has one main process in its life, and others only beside it.
  const isPossible = asMain
    ? container.state === 'creating'
    : container.state === 'created' || container.state === 'running';
  if (!isPossible) return ESRCH;
  const id = pids.allocatePid(container);
  if (id === undefined) return EAGAIN;
  const group = newGroup(request, id);
  const task = new Task({
    kernel,
    tid: id,
    group,
    credentials: request.credentials,
    // executeFirst gives it memory and a thread before anything looks at them.
    mm: undefined as unknown as MemoryManager,
    thread: undefined as unknown as GuestThread,
    files: request.files,
    fs: request.fs,
    args: new SyscallArgs(new Uint32Array(14)),
    comm: 'init',
  });
  task.noNewPrivileges = request.noNewPrivileges;
  task.seccomp = request.seccomp;
  group.leader = task;
  group.tasks.add(task);
  pids.addTask(task);
  pids.addGroup(group);
  joinSession(group, request.hasTerminal);
  kernel.forkCount += 1;
  return task;
}

/**
 * Puts a process into the session of the Sentry's init, as a shell does with a job. Else a
 * pseudo-terminal that the process opens would become its controlling terminal (O_NOCTTY is rarely
 * given), and the hang-up of that would kill it. The leader of a session is a process with a
 * terminal, and one of a container as with runc.
 */
function joinSession(group: ThreadGroup, hasTerminal: boolean): void {
  const { init } = group.pids;
  const session = init?.isVirtual === true ? init.processGroup.session : undefined;
  if (session === undefined || hasTerminal) group.pids.newSession(group);
  else group.pids.newProcessGroup(group, session);
}

function newGroup({ container, asMain, limits, ...request }: NewProcess, id: number): ThreadGroup {
  const { pids } = container;
  const group = new ThreadGroup({
    container,
    id,
    // Of processes with an init of the Sentry's that is the parent; else whoever is outside.
    parent: pids.init?.isVirtual === true ? pids.init : undefined,
    processGroup: undefined,
    limits,
    actions: new SignalActions(),
  });
  group.oomScoreAdjustment = request.oomScoreAdjustment;
  if (asMain) {
    container.main = group;
    if (pids.init === undefined) {
      pids.init = group;
      group.isUnkillable = true;
    }
  }
  return group;
}

function findAndExecute(task: Task, { argv, envp, seccomp }: NewProcess): SysResult {
  const refused = seccomp === undefined ? 0 : answerToExecve(seccomp);
  if (isErrno(refused)) return refused;
  const found = findCommand(task, argv[0] ?? '', envp);
  if (isErrno(found)) return found;
  found.file.acquire();
  const result = executeFirst(task, {
    ...found,
    argv: PackedStrings.of(argv),
    envp: PackedStrings.of(envp),
  });
  found.file.release();
  if (!isErrno(result)) task.kernel.observer?.started(task, found.path, argv, envp);
  return result;
}

interface FoundCommand {
  readonly file: OpenFile;
  readonly path: string;
}

/**
 * Finds a command in PATH, as execvp(3) does: EACCES from one directory does not end the search,
 * but is remembered.
 */
function findCommand(task: Task, command: string, envp: readonly string[]): Result<FoundCommand> {
  if (command === '') return ENOENT;
  if (command.includes('/')) return openCommand(task, command);
  const path = envp.find((entry) => entry.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH;
  let error = ENOENT;
  for (const directory of path.split(':')) {
    const found = openCommand(task, `${directory === '' ? '.' : directory}/${command}`);
    if (!isErrno(found)) return found;
    if (found === EACCES) error = EACCES;
    else if (found !== ENOENT && found !== ENOTDIR) return found;
  }
  return error;
}

function openCommand(task: Task, path: string): Result<FoundCommand> {
  const file = openForExec(task, AT_FDCWD, path, WALK_FOLLOW);
  return isErrno(file) ? file : { file, path };
}

function forget(task: Task): void {
  const { group, pids } = task;
  const { container } = group;
  task.state = 'dead';
  group.state = 'reaped';
  group.tasks.delete(task);
  group.parent?.children.delete(group);
  group.processGroup.members.delete(group);
  pids.forgetProcessGroup(group.processGroup);
  pids.removeTask(task);
  pids.removeGroup(group);
  if (container.main === group) container.main = undefined;
  if (pids.init === group) pids.init = undefined;
  task.files.release();
  task.fs.release();
  task.ipc.release();
}
