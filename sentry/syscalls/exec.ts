// execve(2), execveat(2): arguments from guest memory; the rest is loader/exec.ts.
import {
  E2BIG,
  EFAULT,
  EINVAL,
  ENAMETOOLONG,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { RLIMIT_STACK } from '../../abi/resource.ts';
import { getU64 } from '../../abi/time.ts';
import type { Blocking, MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { execute } from '../loader/exec.ts';
import { openForExec } from '../vfs/open.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { WALK_EMPTY, WALK_FOLLOW } from '../vfs/path-walk.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

/** MAX_ARG_STRLEN: 32 pages, the NUL included. */
const MAX_STRING_BYTES = 131_072;
/** Linux: a quarter of the stack limit, at most 6 MiB, at least 128 KiB. */
const MAX_TOTAL_BYTES = 6 * 1024 * 1024;
const POINTER_BYTES = 8;

/** A NULL-terminated array of strings. `budget` is what strings and pointers may take together. */
function readStrings(task: Task, addr: number, budget: { left: number }): Result<string[]> {
  const strings: string[] = [];
  if (addr === 0) return strings; // Linux takes NULL as an empty array.
  for (let at = addr; ; at += POINTER_BYTES) {
    const view = task.memory.view(at, POINTER_BYTES);
    if (isErrno(view)) return EFAULT;
    const pointer = getU64(view, 0);
    if (pointer === 0) return strings;
    const text = task.memory.string(pointer, MAX_STRING_BYTES - 1);
    if (isErrno(text)) return text === ENAMETOOLONG ? E2BIG : EFAULT;
    budget.left -= text.length + 1 + POINTER_BYTES;
    if (budget.left < 0) return E2BIG;
    strings.push(text);
  }
}

function exec(
  task: Task,
  dirfd: number,
  path: string,
  argvAddr: number,
  envpAddr: number,
  flags: number,
): MaybeBlocking {
  const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0 ? WALK_FOLLOW : 0;
  const empty = (flags & AT_EMPTY_PATH) !== 0 ? WALK_EMPTY : 0;
  const file = openForExec(task, dirfd, path, follow | empty);
  if (isErrno(file)) return file;
  file.acquire();
  const result = execOpened(task, file, nameOf(dirfd, path), argvAddr, envpAddr);
  if (typeof result !== 'number') return releasing(file, result);
  file.release();
  return result;
}

function* releasing(file: OpenFile, call: Blocking<SysResult>): Blocking<SysResult> {
  try {
    return yield* call;
  } finally {
    file.release();
  }
}

/** Returns the name by which scripts are called, as Linux makes it up for execveat. */
function nameOf(dirfd: number, path: string): string {
  if (dirfd === AT_FDCWD || path.startsWith('/')) return path;
  return path === '' ? `/dev/fd/${dirfd}` : `/dev/fd/${dirfd}/${path}`;
}

function execOpened(
  task: Task,
  file: OpenFile,
  path: string,
  argvAddr: number,
  envpAddr: number,
): MaybeBlocking {
  const quarter = task.group.limits.soft(RLIMIT_STACK) / 4;
  const budget = { left: Math.max(MAX_STRING_BYTES, Math.min(MAX_TOTAL_BYTES, quarter)) };
  const argv = readStrings(task, argvAddr, budget);
  if (isErrno(argv)) return argv;
  const envp = readStrings(task, envpAddr, budget);
  return isErrno(envp) ? envp : execute(task, { file, path, argv, envp });
}

function sysExecve(task: Task, args: SyscallArgs): MaybeBlocking {
  const path = task.memory.path(args.addr(0));
  return isErrno(path) ? path : exec(task, AT_FDCWD, path, args.addr(1), args.addr(2), 0);
}

function sysExecveat(task: Task, args: SyscallArgs): MaybeBlocking {
  const flags = args.u32(4);
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return EINVAL;
  const path = task.memory.path(args.addr(1));
  return isErrno(path) ? path : exec(task, args.i32(0), path, args.addr(2), args.addr(3), flags);
}

export const execRows: readonly Row[] = [
  sleeps(59, 'execve', ['path', 'argv', 'argv'], sysExecve),
  sleeps(322, 'execveat', ['dirfd', 'path', 'argv', 'argv', 'atFlags'], sysExecveat),
];
