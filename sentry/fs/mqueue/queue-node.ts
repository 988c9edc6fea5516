// SPDX-License-Identifier: Apache-2.0
// The inode of a POSIX message queue.
import type { SysResult } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IALLUGO, S_IFREG } from '../../../abi/stat.ts';
import { coarseRealtime, type WallTime } from '../../base/clock.ts';
import type { Caller } from '../../vfs/caller.ts';
import {
  type AttributeChange,
  type Attributes,
  type NewNode,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { MqueueFileSystem } from './filesystem.ts';
import type { PosixQueue } from './posix-queue.ts';
import { QueueFile } from './queue-file.ts';

/** The size that stat(2) shows until somebody truncates the queue: ipc/mqueue.c's FILENT_SIZE. */
const SHOWN_BYTES = 80;

export class QueueNode extends Node implements Ownership {
  readonly filesystem: MqueueFileSystem;
  readonly kind: number = S_IFREG;
  readonly ino: number;
  readonly messages: PosixQueue;
  mode: number;
  uid: number;
  gid: number;
  #atime: WallTime;
  #mtime: WallTime;
  #ctime: WallTime;
  readonly #btime: WallTime;
  #sizeBytes = SHOWN_BYTES;
  #hasName = true;
  #freed: (() => void) | undefined;

  /** `freed` is told when it has no name and nobody has it open. */
  constructor(filesystem: MqueueFileSystem, as: NewNode, messages: PosixQueue, freed: () => void) {
    super();
    this.filesystem = filesystem;
    this.ino = filesystem.nextIno();
    this.messages = messages;
    this.mode = as.mode;
    this.uid = as.uid;
    this.gid = as.gid;
    this.#btime = this.#now();
    this.#atime = this.#btime;
    this.#mtime = this.#btime;
    this.#ctime = this.#btime;
    this.#freed = freed;
  }

  /** A message came or went. */
  used(): void {
    const now = this.#now();
    this.#atime = now;
    this.#mtime = now;
    this.#ctime = now;
  }

  /** Its status was read, or what it tells changed. */
  wasRead(): void {
    const now = this.#now();
    this.#atime = now;
    this.#ctime = now;
  }

  dropName(): void {
    this.#hasName = false;
    this.#ctime = this.#now();
  }

  override attributes(): Attributes {
    return {
      dev: this.filesystem.dev,
      ino: this.ino,
      mode: this.mode,
      nlink: this.#hasName ? 1 : 0,
      uid: this.uid,
      gid: this.gid,
      rdev: 0,
      sizeBytes: this.#sizeBytes,
      blockSize: PAGE_SIZE,
      blocks: 0,
      atime: this.#atime,
      mtime: this.#mtime,
      ctime: this.#ctime,
      btime: this.#btime,
    };
  }

  override ownership(): Ownership {
    return this;
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (change.sizeBytes !== undefined) this.#sizeBytes = change.sizeBytes;
    if (change.mode !== undefined) this.mode = S_IFREG | (change.mode & S_IALLUGO);
    if (change.uid !== undefined) this.uid = change.uid;
    if (change.gid !== undefined) this.gid = change.gid;
    if (change.atime !== undefined) this.#atime = change.atime;
    if (change.mtime !== undefined) this.#mtime = change.mtime;
    this.#ctime = this.#now();
    return 0;
  }

  open(flags: number, _caller: Caller): OpenFile {
    return new QueueFile(this, flags);
  }

  override forgotten(): void {
    if (this.#hasName) return;
    const freed = this.#freed;
    this.#freed = undefined;
    freed?.();
  }

  #now(): WallTime {
    return coarseRealtime(this.filesystem.clock);
  }
}
