// SPDX-License-Identifier: Apache-2.0
// pidfd_open(2): a descriptor that stands for a process, or (PIDFD_THREAD) for one thread; readable
// when that has ended.

import { PIDFD_THREAD } from '../../abi/pidfd.ts';
import { POLLHUP, POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { Waker } from '../base/wait.ts';
import type { Node } from '../vfs/node.ts';
import { OpenFile } from '../vfs/open-file.ts';
import { pidSeenFrom } from './pid-namespace.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread-group.ts';

export const PIDFD_MODE = S_IFREG | 0o600;

export class PidFd extends OpenFile {
  readonly group: ThreadGroup;
  override readonly node: Node;
  /** The id that the descriptor was made for: the process's own where it stands for a process. */
  readonly tid: number;
  readonly #thread: Task | undefined;
  readonly #relay: Waker = { wake: (events) => this.queue.notify(events) };

  /** `thread` is the one that a descriptor with PIDFD_THREAD stands for. */
  constructor(group: ThreadGroup, node: Node, flags: number, thread?: Task) {
    super(flags);
    this.group = group;
    this.node = node;
    this.#thread = thread;
    this.tid = thread?.tid ?? group.id;
    group.exitQueue.join(this.#relay, POLLIN);
  }

  override get description(): string {
    return 'anon_inode:[pidfd]';
  }

  /** The descriptor stands for a thread, not for its process. */
  get isOfThread(): boolean {
    return (this.flags & PIDFD_THREAD) !== 0;
  }

  /** Nothing has the id any more: what the descriptor stands for ended, and was waited for. */
  get isGone(): boolean {
    if (this.isOfLeader) return this.group.state === 'reaped';
    return this.task === undefined;
  }

  /**
   * The living task of the id. An exec gives the leader's id to the thread that called execve(2): a
   * descriptor of the leader then stands for that thread, and one of the thread's old id for
   * nothing.
   */
  get task(): Task | undefined {
    if (!this.isOfThread) return this.group.anyTask;
    const task = this.isOfLeader ? this.group.leader : this.#thread;
    return task === undefined || task.isDead || task.tid !== this.tid ? undefined : task;
  }

  /** The id is a process's own: what waitid(2) can wait for. */
  get isOfLeader(): boolean {
    return this.tid === this.group.id;
  }

  override poll(): number {
    if (this.isGone) return POLLIN | POLLRDNORM | POLLHUP;
    const hasEnded = this.isOfThread ? this.task === undefined : this.group.isDead;
    return hasEnded ? POLLIN | POLLRDNORM : 0;
  }

  override information(pids: object): string {
    const id = this.isGone ? -1 : pidSeenFrom(this.group.pids, pids, this.tid);
    return `Pid:\t${id}\nNSpid:\t${id}\n`;
  }

  override close(): void {
    this.group.exitQueue.leave(this.#relay);
  }
}
