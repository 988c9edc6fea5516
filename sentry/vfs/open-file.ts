// SPDX-License-Identifier: Apache-2.0
// An open file description (open(2)): what descriptors point to, shared by dup, fork and SCM_RIGHTS.
// Operations never sleep: they answer EAGAIN, and the syscall layer turns that into a sleep on
// `queue` unless the file is non-blocking.
import {
  EBADF,
  EINVAL,
  ENODEV,
  ENOTDIR,
  ENOTTY,
  ESPIPE,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { finishLater } from '../base/leftovers.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { type Blocking, type MaybeBlocking, type Waitable, WaitQueue } from '../base/wait.ts';
import type { Caller } from './caller.ts';
import type { Sink, Source } from './io.ts';
import { releaseFileLocks } from './locks.ts';
import type { FileIdentity, Node } from './node.ts';
import { notifyClosed } from './notify.ts';
import type { Path } from './path.ts';

/** A file's memory as mmap(2) needs it. */
export interface Mappable {
  /**
   * A host descriptor of the whole object, for the platform to pass to a guest process. With
   * `writable` false it must be read-only (or sealed so): the guest may map it with just that right.
   * The Mappable stays its owner and keeps it open while any mapping lives.
   */
  hostFd(writable: boolean): SysResult;
  /** The numbers that /proc/PID/maps shows, also for shared futex keys. */
  readonly dev: number;
  readonly ino: number;
  /** For those keys instead, where the object is known under other numbers too. */
  readonly sharedName?: string | undefined;
  /** One more mapping holds this object (mmap, fork), one fewer (munmap, exit). */
  acquire(): void;
  release(): void;
  /** memfd: sealed against writing, so that a new shared mapping can never be made to write. */
  isWriteSealed?(): boolean;
  /** memfd: one more, one fewer shared mapping that can write (F_SEAL_WRITE answers EBUSY). */
  writerMapped?(): void;
  writerUnmapped?(): void;
  /** Objects without a file (shared anonymous memory): frees pages for everybody (MADV_REMOVE). */
  punch?(offset: number, length: number): SysResult;
}

/** Called for each entry; false stops (the entry did not fit). */
export type DirectoryEmit = (
  name: string,
  ino: number,
  kind: number,
  nextOffset: number,
) => boolean;

/** Transfers of a file of the host that may take long: the guest thread sleeps meanwhile. */
export interface HostTransfers {
  /** Writes are to be made here, as each of them may take long. */
  readonly writes: boolean;
  /** Fills `sink` from `position` on, up to the end of the file. Bytes read. */
  read(sink: Sink, position: number): Blocking<SysResult>;
  /** Writes all of `source` from `position` on. Bytes written. */
  write(source: Source, position: number): Blocking<SysResult>;
}

/** A thing that one long call at a time may have: an open file for its offset, a node to write. */
export interface LongCallOwner {
  /** The call that goes on in pieces, on whose end others wait. */
  longCall: Waitable | undefined;
}

/** The receiver of the signals of a file with O_ASYNC. */
export interface SignalReceiver {
  receive(signal: IoSignal): void;
}

/** The fields of siginfo_t that a file's signal has. */
export interface IoSignal {
  readonly signal: number;
  readonly code: number;
  readonly band?: number;
  readonly fd?: number;
}

/** The owner that F_SETOWN named, and the signal of F_SETSIG. */
export interface IoOwner {
  /** F_OWNER_*. */
  readonly type: number;
  readonly id: number;
  /** The PID namespace that `id` is of. */
  readonly pids: object | undefined;
  /** F_SETSIG; 0: SIGIO, without siginfo. */
  readonly signal: number;
  /** Undefined where `id` named nothing of that type. */
  readonly receiver: SignalReceiver | undefined;
}

/** The listener of a file with O_ASYNC. */
export interface AsyncListener {
  end(): void;
}

export interface CloseObserver {
  fileClosed(file: OpenFile): void;
}

/** Observers that are told in the turn of the close; very many others later. */
const TOLD_AT_ONCE = 1024;

function* tellClosed(file: OpenFile, observers: Iterable<CloseObserver>): Iterator<undefined> {
  let told = 0;
  for (const observer of observers) {
    observer.fileClosed(file);
    told += 1;
    if (told % TOLD_AT_ONCE === 0) yield undefined;
  }
}

export abstract class OpenFile implements LongCallOwner {
  readonly queue: WaitQueue = new WaitQueue();
  /** O_* status flags and access mode; F_SETFL changes O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME. */
  flags: number;
  /** File offset, for files that have one. */
  offset = 0;
  /**
   * Descriptors, messages in flight and running calls that hold this description. Starts at 0:
   * FdTable.add makes it 1.
   */
  #references = 0;
  /** The account that pays for the description while somebody holds it: the process that made it. */
  #account: MemoryAccount | undefined;
  #closeObservers: Set<CloseObserver> | undefined;
  #written: FileIdentity | undefined;
  longCall: Waitable | undefined = undefined;
  /**
   * mount + dentry this was opened by (vfs/path.ts `Path`), for /proc/PID/fd, fchdir and *at(2);
   * set by vfs/open.ts.
   */
  path: Path | undefined = undefined;
  /** fcntl(2) F_SETOWN and F_SETSIG; undefined where nobody asked for any. */
  ioOwner: IoOwner | undefined = undefined;
  /** O_ASYNC is on. */
  asyncNotice: AsyncListener | undefined = undefined;

  constructor(flags: number) {
    this.flags = flags;
  }

  /** The inode; anonymous files (pipe, eventfd, socket) have one of their own for fstat. */
  abstract readonly node: Node;

  /**
   * The text that /proc/PID/fd shows where there is no path: 'pipe:[123]',
   * 'anon_inode:[eventpoll]'.
   */
  get description(): string {
    return 'anon_inode:[unknown]';
  }

  /**
   * Further lines of /proc/PID/fdinfo/FD, each with its newline (show_fdinfo of Linux's file
   * operations). `pids` is the PID namespace of that /proc.
   */
  information(_pids: object): string | Iterable<string> {
    return '';
  }

  /** The price of the description, which is the same as long as the description lives. */
  get objectBytes(): number {
    return OBJECT_COST.openFile;
  }

  acquire(): void {
    if (this.#references === 0) {
      this.#account = currentAccount();
      this.#account.force(this.objectBytes);
    }
    this.#references += 1;
  }

  /** Drops one reference; the last one closes. */
  release(): void {
    this.#references -= 1;
    if (this.#references !== 0) return;
    this.#account?.uncharge(this.objectBytes);
    const observers = this.#closeObservers;
    this.#closeObservers = undefined;
    if (observers !== undefined) {
      const telling = tellClosed(this, observers);
      if (telling.next().done !== true) finishLater(telling);
    }
    releaseFileLocks(this);
    notifyClosed(this);
    this.close();
    if (this.#written !== undefined) this.#written.writers -= 1;
    this.path?.unpin();
  }

  /** Takes note that the file is open for writing by a path, until the last reference goes. */
  writes(file: FileIdentity): void {
    file.writers += 1;
    this.#written = file;
  }

  /** How many hold this description: the collector of sockets in flight (net/unix/) compares. */
  get references(): number {
    return this.#references;
  }

  /** Tells `observer` when the last reference goes, before `close` (epoll drops its entries then). */
  observeClose(observer: CloseObserver): void {
    this.#closeObservers ??= new Set();
    this.#closeObservers.add(observer);
  }

  unobserveClose(observer: CloseObserver): void {
    this.#closeObservers?.delete(observer);
  }

  /** A blocking write goes on until every byte is taken (pipes, stream sockets, terminals). */
  get isByteStream(): boolean {
    return false;
  }

  /**
   * A transfer of more bytes is cut into pieces of so many, which take less than a millisecond
   * each. Infinity: a transfer is one thing (messages), or ends soon by itself (queues).
   */
  get pieceBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  /**
   * The EAGAIN that a read just answered means: a piece of the work is done, and the same read is
   * to be made again in a later turn.
   */
  get goesOn(): boolean {
    return false;
  }

  /**
   * The transfers that wait for the host, where `readNow` or `preadNow` answered EAGAIN, and in
   * place of `write` and `pwrite` where they say so. Undefined: the file needs nobody else for its
   * bytes.
   */
  get host(): HostTransfers | undefined {
    return undefined;
  }

  /** O_ASYNC has an effect: files of Linux with `f_op->fasync`. */
  get canSignal(): boolean {
    return false;
  }

  /** How long a blocking read and write wait (SO_RCVTIMEO, SO_SNDTIMEO). */
  get readTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }

  get writeTimeoutNs(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** EPIPE from `write` comes with SIGPIPE (pipes, stream sockets). */
  get raisesSigpipe(): boolean {
    return false;
  }

  /** The last reference is gone. Never called twice. */
  close(): void {}

  /** A descriptor of it in the table `files` was closed (POSIX locks are dropped by the caller). */
  flush(_files: object): SysResult {
    return 0;
  }

  /** Bytes read, 0 at the end, EAGAIN if it would block. Advances `offset` where there is one. */
  read(_sink: Sink): SysResult {
    return EINVAL;
  }

  write(_source: Source): SysResult {
    return EINVAL;
  }

  /** Positioned: `offset` stays. ESPIPE where there are no positions. */
  pread(_sink: Sink, _position: number): SysResult {
    return ESPIPE;
  }

  pwrite(_source: Source, _position: number): SysResult {
    return ESPIPE;
  }

  /** Where a write to `position` goes. Linux: O_APPEND wins over the position, for pwrite(2) too. */
  writePosition(position: number): number {
    return position;
  }

  /**
   * Does what `pread` does without waiting for the host. EAGAIN: `host` has to go on, and a part of
   * the bytes may be in the sink already.
   */
  preadNow(sink: Sink, position: number): SysResult {
    return this.pread(sink, position);
  }

  /** The same for `read`. */
  readNow(sink: Sink): SysResult {
    return this.read(sink);
  }

  seek(_position: number, _whence: number): SysResult {
    return ESPIPE;
  }

  /** POLL* bits that hold now. */
  poll(): number {
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
  }

  /**
   * EPERM from epoll_ctl for files that are always ready (regular files, directories): those of
   * Linux without `f_op->poll`.
   */
  get pollable(): boolean {
    return true;
  }

  /** EINVAL from splice(2) and sendfile(2) out of all others: those of Linux without `f_op->splice_read`. */
  get canSpliceFrom(): boolean {
    return false;
  }

  /** The same for splice(2) and sendfile(2) into the file: `f_op->splice_write`. */
  get canSpliceTo(): boolean {
    return false;
  }

  ioctl(_command: number, _argument: number, _caller: Caller): MaybeBlocking {
    return ENOTTY;
  }

  /** Emits entries from `offset` on and leaves `offset` at the first one that did not fit. */
  readDirectory(_emit: DirectoryEmit, _caller: Caller): SysResult {
    return ENOTDIR;
  }

  /** /dev/zero: a mapping of it is anonymous memory. */
  get mapsAsAnonymous(): boolean {
    return false;
  }

  mappable(): Result<Mappable> {
    return ENODEV;
  }

  truncate(_sizeBytes: number): SysResult {
    return EINVAL;
  }

  fallocate(_mode: number, _offset: number, _length: number): SysResult {
    return ENODEV;
  }

  sync(): MaybeBlocking {
    return EINVAL;
  }

  /** F_GET_SEALS and F_ADD_SEALS (memfd_create(2)). */
  seals(): SysResult {
    return EINVAL;
  }

  addSeals(_seals: number): SysResult {
    return EINVAL;
  }

  /** F_GETPIPE_SZ and F_SETPIPE_SZ: pipes only. */
  pipeCapacity(): SysResult {
    return EBADF;
  }

  setPipeCapacity(_wantedBytes: number, _privileged: boolean): SysResult {
    return EBADF;
  }

  /** F_SETFL changed `flags` (O_NONBLOCK on host files). */
  flagsChanged(): void {}
}
