// SPDX-License-Identifier: Apache-2.0
// An open directory over a snapshot of names, which grows as the directory is read: no call takes
// longer than what it gives. Entries removed since are skipped, those made since may show before
// rewinddir(3) or not. Positions are places in the snapshot, so telldir/seekdir hold whatever changes
// in between.
import { EINVAL, EISDIR, ENOMEM, isErrno, type Result, type SysResult } from '../../abi/errno.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { currentAccount, type MemoryAccount } from '../base/memory-account.ts';
import { OBJECT_COST } from '../base/object-cost.ts';
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
  /**
   * Entries without '.' and '..', found while they are taken. No more come than there were at first,
   * whatever is made meanwhile: who renames what it reads would never come to an end.
   */
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
  readonly #snapshot: ListedEntry[] = [];
  /** The source of the entries behind the snapshot; undefined before the first is wanted. */
  #rest: Iterator<ListedEntry> | undefined = undefined;
  /** The account that pays for the snapshot: the process that opened the directory. */
  readonly #account: MemoryAccount = currentAccount();

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
      this.#forget();
    }
    if (this.#rest === undefined) {
      const listed = node.list();
      if (isErrno(listed)) return listed;
      this.#rest = listed[Symbol.iterator]();
    }
    node.wasRead();
    return this.#emitFrom(this.#rest, emit);
  }

  override seek(position: number, whence: number): SysResult {
    const target = super.seek(position, whence);
    if (target === 0) this.#forget();
    return target;
  }

  override sync(): SysResult {
    return 0;
  }

  override close(): void {
    this.#forget();
  }

  #forget(): void {
    this.#account.uncharge(this.#snapshot.length * OBJECT_COST.listedName);
    this.#snapshot.length = 0;
    this.#rest = undefined;
  }

  #emitFrom(rest: Iterator<ListedEntry>, emit: DirectoryEmit): SysResult {
    let shown = 0;
    for (let index = this.offset - 2; ; index += 1) {
      const entry = this.#entryAt(index, rest);
      if (entry === undefined) return 0;
      if (isErrno(entry)) return shown === 0 ? entry : 0;
      if (this.node.stillHas(entry.name)) {
        if (!emit(entry.name, entry.ino, entry.kind, index + 3)) return shown === 0 ? EINVAL : 0;
        shown += 1;
      }
      this.offset = index + 3;
    }
  }

  /** The entry at a place of the snapshot, undefined behind the last, ENOMEM where the account is full. */
  #entryAt(index: number, rest: Iterator<ListedEntry>): Result<ListedEntry> | undefined {
    while (this.#snapshot.length <= index) {
      if (!this.#account.hasRoom(OBJECT_COST.listedName)) return ENOMEM;
      const next = rest.next();
      if (next.done === true) return undefined;
      this.#account.force(OBJECT_COST.listedName);
      this.#snapshot.push(next.value);
    }
    return this.#snapshot[index];
  }
}
