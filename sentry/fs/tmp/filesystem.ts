// tmpfs(5): a file system that lives in the Sentry's memory. Also the writable half of fs/overlay.

import { TMPFS_MAGIC } from '../../../abi/fs.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import { type Clock, coarseRealtime, type WallTime } from '../../base/clock.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import type { FileSystem, FileSystemStatus } from '../../vfs/node.ts';
import { ByteBudget } from './byte-budget.ts';
import { TmpDirectory } from './directory.ts';

/** Differs from Linux: its default is half of memory for bytes and as many inodes as pages in that. */
const defaultInodes = 1_000_000;

export interface TmpOptions {
  readonly clock: Clock;
  /** Bytes of file data; Infinity for none. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
  /** Permission bits of the root directory. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** A limit shared with other file systems. */
  readonly within?: ByteBudget;
  readonly type?: string;
}

export class TmpFileSystem implements FileSystem {
  readonly type: string;
  readonly dev: number = allocateDevice();
  readonly clock: Clock;
  readonly budget: ByteBudget;
  readonly #maxInodes: number;
  #inodes = 0;
  #lastIno = 0;
  #root: TmpDirectory | undefined;
  readonly #options: TmpOptions;

  constructor(options: TmpOptions) {
    this.type = options.type ?? 'tmpfs';
    this.clock = options.clock;
    this.budget = new ByteBudget(options.maxBytes ?? Number.POSITIVE_INFINITY, options.within);
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
    if (this.#inodes >= this.#maxInodes) return false;
    this.#inodes += 1;
    return true;
  }

  /** An inode that the limit does not count out: fs/overlay takes lower files over. */
  adoptInode(): void {
    this.#inodes += 1;
  }

  giveInode(): void {
    this.#inodes -= 1;
  }

  nextIno(): number {
    this.#lastIno += 1;
    return this.#lastIno;
  }

  status(): FileSystemStatus {
    const limited = this.budget.limit !== Number.POSITIVE_INFINITY;
    const blocks = limited ? Math.floor(this.budget.limit / PAGE_SIZE) : 0;
    const used = Math.ceil(this.budget.used / PAGE_SIZE);
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
