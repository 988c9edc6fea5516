// SPDX-License-Identifier: Apache-2.0
// Directories in memory. fs/overlay extends this class: it overrides `child`, `put`, `take` and `list`.
import {
  EEXIST,
  EMLINK,
  ENOENT,
  ENOSPC,
  ENOTEMPTY,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../../abi/fs.ts';
import { S_IFDIR, S_IFLNK } from '../../../abi/stat.ts';
import type { Caller } from '../../vfs/caller.ts';
import { DirectoryFile, type ListedEntry, type Listing } from '../../vfs/directory-file.ts';
import type { NewNode, Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { TmpFile } from './file.ts';
import type { TmpFileSystem } from './filesystem.ts';
import { MemoryNode } from './memory-node.ts';
import { TmpSpecial, TmpSymlink } from './special.ts';

const maxLinks = 65_000;

/**
 * The entries of a directory while it changes: at most as many as there are now. One that is renamed
 * meanwhile comes last, under its new name.
 */
export function* entriesOf(children: ReadonlyMap<string, MemoryNode>): Generator<ListedEntry> {
  let left = children.size;
  for (const [name, { ino, kind }] of children) {
    if (left === 0) return;
    left -= 1;
    yield { name, ino, kind };
  }
}

export class TmpDirectory extends MemoryNode implements Listing {
  /** '..'; undefined for the root. Kept by put and take. */
  parent: TmpDirectory | undefined;
  readonly #children = new Map<string, MemoryNode>();
  readonly blocks: number = 0;

  constructor(
    filesystem: TmpFileSystem,
    as: NewNode,
    parent: TmpDirectory | undefined,
    ino?: number,
  ) {
    super(filesystem, as, ino);
    this.parent = parent;
    this.nlink = 2;
  }

  /** The size that Linux's tmpfs shows: 20 bytes an entry and two entries for '.' and '..'. */
  get sizeBytes(): number {
    return 40 + 20 * this.#children.size;
  }

  get parentIno(): number {
    return this.parent?.ino ?? this.ino;
  }

  // What fs/overlay overrides.

  /** The entry, or ENOENT. */
  protected child(name: string): Result<MemoryNode> {
    return this.#children.get(name) ?? ENOENT;
  }

  /** Makes or replaces an entry. */
  protected put(name: string, node: MemoryNode): void {
    this.#children.set(name, node);
  }

  /** Removes an entry that is there. */
  protected take(name: string): void {
    this.#children.delete(name);
  }

  /** Returns the nodes that live in memory below this directory. */
  known(): Iterable<MemoryNode> {
    return this.#children.values();
  }

  protected isEmpty(): boolean {
    return this.#children.size === 0;
  }

  list(): Result<Iterable<ListedEntry>> {
    return entriesOf(this.#children);
  }

  stillHas(name: string): boolean {
    return this.#children.has(name);
  }

  protected newFile(as: NewNode): TmpFile {
    return new TmpFile(this.filesystem, as);
  }

  protected newDirectory(as: NewNode): TmpDirectory {
    return new TmpDirectory(this.filesystem, as, this);
  }

  // The rest is the same with a lower directory and without.

  wasRead(): void {
    this.atime = this.filesystem.now();
  }

  override lookup(name: string, _caller: Caller): Result<Node> {
    return this.child(name);
  }

  override create(name: string, as: NewNode): Result<Node> {
    return this.#add(name, () => this.newFile(as));
  }

  override createUnnamed(as: NewNode): Result<Node> {
    if (!this.filesystem.takeInode()) return ENOSPC;
    const node = this.newFile(as);
    node.nlink = 0;
    return node;
  }

  override mkdir(name: string, as: NewNode): Result<Node> {
    if (this.nlink >= maxLinks) return EMLINK;
    const node = this.#add(name, () =>
      this.newDirectory({ ...as, mode: S_IFDIR | (as.mode & 0o7777) }),
    );
    if (!isErrno(node)) this.nlink += 1;
    return node;
  }

  override mknod(name: string, as: NewNode, rdev: number): Result<Node> {
    return this.#add(name, () => new TmpSpecial(this.filesystem, as, rdev));
  }

  override symlink(name: string, target: string, as: NewNode): Result<Node> {
    return this.#add(
      name,
      () => new TmpSymlink(this.filesystem, { ...as, mode: S_IFLNK | 0o777 }, target),
    );
  }

  override link(name: string, target: Node): SysResult {
    const node = target as MemoryNode;
    if (this.nlink === 0) return ENOENT;
    if (node.nlink >= maxLinks) return EMLINK;
    const there = this.child(name);
    if (there !== ENOENT) return isErrno(there) ? there : EEXIST;
    if (!node.addLink()) return ENOSPC;
    this.put(name, node);
    this.modified();
    return 0;
  }

  override unlink(name: string, target: Node): SysResult {
    this.take(name);
    (target as MemoryNode).dropLink();
    this.modified();
    return 0;
  }

  override rmdir(name: string, target: Node): SysResult {
    const directory = target as TmpDirectory;
    if (!directory.isEmpty()) return ENOTEMPTY;
    this.take(name);
    this.#buried(directory);
    this.modified();
    return 0;
  }

  override rename(name: string, newParent: Node, newName: string, flags: number): SysResult {
    const to = newParent as TmpDirectory;
    const node = this.child(name);
    if (isErrno(node)) return node;
    if (to.nlink === 0) return ENOENT;
    const there = to.child(newName);
    if (isErrno(there) && there !== ENOENT) return there;
    if ((flags & RENAME_EXCHANGE) !== 0) {
      return isErrno(there) ? there : this.#exchange(name, node, to, newName, there);
    }
    if (!isErrno(there)) {
      if ((flags & RENAME_NOREPLACE) !== 0) return EEXIST;
      // Two names of one file: rename(2) does nothing.
      if (there === node) return 0;
      if (there instanceof TmpDirectory && !there.isEmpty()) return ENOTEMPTY;
    }
    this.take(name);
    to.put(newName, node);
    if (!isErrno(there)) to.#replaced(there);
    this.#moved(node, to);
    return 0;
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    return new DirectoryFile(this, flags);
  }

  /** An entry changed. */
  modified(): void {
    this.mtime = this.filesystem.now();
    this.changed();
  }

  #add<T extends MemoryNode>(name: string, make: () => T): Result<T> {
    if (this.nlink === 0) return ENOENT;
    const there = this.child(name);
    if (there !== ENOENT) return isErrno(there) ? there : EEXIST;
    if (!this.filesystem.takeInode()) return ENOSPC;
    const node = make();
    this.put(name, node);
    this.modified();
    return node;
  }

  #exchange(
    name: string,
    node: MemoryNode,
    to: TmpDirectory,
    newName: string,
    there: MemoryNode,
  ): SysResult {
    this.put(name, there);
    to.put(newName, node);
    this.#moved(node, to);
    to.#moved(there, this);
    return 0;
  }

  /** `node` went from here to `to`. */
  #moved(node: MemoryNode, to: TmpDirectory): void {
    if (node instanceof TmpDirectory && to !== this) {
      node.parent = to;
      this.nlink -= 1;
      to.nlink += 1;
    }
    node.changed();
    this.modified();
    if (to !== this) to.modified();
  }

  #replaced(node: MemoryNode): void {
    if (node instanceof TmpDirectory) this.#buried(node);
    else node.dropLink();
  }

  /** A directory that was removed from here: no name, no '.'. */
  #buried(directory: TmpDirectory): void {
    directory.nlink = 0;
    this.nlink -= 1;
    directory.changed();
  }
}
