// SPDX-License-Identifier: Apache-2.0
// epoll(7). Each watched file's queue has a waker that puts its entry on the ready list, so waiting
// costs what is ready, not what is watched. Rules: fs/eventpoll.c of Linux.
// Differs from Linux: EPOLLEXCLUSIVE wakes all waiters (allowed: "one or more").

import {
  EP_MAX_NESTS,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLWAKEUP,
  epollEvent,
} from '../../../abi/epoll.ts';
import {
  EEXIST,
  EINVAL,
  ELOOP,
  ENOENT,
  ENOMEM,
  ENOSPC,
  EPERM,
  type SysResult,
} from '../../../abi/errno.ts';
import { O_RDWR } from '../../../abi/fcntl.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import { finishLater } from '../../base/leftovers.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { UserCount } from '../../base/user-count.ts';
import { type CloseObserver, OpenFile } from '../../vfs/open-file.ts';
import { type AnonymousNode, anonInode } from '../anon/anonymous-node.ts';
import { EpollItem, type ReadyList } from './epoll-item.ts';

/** Entries that one turn drops where an instance with very many is closed. */
const DROPPED_AT_ONCE = 2048;

/** Watched files that are looked at before the time is asked for. */
const LOOKED_AT_AT_ONCE = 1024;

/** EPOLLEXCLUSIVE_OK_BITS. */
const exclusiveBits =
  (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE) >>> 0;

/** /proc/sys/fs/epoll/max_user_watches. */
export const maxUserEntries = 1_048_576;

export class Epoll extends OpenFile implements ReadyList, CloseObserver {
  readonly node: AnonymousNode = anonInode;
  readonly #items = new Map<OpenFile, Map<number, EpollItem>>();
  #first: EpollItem | undefined;
  #last: EpollItem | undefined;
  #listed = 0;
  /** Instances that watch this one. Cycles are refused and depth is bounded when an entry is added. */
  readonly #parents = new Set<Epoll>();
  /** The account that pays for the entries: the process that made the instance. */
  readonly #account: MemoryAccount = currentAccount();

  /** The user who made the instance, and the entries of all users. */
  readonly #uid: number;
  readonly #userEntries: UserCount;

  constructor(uid: number, userEntries: UserCount) {
    super(O_RDWR);
    this.#uid = uid;
    this.#userEntries = userEntries;
  }

  override get description(): string {
    return 'anon_inode:[eventpoll]';
  }

  override *information(): Generator<string> {
    for (const byFd of this.#items.values())
      for (const item of byFd.values()) yield item.information();
  }

  /**
   * Looks for a watched file (also of watched instances) that has not told everybody of its last
   * events yet. Yields now and then, as there may be very many.
   */
  *findTelling(): Generator<undefined, boolean> {
    const instances = new Set<Epoll>([this]);
    let count = 0;
    for (const instance of instances) {
      for (const file of instance.#items.keys()) {
        if (file.queue.isTelling) return true;
        if (file instanceof Epoll) instances.add(file);
        count += 1;
        if (count % LOOKED_AT_AT_ONCE === 0) yield undefined;
      }
    }
    return false;
  }

  override close(): void {
    const dropping = this.#dropAll();
    if (dropping.next().done !== true) finishLater(dropping);
  }

  *#dropAll(): Iterator<undefined> {
    let count = 0;
    for (const byFd of this.#items.values()) {
      for (const item of byFd.values()) {
        this.#drop(item);
        count += 1;
        if (count % DROPPED_AT_ONCE === 0) yield undefined;
      }
    }
  }

