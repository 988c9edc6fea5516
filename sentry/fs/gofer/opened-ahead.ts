// SPDX-License-Identifier: Apache-2.0
// Files of a tree that nobody changes, opened before anybody asked: a program that reads one file
// after the other of a directory that it has listed (tar, grep -r, cp -r) gets the next ones with
// the same request. How many is doubled while they are used.
import { EOPNOTSUPP, isErrno, type SysResult } from '../../../abi/errno.ts';
import { native } from '../../../native/addon.ts';
import { OPENED_MAX } from '../../../protocol/gofer/opened.ts';
import type { GoferClient } from './client.ts';
import type { HostListing, ListedHost } from './host-listing.ts';

/** Descriptors that nobody asked for yet. */
const maxKept = 2 * OPENED_MAX;

/** A directory, by a path from one that the Gofer has an id for. */
export interface Located {
  located(): { readonly id: number; readonly path: string };
}

interface Opened {
  readonly fd: number;
  readonly ino: number;
}

export class OpenedAhead {
  readonly #client: GoferClient;
  /** In the order in which they came. */
  readonly #kept = new Map<ListedHost, Opened>();
  /** The file that was opened last. */
  #last: ListedHost | undefined = undefined;
  #window = 1;
  /** Descriptors of the last request that nobody asked for. */
  #unused = 0;
  #isRefused = false;
  #isClosed = false;

  constructor(client: GoferClient) {
    this.#client = client;
  }

  /**
   * A descriptor for reading of the file `ino` that `name` is in a listed directory. It belongs to
   * the caller. Undefined: ask for it alone.
   */
  open(directory: Located, listing: HostListing, name: string, ino: number): SysResult | undefined {
    const entry = listing.get(name);
    if (entry === undefined || this.#isRefused || this.#isClosed) return undefined;
    const last = this.#last;
    this.#last = entry;
    const fd = this.#take(entry, ino);
    if (fd !== undefined) return fd;
    const isWasted = this.#unused > 0 && this.#unused * 2 >= this.#window;
    this.#window = isWasted ? 1 : Math.min(2 * this.#window, OPENED_MAX);
    this.#unused = 0;
    if (this.#window === 1) return undefined;
    this.#fetch(directory, listing.filesFrom(entry, last, this.#window));
    return this.#take(entry, ino);
  }

  /** The container has ended. */
  close(): void {
    this.#isClosed = true;
    this.closeKept();
  }

  /** Closes what nobody has asked for yet. Returns how many files that were. */
  closeKept(): number {
    const { size } = this.#kept;
    for (const { fd } of this.#kept.values()) native.close(fd);
    this.#kept.clear();
    return size;
  }

  #take(entry: ListedHost, ino: number): number | undefined {
    const opened = this.#kept.get(entry);
    if (opened === undefined) return undefined;
    this.#kept.delete(entry);
    this.#unused -= 1;
    if (opened.ino === ino) return opened.fd;
    native.close(opened.fd);
    return undefined;
  }

  #fetch(directory: Located, files: readonly ListedHost[]): void {
    const wanted = files.filter((entry) => !this.#kept.has(entry));
    const { id, path } = directory.located();
    const names = wanted.map(({ name }) => name);
    const opened = this.#client.openMany(id, path, names);
    if (isErrno(opened)) {
      this.#isRefused = opened === EOPNOTSUPP;
      return;
    }
    this.#unused = opened.fds.length;
    for (const [at, fd] of opened.fds.entries()) {
      const { index, ino } = opened.opened[at] as { readonly index: number; readonly ino: number };
      const entry = wanted[index];
      if (entry === undefined || this.#kept.has(entry)) native.close(fd);
      else this.#kept.set(entry, { fd, ino });
    }
    this.#closeOldest();
  }

  #closeOldest(): void {
    for (const [entry, { fd }] of this.#kept) {
      if (this.#kept.size <= maxKept) return;
      this.#kept.delete(entry);
      native.close(fd);
    }
  }
}
