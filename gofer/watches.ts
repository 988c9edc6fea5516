// SPDX-License-Identifier: Apache-2.0
// inotify(7) on directories of the host, for the Sentry: it holds the same inotify instance and
// reads the events itself, so that it knows of every change that was done before it looked. A
// change is in the instance's queue before the system call that made it returns. The number of
// watches is bounded; the oldest go first (the kernel tells the Sentry: IN_IGNORED).
import { EOPNOTSUPP, isErrno, type SysResult } from '../abi/errno.ts';
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONLYDIR,
} from '../abi/inotify.ts';
import { native } from '../native/addon.ts';

export const WATCH_MASK: number =
  IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | IN_ONLYDIR;

/**
 * statfs(2) types whose every change comes from this kernel, through functions that tell inotify:
 * ext2 to ext4, xfs, btrfs, f2fs, tmpfs, overlayfs, squashfs, erofs, iso9660. Others (NFS, SMB, 9p,
 * FUSE and what is not known) may change on another machine, or in a process behind them.
 */
const watchableTypes: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630, 0x73717368, 0xe0f5e1e2,
  0x9660,
]);

/** A directory that may have a watch: several may share one, where attach points overlap. */
export interface Watchable {
  /** Watch descriptor; 0: none. */
  watch: number;
}

const statfsValues = new Float64Array(8);

function isWatchable(fd: number): boolean {
  return (
    !isErrno(native.fstatfs(fd, statfsValues)) && watchableTypes.has(statfsValues[0] as number)
  );
}

export class Watches {
  readonly #limit: number;
  #fd = -1;
  /** Oldest first: Map keeps insertion order. */
  readonly #holders = new Map<number, Watchable[]>();

  /** At most `limit` watches; 0: none ever. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get isOn(): boolean {
    return this.#fd >= 0;
  }

  /** A new instance: its descriptor, which stays ours. EMFILE where the user has too many. */
  start(): SysResult {
    if (this.#limit === 0) return EOPNOTSUPP;
    this.stop();
    const fd = native.inotifyInit();
    if (!isErrno(fd)) this.#fd = fd;
    return fd;
  }

  /** The watches are gone when the Sentry has closed the instance too. */
  stop(): void {
    if (this.#fd < 0) return;
    native.close(this.#fd);
    this.#fd = -1;
    for (const holders of this.#holders.values()) for (const holder of holders) holder.watch = 0;
    this.#holders.clear();
  }

  /**
   * Watches the directory behind `fd`. Where that cannot be, `directory.watch` is 0. Asks the
   * kernel each time: a watch goes with its directory, and the number of a removed directory is
   * given to a new one.
   */
  add(directory: Watchable, fd: number): void {
    if (this.#fd < 0) return;
    const watch = fd < 0 ? 0 : this.#watchOf(directory, fd);
    if (watch !== directory.watch) this.remove(directory);
    if (watch <= 0) return;
    const holders = this.#holders.get(watch) ?? [];
    if (!holders.includes(directory)) holders.push(directory);
    directory.watch = watch;
    // To the end: it was asked for just now.
    this.#holders.delete(watch);
    this.#holders.set(watch, holders);
    this.#removeOldest();
  }

  #watchOf(directory: Watchable, fd: number): SysResult {
    if (directory.watch === 0 && !isWatchable(fd)) return 0;
    return Math.max(0, native.watchDirectory(this.#fd, fd, WATCH_MASK));
  }

  /** The Sentry does not use this directory any more. */
  remove(directory: Watchable): void {
    const { watch } = directory;
    directory.watch = 0;
    const holders = this.#holders.get(watch);
    if (holders === undefined || !holders.includes(directory)) return;
    holders.splice(holders.indexOf(directory), 1);
    if (holders.length > 0) return;
    this.#holders.delete(watch);
    // Of a directory that was removed it has gone already: EINVAL.
    native.unwatch(this.#fd, watch);
  }

  #removeOldest(): void {
    if (this.#holders.size <= this.#limit) return;
    for (const [watch, holders] of this.#holders) {
      for (const holder of holders) holder.watch = 0;
      this.#holders.delete(watch);
      native.unwatch(this.#fd, watch);
      return;
    }
  }
}
