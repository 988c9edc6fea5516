// The first process of the sandbox: a task made from nothing, and the command found as a shell would.
import { EACCES, ENOENT, ENOTDIR, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Limits } from '../kernel/limits.ts';
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

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface FirstProcess {
  readonly credentials: Credentials;
  /** Holds the standard descriptors already. */
  readonly files: FdTable;
  readonly fs: FsContext;
  readonly limits: Limits;
  /** argv[0] is the command: a path where it has a '/', else looked for in PATH of `envp`. Byte strings. */
  readonly argv: readonly string[];
  readonly envp: readonly string[];
}

/**
 * Makes process 2 (a child of the sandbox's own init, in a session of its own) and starts it. Its task, or the errno of
 * finding or loading the command: then nothing is left of it.
 */
export function startFirstProcess(kernel: Kernel, first: FirstProcess): Result<Task> {
  const task = newTask(kernel, first);
  const error = findAndExecute(task, first);
  if (error < 0) {
    forget(task);
    return error as Result<Task>;
  }
  kernel.scheduler.start(task);
  return task;
}

function newTask(kernel: Kernel, first: FirstProcess): Task {
  const id = kernel.allocatePid() ?? 2;
  const group = new ThreadGroup(
    kernel,
    id,
    kernel.init,
    undefined,
    first.limits,
    new SignalActions(),
  );
  const task = new Task({
    kernel,
    tid: id,
    group,
    credentials: first.credentials,
    // executeFirst gives it memory and a thread before anything looks at them.
    mm: undefined as unknown as MemoryManager,
    thread: undefined as unknown as GuestThread,
    files: first.files,
    fs: first.fs,
    args: new SyscallArgs(new Uint32Array(14)),
    comm: 'init',
  });
  group.leader = task;
  group.tasks.add(task);
  kernel.tasks.set(id, task);
  kernel.groups.set(id, group);
  kernel.newSession(group);
  kernel.mainGroup = group;
  kernel.forkCount += 1;
  return task;
}

function findAndExecute(task: Task, first: FirstProcess): SysResult {
  const command = first.argv[0] ?? '';
  const found = findCommand(task, command, first.envp);
  if (isErrno(found)) return found;
  found.file.acquire();
  const result = executeFirst(task, { ...found, argv: first.argv, envp: first.envp });
  found.file.release();
  return result;
}

interface FoundCommand {
  readonly file: OpenFile;
  readonly path: string;
}

/** As execvp(3): EACCES from one directory does not end the search, but is remembered. */
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
  const { kernel, group } = task;
  task.state = 'dead';
  kernel.tasks.delete(task.tid);
  kernel.groups.delete(group.id);
  kernel.init.children.delete(group);
  group.tasks.delete(task);
  group.processGroup.members.delete(group);
  kernel.forgetProcessGroup(group.processGroup);
  kernel.mainGroup = undefined;
  task.files.release();
  task.fs.release();
}