  /** EPOLL_CTL_ADD. `events` as the guest gave them, unsigned. */
  add(fd: number, file: OpenFile, events: number, dataLow: number, dataHigh: number): SysResult {
    if (!file.pollable) return EPERM;
    if (this.#find(fd, file) !== undefined) return EEXIST;
    if (
      (events & EPOLLEXCLUSIVE) !== 0 &&
      ((events & ~exclusiveBits) !== 0 || file instanceof Epoll)
    )
      return EINVAL;
    if (file instanceof Epoll) {
      if (file === this) return EINVAL;
      const nests = file.#depthBelow(this, new Map()) + this.#depthAbove(new Map());
      if (nests > EP_MAX_NESTS + 1) return ELOOP;
    }
    if (!this.#userEntries.take(this.#uid, 1, maxUserEntries)) return ENOSPC;
    if (!this.#account.charge(OBJECT_COST.epollItem)) {
      this.#userEntries.give(this.#uid, 1);
      return ENOMEM;
    }
    if (file instanceof Epoll) file.#parents.add(this);
    const item = new EpollItem(this, fd, file, events, dataLow, dataHigh);
    let byFd = this.#items.get(file);
    if (byFd === undefined) {
      byFd = new Map();
      this.#items.set(file, byFd);
      file.observeClose(this);
    }
    byFd.set(fd, item);
    file.queue.join(item, item.mask);
    if (item.ready() !== 0) this.becameReady(item);
    return 0;
  }

  /** EPOLL_CTL_MOD. */
  modify(fd: number, file: OpenFile, events: number, dataLow: number, dataHigh: number): SysResult {
    const item = this.#find(fd, file);
    if (item === undefined) return ENOENT;
    if (((events | item.events) & EPOLLEXCLUSIVE) !== 0) return EINVAL;
    item.events = (events | EPOLLERR | EPOLLHUP) >>> 0;
    item.dataLow = dataLow;
    item.dataHigh = dataHigh;
    file.queue.leave(item);
    file.queue.join(item, item.mask);
    if (item.ready() !== 0) this.becameReady(item);
    return 0;
  }

  /** EPOLL_CTL_DEL. */
  remove(fd: number, file: OpenFile): SysResult {
    const item = this.#find(fd, file);
    if (item === undefined) return ENOENT;
    this.#drop(item);
    return 0;
  }

  /** Entries that may be ready: room to provide for `collect`. */
  get listedCount(): number {
    return this.#listed;
  }

  /**
   * Stores up to `limit` struct epoll_event in `out`; their number. Each entry is looked at once, so
   * a level-triggered one comes at most once.
   */
  collect(out: DataView, limit: number): number {
    let count = 0;
    for (let rest = this.#listed; rest > 0 && count < limit; rest -= 1) {
      const item = this.#first as EpollItem;
      this.#unlist(item);
      const events = item.ready();
      if (events === 0) continue;
      const at = count * epollEvent.size;
      out.setUint32(at + epollEvent.events, events, true);
      out.setUint32(at + epollEvent.dataLow, item.dataLow, true);
      out.setUint32(at + epollEvent.dataHigh, item.dataHigh, true);
      count += 1;
      if ((item.events & EPOLLONESHOT) !== 0) item.disarm();
      else if ((item.events & EPOLLET) === 0) this.#push(item);
    }
    return count;
  }

  override poll(): number {
    for (let rest = this.#listed; rest > 0; rest -= 1) {
      const item = this.#first as EpollItem;
      if (item.ready() !== 0) return POLLIN | POLLRDNORM;
      this.#unlist(item);
    }
    return 0;
  }

  /** ReadyList: an event came for `item`. */
  becameReady(item: EpollItem): void {
    // Who sleeps here found the list empty, so one that is listed has nobody to tell. It also bounds
    // what one event costs in a net of nested instances.
    if (item.isListed || item.mask === 0) return;
    this.#push(item);
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  /** CloseObserver: the last descriptor of `file` is gone. */
  fileClosed(file: OpenFile): void {
    const byFd = this.#items.get(file);
    if (byFd !== undefined) for (const item of [...byFd.values()]) this.#drop(item);
  }

  #find(fd: number, file: OpenFile): EpollItem | undefined {
    return this.#items.get(file)?.get(fd);
  }

  #drop(item: EpollItem): void {
    const file = item.file;
    this.#account.uncharge(OBJECT_COST.epollItem);
    this.#userEntries.give(this.#uid, 1);
    file.queue.leave(item);
    if (item.isListed) this.#unlist(item);
    const byFd = this.#items.get(file);
    byFd?.delete(item.fd);
    if (byFd !== undefined && byFd.size > 0) return;
    this.#items.delete(file);
    file.unobserveClose(this);
    if (file instanceof Epoll) file.#parents.delete(this);
  }

  /**
   * Longest chain of instances from here down through watched ones, this one included; Infinity
   * past `target`.
   */
  #depthBelow(target: Epoll, known: Map<Epoll, number>): number {
    if (this === target) return Number.POSITIVE_INFINITY;
    const before = known.get(this);
    if (before !== undefined) return before;
    let deepest = 0;
    for (const file of this.#items.keys()) {
      if (file instanceof Epoll) deepest = Math.max(deepest, file.#depthBelow(target, known));
    }
    known.set(this, deepest + 1);
    return deepest + 1;
  }

  #depthAbove(known: Map<Epoll, number>): number {
    const before = known.get(this);
    if (before !== undefined) return before;
    let highest = 0;
    for (const parent of this.#parents) highest = Math.max(highest, parent.#depthAbove(known));
    known.set(this, highest + 1);
    return highest + 1;
  }

  #push(item: EpollItem): void {
    item.previous = this.#last;
    item.next = undefined;
    if (this.#last === undefined) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
    item.isListed = true;
    this.#listed += 1;
  }

  #unlist(item: EpollItem): void {
    if (item.previous === undefined) this.#first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.#last = item.previous;
    else item.next.previous = item.previous;
    item.next = undefined;
    item.previous = undefined;
    item.isListed = false;
    this.#listed -= 1;
  }
}
