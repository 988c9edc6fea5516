// SPDX-License-Identifier: Apache-2.0
// tmpfs(5): a file system that lives in the Sentry's memory. Also the writable half of fs/overlay.

import { TMPFS_MAGIC } from '../../../abi/fs.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import { type Clock, coarseRealtime, type WallTime } from '../../base/clock.ts';
import { MemoryAccount, unlimitedAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { pageFloor } from '../../mm/page.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import type { FileSystem, FileSystemStatus } from '../../vfs/node.ts';
import { TmpDirectory } from './directory.ts';

/** Differs from Linux, whose default is as many inodes as half of the memory has pages. */
const defaultInodes = 1_000_000;

/** The size of a tmpfs for which none was given: half of the memory, in whole pages. */
export function defaultTmpfsBytes(memoryBytes: number): number {
  return pageFloor(memoryBytes / 2);
}

export interface TmpOptions {
  readonly clock: Clock;
  /** Bytes of file data; Infinity for none. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
  /** Permission bits of the root directory. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** The account that pays for inodes, and for file data within `maxBytes`. */
  readonly account?: MemoryAccount;
  readonly type?: string;
}

export class TmpFileSystem implements FileSystem {
  readonly type: string;
  readonly dev: number = allocateDevice();
  readonly clock: Clock;
  /** File data: `maxBytes` at the most. */
  readonly data: MemoryAccount;
  /** Inodes, names and extended attributes, which Linux does not count against a tmpfs's size either. */
  readonly account: MemoryAccount;
  readonly #maxInodes: number;
  #inodes = 0;
  #lastIno = 0;
  #root: TmpDirectory | undefined;
  readonly #options: TmpOptions;

  constructor(options: TmpOptions) {
    this.type = options.type ?? 'tmpfs';
    this.clock = options.clock;
    this.account = new MemoryAccount(options.account ?? unlimitedAccount);
    this.data = new MemoryAccount(this.account, {
      limitBytes: options.maxBytes ?? Number.POSITIVE_INFINITY,
    });
    this.#maxInodes = options.maxInodes ?? defaultInodes;
    this.#options = options;
  }

  get root(): TmpDirectory {
    this.#root ??= this.makeRoot();
    return this.#root;
  }

  now(): WallTime {
    return coarseRealtime(this.clock);
  }

  /** False: no more inodes (ENOSPC). */
  takeInode(): boolean {
    if (this.#inodes >= this.#maxInodes || !this.account.charge(OBJECT_COST.inode)) return false;
    this.#inodes += 1;
    return true;
  }

  /** An inode that the limit does not count out: fs/overlay takes lower files over. */
  adoptInode(): void {
    this.#inodes += 1;
  }

  /** Charges an inode that was adopted: the Sentry cannot forget it any more and find it again. */
  payForInode(): void {
    this.account.force(OBJECT_COST.inode);
  }

  /** An adopted inode that nobody has paid for is forgotten. */
  dropInode(): void {
    this.#inodes -= 1;
  }

  giveInode(): void {
    this.#inodes -= 1;
    this.account.uncharge(OBJECT_COST.inode);
  }

  nextIno(): number {
    this.#lastIno += 1;
    return this.#lastIno;
  }

  status(): FileSystemStatus {
    const limited = this.data.limitBytes !== Number.POSITIVE_INFINITY;
    const blocks = limited ? Math.floor(this.data.limitBytes / PAGE_SIZE) : 0;
    const used = Math.ceil(this.data.usedBytes / PAGE_SIZE);
    return {
      type: TMPFS_MAGIC,
      blockSize: PAGE_SIZE,
      blocks,
      blocksFree: limited ? Math.max(blocks - used, 0) : 0,
      files: this.#maxInodes,
      filesFree: this.#maxInodes - this.#inodes,
      nameMax: 255,
      flags: 0,
    };
  }

  sync(): number {
    return 0;
  }

  /** Gives all memory back: nobody can come to the files any more. */
  unmounted(): void {
    if (this.#root === undefined) return;
    const directories: TmpDirectory[] = [this.#root];
    for (const directory of directories) {
      for (const node of directory.known()) {
        if (node instanceof TmpDirectory) directories.push(node);
        else node.abandon();
      }
    }
    this.account.close();
  }

  protected makeRoot(): TmpDirectory {
    const { mode, uid, gid } = this.#options;
    this.takeInode();
    return new TmpDirectory(
      this,
      { mode: S_IFDIR | (mode ?? 0o1777), uid: uid ?? 0, gid: gid ?? 0 },
      undefined,
    );
  }
}
