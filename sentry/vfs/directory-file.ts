// SPDX-License-Identifier: Apache-2.0
// An open directory over the names that there are when it is read from the start: entries removed
// since are skipped, entries made since mostly show after rewinddir(3). Positions are places among the names
// that were taken so far, so telldir/seekdir hold whatever changes in between.
import { EINVAL, EISDIR, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import type { Node } from './node.ts';
import { type DirectoryEmit, OpenFile } from './open-file.ts';
import { seekTarget } from './positioned-file.ts';

export interface ListedEntry {
  readonly name: string;
  readonly ino: number;
  /** S_IFMT bits. */
  readonly kind: number;
}

/** The calls of a directory node that its open files use. */
export interface Listing extends Node {
  /** Entries without '.' and '..'. They may be taken one by one, in later turns. */
  list(): Result<Iterable<ListedEntry>>;
  /** Still there? Asked before an entry of an older snapshot is shown. */
  stillHas(name: string): boolean;
  /** Number of '..'. */
  readonly parentIno: number;
  readonly ino: number;
  /** Called when the directory was read, for its access time. */
  wasRead(): void;
}

/** The answers that open directories of every file system give alike. */
export abstract class OpenDirectory extends OpenFile {
  override get pollable(): boolean {
    return false;
  }

  override read(): SysResult {
    return EISDIR;
  }

  override pread(): SysResult {
    return EISDIR;
  }

  /** Positions are those of readDirectory: there is no end to count from. */
  override seek(position: number, whence: number): SysResult {
    const target = seekTarget(this.offset, position, whence);
    if (!isErrno(target)) this.offset = target;
    return target;
  }
}

export class DirectoryFile extends OpenDirectory {
  readonly node: Listing;
  #snapshot: Snapshot | undefined = undefined;

  constructor(node: Listing, flags: number) {
    super(flags);
    this.node = node;
  }

  override readDirectory(emit: DirectoryEmit): SysResult {
    const { node } = this;
    if (this.offset === 0 && !emit('.', node.ino, S_IFDIR, 1)) return EINVAL;
    if (this.offset === 0) this.offset = 1;
    if (this.offset === 1) {
      if (!emit('..', node.parentIno, S_IFDIR, 2)) return 0;
      this.offset = 2;
      this.#snapshot = undefined;
    }
    if (this.#snapshot === undefined) {
      const listed = node.list();
      if (isErrno(listed)) return listed;
      this.#snapshot = new Snapshot(listed);
    }
    node.wasRead();
    return this.#emitFrom(this.#snapshot, emit);
  }

  override seek(position: number, whence: number): SysResult {
    const target = super.seek(position, whence);
    if (target === 0) this.#snapshot = undefined;
    return target;
  }

  override sync(): SysResult {
    return 0;
  }

  #emitFrom(snapshot: Snapshot, emit: DirectoryEmit): SysResult {
    let shown = 0;
    for (let index = this.offset - 2; ; index += 1) {
      const entry = snapshot.at(index);
      if (entry === undefined) break;
      if (this.node.stillHas(entry.name)) {
        if (!emit(entry.name, entry.ino, entry.kind, index + 3)) return shown === 0 ? EINVAL : 0;
        shown += 1;
      }
      this.offset = index + 3;
    }
    return 0;
  }
}

/** Names in the order in which they are taken, as many as were asked for. */
class Snapshot {
  readonly #taken: ListedEntry[] = [];
  #rest: Iterator<ListedEntry> | undefined;

  constructor(entries: Iterable<ListedEntry>) {
    if (Array.isArray(entries)) this.#taken = entries as ListedEntry[];
    else this.#rest = entries[Symbol.iterator]();
  }

  at(index: number): ListedEntry | undefined {
    while (this.#rest !== undefined && this.#taken.length <= index) {
      const next = this.#rest.next();
      if (next.done === true) this.#rest = undefined;
      else this.#taken.push(next.value);
    }
    return this.#taken[index];
  }
}
