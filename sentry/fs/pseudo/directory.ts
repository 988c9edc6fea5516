// SPDX-License-Identifier: Apache-2.0
// Directories of pseudo file systems: fixed names, names that are computed, or both.

import { EINVAL, ENOENT, EPERM, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import type { Caller } from '../../vfs/caller.ts';
import { OpenDirectory } from '../../vfs/directory-file.ts';
import { type AttributeChange, type Attributes, Node, type Ownership } from '../../vfs/node.ts';
import type { DirectoryEmit, OpenFile } from '../../vfs/open-file.ts';
import { type Entries, type Entry, type EntryOptions, rootOwner } from './entry.ts';
import { Inode, type PseudoFileSystem } from './pseudo-filesystem.ts';

/** One computed name. Keys rise, and a key keeps its name, so that a listing survives changes. */
export interface ComputedName {
  readonly name: string;
  readonly key: number;
}

/** Names that are not fixed: processes, descriptors, threads. */
export interface Computed<S extends object> {
  /**
   * How many of the names are directories; without it none. Programs count processes and threads by
   * link counts.
   */
  directoryCount?(subject: S): number;
  /** In the order of rising keys. Those below `firstKey` need not come. */
  list(subject: S, caller: Caller, firstKey: number): Result<Iterable<ComputedName>>;
  /** The node of a name, the same one as long as it means the same; undefined where there is none. */
  lookup(filesystem: PseudoFileSystem, subject: S, name: string, caller: Caller): Node | undefined;
}

export interface DirectoryOptions<S extends object> extends EntryOptions<S> {
  readonly mode?: number;
  readonly computed?: Computed<S>;
  /** st_nlink, where it is not two and one for each directory within. */
  readonly linkCount?: number;
  /** st_size; 0 without it. */
  readonly sizeBytes?: (subject: S) => number;
  /** Asked at lookup too. ENOENT hides everything. */
  readonly mayLookUp?: (subject: S, caller: Caller) => SysResult;
}

export function directory<S extends object>(
  entries: Entries<S>,
  options: DirectoryOptions<S> = {},
): Entry<S> {
  const fixedCount = Object.values(entries).filter(
    ({ isDirectory }) => isDirectory === true,
  ).length;
  const entry: Entry<S> = (filesystem, subject) =>
    new PseudoDirectory(filesystem, subject, entries, options, 2 + fixedCount);
  return Object.assign(entry, { isDirectory: true });
}

/** Keys of computed names begin here in directory offsets. */
const computedOffset = 1_000;

export class PseudoDirectory<S extends object> extends Node {
  readonly filesystem: PseudoFileSystem;
  readonly kind: number = S_IFDIR;
  override readonly cacheable: boolean = false;
  readonly #inode: Inode;
  readonly #subject: S;
  readonly #entries: Entries<S>;
  readonly #options: DirectoryOptions<S>;
  readonly #fixedLinks: number;
  readonly #nodes = new Map<string, Node>();

  constructor(
    filesystem: PseudoFileSystem,
    subject: S,
    entries: Entries<S>,
    options: DirectoryOptions<S>,
    fixedLinks: number,
  ) {
    super();
    this.filesystem = filesystem;
    this.#inode = new Inode(filesystem);
    this.#subject = subject;
    this.#entries = entries;
    this.#options = options;
    this.#fixedLinks = fixedLinks;
  }

  /** The object that the directory shows (/proc/PID: the process). */
  get subject(): S {
    return this.#subject;
  }

  get ino(): number {
    return this.#inode.ino;
  }

  attributes(): Attributes {
    const { computed, linkCount, sizeBytes } = this.#options;
    const links = this.#fixedLinks + (computed?.directoryCount?.(this.#subject) ?? 0);
    const size = sizeBytes?.(this.#subject) ?? 0;
    return this.#inode.attributes(this.ownership(), linkCount ?? links, size);
  }

  override ownership(): Ownership {
    const { uid, gid } = this.#options.owner?.(this.#subject) ?? rootOwner;
    return { mode: S_IFDIR | (this.#options.mode ?? 0o555), uid, gid };
  }

  override setAttributes(change: AttributeChange): SysResult {
    return change.mode === undefined && change.uid === undefined && change.gid === undefined
      ? 0
      : EPERM;
  }

  override lookup(name: string, caller: Caller): Result<Node> {
    const allowed = this.#options.mayLookUp?.(this.#subject, caller) ?? 0;
    if (isErrno(allowed)) return allowed;
    return (
      this.#fixed(name) ??
      this.#options.computed?.lookup(this.filesystem, this.#subject, name, caller) ??
      ENOENT
    );
  }

  open(flags: number, caller: Caller): Result<OpenFile> {
    const allowed = this.#options.mayOpen?.(this.#subject, caller, flags) ?? 0;
    if (isErrno(allowed)) return allowed;
    return new PseudoDirectoryFile(this, flags);
  }

  /** Entries from `offset` on: 0 is '.', 1 '..', then the fixed names, then the computed ones by key. */
  list(offset: number, emit: DirectoryEmit, caller: Caller): SysResult {
    const names = Object.keys(this.#entries);
    if (offset < 1 && !emit('.', this.ino, S_IFDIR, 1)) return 0;
    if (offset < 2 && !emit('..', this.ino, S_IFDIR, 2)) return 0;
    for (let index = Math.max(0, offset - 2); index < names.length; index += 1) {
      const name = names[index] as string;
      const node = this.#fixed(name) as Node;
      if (!emit(name, inodeNumber(node), node.kind, index + 3)) return 0;
    }
    return this.#listComputed(offset, emit, caller);
  }

  #listComputed(offset: number, emit: DirectoryEmit, caller: Caller): SysResult {
    const { computed } = this.#options;
    if (computed === undefined) return 0;
    const names = computed.list(this.#subject, caller, offset - computedOffset);
    if (isErrno(names)) return names;
    for (const { name, key } of names) {
      if (key + computedOffset < offset) continue;
      const node = computed.lookup(this.filesystem, this.#subject, name, caller);
      if (node === undefined) continue;
      if (!emit(name, inodeNumber(node), node.kind, key + computedOffset + 1)) return 0;
    }
    return 0;
  }

  #fixed(name: string): Node | undefined {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(this.#entries, name)) return undefined;
    const node = this.#entries[name]?.(this.filesystem, this.#subject);
    if (node !== undefined) this.#nodes.set(name, node);
    return node;
  }
}

function inodeNumber(node: Node): number {
  const attributes = node.attributes();
  return isErrno(attributes) ? 1 : attributes.ino;
}

class PseudoDirectoryFile<S extends object> extends OpenDirectory {
  readonly node: PseudoDirectory<S>;

  constructor(node: PseudoDirectory<S>, flags: number) {
    super(flags);
    this.node = node;
  }

  /** EINVAL where not even the first entry fits. */
  override readDirectory(emit: DirectoryEmit, caller: Caller): SysResult {
    let shown = 0;
    let refused = false;
    const emitNext: DirectoryEmit = (name, ino, kind, nextOffset) => {
      refused = !emit(name, ino, kind, nextOffset);
      if (refused) return false;
      shown += 1;
      this.offset = nextOffset;
      return true;
    };
    const listed = this.node.list(this.offset, emitNext, caller);
    return refused && shown === 0 ? EINVAL : listed;
  }
}
