// SPDX-License-Identifier: Apache-2.0
// File locks: record locks by process and by open file description (fcntl(2)), and flock(2). They
// hang on the file (Node.identity). An owner is an object: the FdTable for POSIX locks, the
// OpenFile for the others.
import { EAGAIN, EDEADLK, ENOLCK, type SysResult } from '../../abi/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
import { WaitQueue } from '../base/wait.ts';
import type { Node } from './node.ts';
import type { OpenFile } from './open-file.ts';

export interface RecordLock {
  readonly owner: object;
  /** F_RDLCK, F_WRLCK or (to unlock) F_UNLCK. */
  readonly type: number;
  readonly start: number;
  /** Past the last byte; Infinity: to the end of the file, however far it grows. */
  readonly end: number;
  /** Thread group id of the process that set it, -1 for open file description locks. */
  readonly pid: number;
  /** The PID namespace that `pid` belongs to. */
  readonly pids: object | undefined;
}

/** Bound on records of one node: a guest must not fill the Sentry with them. */
const maxRecords = 8192;

/** The owners who wait for POSIX locks, each with the owner whose lock is in its way. */
const waitingFor = new Map<object, object>();

export class FileLocks {
  readonly queue = new WaitQueue();
  #records: RecordLock[] = [];
  /** The account that pays for the records: the process that first locked. */
  readonly #account: MemoryAccount = currentAccount();
  /** flock(2): holders of the shared or the one exclusive lock. */
  readonly #sharers = new Set<object>();
  #exclusive: object | undefined = undefined;

  get isEmpty(): boolean {
    return (
      this.#records.length === 0 &&
      this.#sharers.size === 0 &&
      this.#exclusive === undefined &&
      this.queue.isEmpty
    );
  }

  /** The first lock of another owner in the way of `wanted`. */
  conflict(wanted: RecordLock): RecordLock | undefined {
    return this.#records.find(
      (lock) =>
        lock.owner !== wanted.owner &&
        lock.start < wanted.end &&
        wanted.start < lock.end &&
        (lock.type === F_WRLCK || wanted.type === F_WRLCK),
    );
  }

  /** F_SETLK: 0, EAGAIN or ENOLCK. */
  set(wanted: RecordLock): SysResult {
    if (wanted.type !== F_UNLCK && this.conflict(wanted) !== undefined) return EAGAIN;
    const kept: RecordLock[] = [];
    let { start, end } = wanted;
    for (const lock of this.#records) {
      if (lock.owner !== wanted.owner || lock.end < start || lock.start > end) {
        kept.push(lock);
      } else if (lock.type === wanted.type) {
        // Same kind and touching: they become one.
        start = Math.min(start, lock.start);
        end = Math.max(end, lock.end);
      } else {
        if (lock.start < wanted.start)
          kept.push({ ...lock, end: Math.min(lock.end, wanted.start) });
        if (lock.end > wanted.end) kept.push({ ...lock, start: Math.max(lock.start, wanted.end) });
      }
    }
    if (wanted.type !== F_UNLCK) kept.push({ ...wanted, start, end });
    if (kept.length > maxRecords && kept.length > this.#records.length) return ENOLCK;
    const grown = (kept.length - this.#records.length) * OBJECT_COST.lock;
    if (grown > 0 && !this.#account.hasRoom(grown)) return ENOLCK;
    this.#account.force(grown);
    kept.sort((a, b) => a.start - b.start);
    this.#records = kept;
    // Unlocking and turning write into read locks both let others in.
    if (wanted.type !== F_WRLCK) this.queue.notify(POLLIN);
    return 0;
  }

  /** flock(2): 0 or EAGAIN. A conversion gives up the old lock first, as Linux does. */
  flock(owner: object, type: number): SysResult {
    if (type === F_UNLCK) {
      this.#unflock(owner);
      return 0;
    }
    if (type === F_RDLCK && this.#sharers.has(owner)) return 0;
    if (type === F_WRLCK && this.#exclusive === owner) return 0;
    this.#unflock(owner);
    if (this.#exclusive !== undefined || (type === F_WRLCK && this.#sharers.size > 0))
      return EAGAIN;
    if (type === F_RDLCK) this.#sharers.add(owner);
    else this.#exclusive = owner;
    return 0;
  }

  /** All record locks of an owner go. */
  dropRecords(owner: object): void {
    const kept = this.#records.filter((lock) => lock.owner !== owner);
    if (kept.length === this.#records.length) return;
    this.#account.force((kept.length - this.#records.length) * OBJECT_COST.lock);
    this.#records = kept;
    this.queue.notify(POLLIN);
  }

  dropFlock(owner: object): void {
    this.#unflock(owner);
  }

  #unflock(owner: object): void {
    const held = this.#sharers.delete(owner) || this.#exclusive === owner;
    if (this.#exclusive === owner) this.#exclusive = undefined;
    if (held) this.queue.notify(POLLIN);
  }
}

export function locksOf(node: Node): FileLocks {
  const { identity } = node;
  identity.locks ??= new FileLocks();
  return identity.locks;
}

/**
 * Says that `owner` is about to wait for `holder`'s POSIX lock. EDEADLK where that would close a circle.
 * Undone by `stopWaiting`.
 */
export function startWaiting(owner: object, holder: object): SysResult {
  let at: object | undefined = holder;
  for (let steps = 0; at !== undefined && steps < 1000; steps += 1) {
    if (at === owner) return EDEADLK;
    at = waitingFor.get(at);
  }
  waitingFor.set(owner, holder);
  return 0;
}

export function stopWaiting(owner: object): void {
  waitingFor.delete(owner);
}

/** A descriptor of `file` was closed: POSIX takes all of the process's locks on that file. */
export function releasePosixLocks(file: OpenFile, owner: object): void {
  const identity = file.node.knownIdentity;
  const locks = identity?.locks;
  if (identity === undefined || locks === undefined) return;
  locks.dropRecords(owner);
  if (locks.isEmpty) identity.locks = undefined;
}

/** The last reference to an open file is gone: so are its flock and its open file description locks. */
export function releaseFileLocks(file: OpenFile): void {
  const identity = file.node.knownIdentity;
  const locks = identity?.locks;
  if (identity === undefined || locks === undefined) return;
  locks.dropRecords(file);
  locks.dropFlock(file);
  if (locks.isEmpty) identity.locks = undefined;
}
