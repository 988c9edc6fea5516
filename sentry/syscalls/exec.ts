// SPDX-License-Identifier: Apache-2.0
// execve(2), execveat(2): arguments from guest memory; the rest is loader/exec.ts.
import { E2BIG, EFAULT, EINVAL, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/page.ts';
import { RLIMIT_STACK } from '../../abi/resource.ts';
import { getU64 } from '../../abi/time.ts';
import { isPieceOver } from '../base/turn.ts';
import { type Blocking, begin, KILLABLE_PAUSE, type MaybeBlocking } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { execute } from '../loader/exec.ts';
import { type PackedStrings, StringPacker } from '../loader/packed-strings.ts';
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

/** From so many bytes of strings on others run in between. */
const MANY_BYTES = 262_144;
/** The work that a string is besides its bytes, counted in bytes. */
const BYTES_OF_STRING = 128;

/** A string is likely to end within so many bytes. */
const NEAR_BYTES = 16;

/** Pages that are kept: a shell's environment lies here and there among what else it allocates. */
const KEPT_PAGES = 8;

/**
 * Reads strings that mostly lie near one another: a page is copied once, and strings are taken from
 * the copy.
 */
class StringReader {
  readonly #task: Task;
  readonly #pages: { addr: number; readonly bytes: Buffer }[] = [];
  /** The one of `#pages` that was asked for last. */
  #page: Buffer = Buffer.alloc(0);
  #pageAddr = -1;
  /** Which of `#pages` gives way next. */
  #oldest = 0;

  constructor(task: Task) {
    this.#task = task;
  }

  /** Reads at most MAX_STRING_BYTES with the NUL into `packer`: the length, or E2BIG, EFAULT, ENOMEM. */
  string(addr: number, packer: StringPacker): SysResult {
    for (let at = addr; ; ) {
      const offset = at % PAGE_SIZE;
      if (!this.#load(at - offset)) return EFAULT;
      const end = this.#endOfString(offset);
      if (packer.unendedBytes + end - offset >= MAX_STRING_BYTES) return E2BIG;
      const appended = packer.append(this.#page, offset, end);
      if (isErrno(appended)) return appended;
      if (end < PAGE_SIZE) return packer.end();
      at += PAGE_SIZE - offset;
    }
  }

  /**
   * The place of the NUL in the page, or its end. Short strings are looked through here: a call costs
   * more.
   */
  #endOfString(offset: number): number {
    const near = Math.min(offset + NEAR_BYTES, PAGE_SIZE);
    for (let at = offset; at < near; at += 1) if (this.#page[at] === 0) return at;
    const end = this.#page.indexOf(0, near);
    return end < 0 ? PAGE_SIZE : end;
  }

  pointer(addr: number): SysResult {
    const offset = addr % PAGE_SIZE;
    if (offset > PAGE_SIZE - POINTER_BYTES) {
      const view = this.#task.memory.view(addr, POINTER_BYTES);
      return isErrno(view) ? EFAULT : getU64(view, 0);
    }
    if (!this.#load(addr - offset)) return EFAULT;
    return this.#page.readUInt32LE(offset) + this.#page.readUInt32LE(offset + 4) * 0x1_0000_0000;
  }

  #load(pageAddr: number): boolean {
    if (pageAddr === this.#pageAddr) return true;
    const page = this.#pages.find(({ addr }) => addr === pageAddr) ?? this.#copy(pageAddr);
    if (page === undefined) return false;
    this.#page = page.bytes;
    this.#pageAddr = pageAddr;
    return true;
  }

  #copy(pageAddr: number): { readonly bytes: Buffer } | undefined {
    let page = this.#pages[this.#oldest];
    if (page === undefined) {
      page = { addr: -1, bytes: Buffer.allocUnsafe(PAGE_SIZE) };
      this.#pages.push(page);
    }
    if (page.addr === this.#pageAddr) this.#pageAddr = -1;
    page.addr = -1;
    if (isErrno(this.#task.memory.read(pageAddr, page.bytes))) return undefined;
    page.addr = pageAddr;
    this.#oldest = (this.#oldest + 1) % KEPT_PAGES;
    return page;
  }
}

/** Reads both arrays of one call, which mostly lie in the same pages. */
interface StringSource {
  readonly task: Task;
  readonly reader: StringReader;
  /** Bytes that strings and pointers may still take together. */
  readonly budget: { left: number };
}

/** A NULL-terminated array of strings. */
function* readStrings(
  { task, reader, budget }: StringSource,
  addr: number,
  packer: StringPacker,
): Blocking<Result<PackedStrings>> {
  let unchecked = 0;
  if (addr === 0) return packer.strings(); // Linux takes NULL as an empty array.
  for (let at = addr; ; at += POINTER_BYTES) {
    const pointer = reader.pointer(at);
    if (isErrno(pointer)) return pointer;
    if (pointer === 0) return packer.strings();
    const length = reader.string(pointer, packer);
    if (isErrno(length)) return length;
    budget.left -= length + 1 + POINTER_BYTES;
    if (budget.left < 0) return E2BIG;
    unchecked += length + BYTES_OF_STRING;
    if (unchecked < MANY_BYTES) continue;
    unchecked = 0;
    if (isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
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
  const source: StringSource = {
    task,
    reader: new StringReader(task),
    budget: { left: Math.max(MAX_STRING_BYTES, Math.min(MAX_TOTAL_BYTES, quarter)) },
  };
  return begin(execWith(task, file, path, source, argvAddr, envpAddr));
}

function* execWith(
  task: Task,
  file: OpenFile,
  path: string,
  source: StringSource,
  argvAddr: number,
  envpAddr: number,
): Blocking<SysResult> {
  const packers = [new StringPacker(), new StringPacker()] as const;
  try {
    const argv = yield* readStrings(source, argvAddr, packers[0]);
    if (isErrno(argv)) return argv;
    const envp = yield* readStrings(source, envpAddr, packers[1]);
    if (isErrno(envp)) return envp;
    if (isPieceOver(task.kernel.clock)) yield KILLABLE_PAUSE;
    const executed = execute(task, { file, path, argv, envp });
    return typeof executed === 'number' ? executed : yield* executed;
  } finally {
    for (const packer of packers) packer.release();
  }
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
