// SPDX-License-Identifier: Apache-2.0
// The one directory of a file system of type mqueue: its files are the queues of an IPC namespace.
// There is nothing else in it, and nothing can be renamed or linked.

import { CAP_SYS_RESOURCE } from '../../../abi/capability.ts';
import {
  EACCES,
  EINVAL,
  EMFILE,
  ENOENT,
  ENOMEM,
  ENOSPC,
  EOVERFLOW,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { NAME_MAX } from '../../../abi/fs.ts';
import { HARD_MSGMAX, HARD_MSGSIZEMAX, MQ_PRIO_MAX } from '../../../abi/mqueue.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { RLIMIT_MSGQUEUE } from '../../../abi/resource.ts';
import { S_IALLUGO, S_IFDIR } from '../../../abi/stat.ts';
import { coarseRealtime, type WallTime } from '../../base/clock.ts';
import type { IpcLimits } from '../../kernel/ipc/ipc-limits.ts';
import { OBJECT_BYTES } from '../../kernel/ipc/ipc-memory.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { DirectoryFile, type ListedEntry, type Listing } from '../../vfs/directory-file.ts';
import {
  type AttributeChange,
  type Attributes,
  type NewNode,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { MqueueFileSystem } from './filesystem.ts';
import { PosixQueue } from './posix-queue.ts';
import { QueueNode } from './queue-node.ts';

/**
 * The amounts that Linux counts against RLIMIT_MSGQUEUE beside the messages: a struct msg_msg each,
 * a tree node for each priority.
 */
const MESSAGE_HEAD_BYTES = 48;
const PRIORITY_BYTES = 48;
const ENTRY_BYTES = 20;

export interface QueueSize {
  readonly maxMessages: number;
  readonly messageBytes: number;
}

export class MqueueDirectory extends Node implements Listing, Ownership {
  readonly filesystem: MqueueFileSystem;
  readonly kind: number = S_IFDIR;
  /** So that the cache keeps no namespace that has ended. */
  override readonly cacheable: boolean = false;
  readonly ino: number;
  mode: number = S_IFDIR | 0o1777;
  uid = 0;
  gid = 0;
  readonly #children = new Map<string, QueueNode>();
  readonly #btime: WallTime;
  #changeTime: WallTime;

  constructor(filesystem: MqueueFileSystem) {
    super();
    this.filesystem = filesystem;
    this.ino = filesystem.nextIno();
    this.#btime = coarseRealtime(filesystem.clock);
    this.#changeTime = this.#btime;
  }

  get parentIno(): number {
    return this.ino;
  }

  entries(): [string, QueueNode][] {
    return [...this.#children];
  }

  override attributes(): Attributes {
    const time = this.#changeTime;
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: this.mode,
      nlink: 2,
      uid: this.uid,
      gid: this.gid,
      rdev: 0,
      sizeBytes: (this.#children.size + 2) * ENTRY_BYTES,
      blockSize: PAGE_SIZE,
      blocks: 0,
      atime: time,
      mtime: time,
      ctime: time,
      btime: this.#btime,
    };
  }

  override ownership(): Ownership {
    return this;
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes !== undefined) return EINVAL;
    if (change.mode !== undefined) this.mode = S_IFDIR | (change.mode & S_IALLUGO);
    if (change.uid !== undefined) this.uid = change.uid;
    if (change.gid !== undefined) this.gid = change.gid;
    this.#modified();
    return 0;
  }

  list(): readonly ListedEntry[] {
    return [...this.#children].map(([name, { ino, kind }]) => ({ name, ino, kind }));
  }

  stillHas(name: string): boolean {
    return this.#children.has(name);
  }

  wasRead(): void {}

  override lookup(name: string, _caller: Caller): Result<Node> {
    return this.#children.get(name) ?? ENOENT;
  }

  /** open(2) with O_CREAT: a queue of the default size. */
  override create(name: string, as: NewNode): Result<Node> {
    const task = this.filesystem.ipc.kernel.scheduler.current;
    return task === undefined ? EACCES : this.createQueue(name, as, task, undefined);
  }

  /** Without a size the defaults of the namespace. */
  createQueue(
    name: string,
    as: NewNode,
    task: Task,
    size: QueueSize | undefined,
  ): Result<QueueNode> {
    const { filesystem } = this;
    const { limits } = filesystem.ipc;
    const privileged = isCapable(task.credentials, CAP_SYS_RESOURCE);
    if (filesystem.hasEnded || name.length > NAME_MAX) return EACCES;
    if (filesystem.queueCount >= limits.number('fs.mqueue.queues_max') && !privileged)
      return ENOSPC;
    const wanted = size ?? defaultSize(limits);
    const bytes = accountedBytes(wanted, limits, privileged);
    if (isErrno(bytes)) return bytes;
    const { uid } = task.credentials;
    if (!filesystem.account.take(uid, bytes, task.group.limits.soft(RLIMIT_MSGQUEUE)))
      return EMFILE;
    const { ipcMemory } = filesystem.ipc.kernel;
    if (!ipcMemory.take(OBJECT_BYTES)) {
      filesystem.account.give(uid, bytes);
      return ENOMEM;
    }
    const { maxMessages, messageBytes } = wanted;
    const messages = new PosixQueue(maxMessages, messageBytes, ipcMemory);
    const node = new QueueNode(filesystem, as, messages, () => {
      messages.free();
      ipcMemory.give(OBJECT_BYTES);
      filesystem.account.give(uid, bytes);
      filesystem.queueCount -= 1;
    });
    filesystem.queueCount += 1;
    this.#children.set(name, node);
    this.#modified();
    return node;
  }

  override unlink(name: string, target: Node): SysResult {
    this.#children.delete(name);
    (target as QueueNode).dropName();
    this.#modified();
    return 0;
  }

  override open(flags: number, _caller: Caller): OpenFile {
    return new DirectoryFile(this, flags);
  }

  #modified(): void {
    this.#changeTime = coarseRealtime(this.filesystem.clock);
  }
}

function defaultSize(limits: IpcLimits): QueueSize {
  const number = (name: string): number => limits.number(`fs.mqueue.${name}`);
  return {
    maxMessages: Math.min(number('msg_max'), number('msg_default')),
    messageBytes: Math.min(number('msgsize_max'), number('msgsize_default')),
  };
}

/** Returns how much a queue counts for; EINVAL and EOVERFLOW where it must not be made. */
function accountedBytes(
  { maxMessages, messageBytes }: QueueSize,
  limits: IpcLimits,
  privileged: boolean,
): SysResult {
  if (maxMessages <= 0 || messageBytes <= 0) return EINVAL;
  const mostMessages = privileged ? HARD_MSGMAX : limits.number('fs.mqueue.msg_max');
  const mostBytes = privileged ? HARD_MSGSIZEMAX : limits.number('fs.mqueue.msgsize_max');
  if (maxMessages > mostMessages || messageBytes > mostBytes) return EINVAL;
  const bytes =
    maxMessages * (messageBytes + MESSAGE_HEAD_BYTES) +
    Math.min(maxMessages, MQ_PRIO_MAX) * PRIORITY_BYTES;
  return bytes > Number.MAX_SAFE_INTEGER ? EOVERFLOW : bytes;
}
