// SPDX-License-Identifier: Apache-2.0
// A table of file descriptors: fcntl(2), dup(2), close_range(2); struct files_struct.
import { EBADF, EMFILE, ENOMEM, type Result, type SysResult } from '../../abi/errno.ts';
import { O_PATH } from '../../abi/fcntl.ts';
import { finishLater } from '../base/leftovers.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { anonymousDentry, type Dentry } from './dentry.ts';
import { releasePosixLocks } from './locks.ts';
import type { OpenFile } from './open-file.ts';

/**
 * Files that one turn closes where a process with very many ends. The last reference to each may
 * take a microsecond or two.
 */
const CLOSED_AT_ONCE = 1024;

export class FdTable {
  #files: (OpenFile | undefined)[] = [];
  #cloexec: boolean[] = [];
  /** No descriptor below this one is free. */
  #lowestFree = 0;
  #count = 0;
  #holders = 1;
  /** The account that pays for the table: the process that it was made for. */
  #account: MemoryAccount = currentAccount();
  /** RLIMIT_NOFILE's soft limit: kept up to date by prlimit(2). */
  limit = 1024;

  /** EBADF also for O_PATH descriptors: what nearly every call wants. */
  get(fd: number): Result<OpenFile> {
    const file = this.#files[fd];
    return file === undefined || (file.flags & O_PATH) !== 0 ? EBADF : file;
  }

  /** O_PATH descriptors too: fstat, fchdir, dup, close, fcntl, *at. */
  getAny(fd: number): Result<OpenFile> {
    return this.#files[fd] ?? EBADF;
  }

  /**
   * Installs `file` at the lowest free descriptor from `lowest` on: it, EMFILE, or ENOMEM. A file
   * that nobody holds is closed where it cannot be installed.
   */
  add(file: OpenFile, cloexec: boolean, lowest = 0): SysResult {
    const fd = this.#lowest(lowest);
    const refused = fd >= this.limit ? EMFILE : this.#hasRoomFor(file, fd) ? 0 : ENOMEM;
    if (refused !== 0) {
      file.acquire();
      file.release();
      return refused;
    }
    if (lowest <= this.#lowestFree) this.#lowestFree = fd + 1; // Everything below was looked at.
    this.#put(fd, file, cloexec);
    return fd;
  }

  /**
   * Returns the answer that add() would give. It is asked before a call makes something that add()
   * is to install.
   */
  next(): SysResult {
    const fd = this.#lowest(0);
    return fd < this.limit ? fd : EMFILE;
  }

  /** dup2: `fd` becomes `file`, what it was is closed. EBADF for a number out of range. */
  replace(fd: number, file: OpenFile, cloexec: boolean): SysResult {
    if (fd < 0 || fd >= this.limit) return EBADF;
    if (!this.#hasRoomFor(file, fd)) return ENOMEM;
    const old = this.#files[fd];
    if (old === file) {
      this.#cloexec[fd] = cloexec;
      return fd;
    }
    this.#put(fd, file, cloexec);
    if (old !== undefined) {
      this.#count -= 1;
      this.#dispose(old);
    }
    return fd;
  }

  /** close(2): 0, what flush answered, or EBADF. */
  remove(fd: number): SysResult {
    const file = this.#files[fd];
    if (file === undefined) return EBADF;
    this.#files[fd] = undefined;
    this.#cloexec[fd] = false;
    this.#count -= 1;
    if (fd < this.#lowestFree) this.#lowestFree = fd;
    return this.#dispose(file);
  }

  isCloexec(fd: number): boolean {
    return this.#cloexec[fd] === true;
  }

  setCloexec(fd: number, on: boolean): void {
    if (this.#files[fd] !== undefined) this.#cloexec[fd] = on;
  }

  /** One more than the highest descriptor in use. */
  get end(): number {
    let end = this.#files.length;
    while (end > 0 && this.#files[end - 1] === undefined) end -= 1;
    return end;
  }

  /** The price of the places that a copy of the table would have. */
  get placeBytes(): number {
    return this.#files.length * OBJECT_COST.descriptor;
  }

  get count(): number {
    return this.#count;
  }

  /** From descriptor `first` on. */
  *entries(first = 0): Generator<[number, OpenFile]> {
    for (let fd = Math.max(first, 0); fd < this.#files.length; fd += 1) {
      const file = this.#files[fd];
      if (file !== undefined) yield [fd, file];
    }
  }

  /** A copy with the same open files, for fork and unshare(CLONE_FILES). */
  fork(): FdTable {
    const copy = new FdTable();
    const end = this.end;
    copy.#account.force(end * OBJECT_COST.descriptor);
    copy.#files = this.#files.slice(0, end);
    copy.#cloexec = this.#cloexec.slice(0, end);
    copy.#lowestFree = this.#lowestFree;
    copy.#count = this.#count;
    copy.limit = this.limit;
    for (const file of copy.#files) file?.acquire();
    return copy;
  }

  /** execve(2). */
  closeOnExec(): void {
    for (let fd = 0; fd < this.#cloexec.length; fd += 1) {
      if (this.#cloexec[fd] === true) this.remove(fd);
    }
  }

  get isShared(): boolean {
    return this.#holders > 1;
  }

  acquire(): this {
    this.#holders += 1;
    return this;
  }

  /** One user fewer; the last one closes everything. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders !== 0) return;
    const closing = this.#closeAll();
    if (closing.next().done !== true) finishLater(closing);
  }

  *#closeAll(): Iterator<undefined> {
    let closed = 0;
    for (let fd = 0; fd < this.#files.length; fd += 1) {
      if (this.#files[fd] === undefined) continue;
      this.remove(fd);
      closed += 1;
      if (closed % CLOSED_AT_ONCE === 0) yield undefined;
    }
    this.#account.uncharge(this.#files.length * OBJECT_COST.descriptor);
    this.#files = [];
    this.#cloexec = [];
  }

  /** Stands for a file without a path in *at(2) calls with an empty one. */
  anonymousDentryOf(file: OpenFile): Dentry {
    return anonymousDentry(file.description, file.node);
  }

  #lowest(from: number): number {
    let fd = Math.max(from, this.#lowestFree);
    while (this.#files[fd] !== undefined) fd += 1;
    return fd;
  }

  /** A description that is open already costs its place in the table alone. */
  #hasRoomFor(file: OpenFile, fd: number): boolean {
    const places = Math.max(0, fd + 1 - this.#files.length) * OBJECT_COST.descriptor;
    const bytes = file.references === 0 ? file.objectBytes + places : places;
    return bytes === 0 || currentAccount().hasRoom(bytes);
  }

  #put(fd: number, file: OpenFile, cloexec: boolean): void {
    const places = fd + 1 - this.#files.length;
    if (places > 0) this.#account.force(places * OBJECT_COST.descriptor);
    // Arrays stay dense: dup2(0, 1000000) must not turn them into dictionaries.
    while (this.#files.length <= fd) {
      this.#files.push(undefined);
      this.#cloexec.push(false);
    }
    this.#files[fd] = file;
    this.#cloexec[fd] = cloexec;
    this.#count += 1;
    file.acquire();
  }

  #dispose(file: OpenFile): SysResult {
    const flushed = file.flush(this);
    releasePosixLocks(file, this);
    file.release();
    return flushed;
  }
}
