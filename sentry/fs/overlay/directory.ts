// SPDX-License-Identifier: Apache-2.0
// Directories of an overlay: what was changed or looked up here, over a lower directory.
import { ENOENT, isErrno, type Result } from '../../../abi/errno.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { ListedEntry, Listing } from '../../vfs/directory-file.ts';
import type { NewNode } from '../../vfs/node.ts';
import { entriesOf, TmpDirectory } from '../tmp/directory.ts';
import type { MemoryNode } from '../tmp/memory-node.ts';
import type { OverlayFileSystem } from './filesystem.ts';

/** Lower file systems are trees of files: who asks makes no difference to them. */
export const lowerCaller = Object.freeze({}) as unknown as Caller;

export class OverlayDirectory extends TmpDirectory {
  readonly #overlay: OverlayFileSystem;
  /** Undefined for directories made here. */
  readonly #lower: Listing | undefined;
  /** Device of the lower directory, for the numbers of its entries. */
  readonly #lowerDev: number;
  /** The size of the lower directory, which changes here leave alone. */
  readonly #sizeBytes: number;
  readonly #own = new Map<string, MemoryNode>();
  /** Names in #own that are there because the lower directory has them. */
  readonly #adopted = new Set<string>();
  /** Lower names that were removed or replaced here (whiteouts). */
  #hidden: Set<string> | undefined = undefined;

  constructor(
    filesystem: OverlayFileSystem,
    as: NewNode & { readonly dev?: number; readonly sizeBytes?: number },
    parent: TmpDirectory | undefined,
    ino?: number,
    lower?: Listing,
  ) {
    super(filesystem, as, parent, ino);
    this.#overlay = filesystem;
    this.#lower = lower;
    this.#lowerDev = as.dev ?? 0;
    this.#sizeBytes = as.sizeBytes ?? 4096;
  }

  override get sizeBytes(): number {
    return this.#sizeBytes;
  }

  override lookupAhead(path: string, position: number): void {
    if (this.#lower === undefined) return;
    const slash = path.indexOf('/', position);
    const first = slash < 0 ? path.slice(position) : path.slice(position, slash);
    if (!this.#own.has(first) && this.#hidden?.has(first) !== true)
      this.#lower.lookupAhead(path, position);
  }

  protected override child(name: string): Result<MemoryNode> {
    const own = this.#own.get(name);
    if (own !== undefined) return own;
    if (this.#lower === undefined || this.#hidden?.has(name) === true) return ENOENT;
    const below = this.#lower.lookup(name, lowerCaller);
    if (isErrno(below)) return below;
    const node = this.#overlay.adopt(this, name, below);
    if (isErrno(node)) return node;
    this.#own.set(name, node);
    this.#adopted.add(name);
    return node;
  }

  protected override put(name: string, node: MemoryNode): void {
    this.#hideLower(name);
    this.#own.set(name, node);
  }

  protected override take(name: string): void {
    this.#hideLower(name);
    this.#own.delete(name);
  }

  override known(): Iterable<MemoryNode> {
    return this.#own.values();
  }

  protected override isEmpty(): boolean {
    if (this.#own.size > 0) return false;
    const entries = this.list();
    return !isErrno(entries) && entries[Symbol.iterator]().next().done === true;
  }

  override list(): Result<Iterable<ListedEntry>> {
    if (this.#lower === undefined) return entriesOf(this.#own);
    const below = this.#lower.list();
    return isErrno(below) || this.#isAsBelow ? below : this.#merge(below);
  }

  /** Nothing was changed or looked up here, and numbers are the same as below. */
  get #isAsBelow(): boolean {
    const { size } = this.#own;
    return size === 0 && this.#hidden === undefined && this.#overlay.inoOf(this.#lowerDev, 1) === 1;
  }

  /** The names below come first: they become own ones when they are looked up or changed, at any time. */
  *#merge(below: Iterable<ListedEntry>): Generator<ListedEntry> {
    for (const { name, ino, kind } of below) {
      if (this.#hidden?.has(name) === true) continue;
      const own = this.#own.get(name);
      if (own === undefined) yield { name, ino: this.#overlay.inoOf(this.#lowerDev, ino), kind };
      else if (this.#adopted.has(name)) yield { name, ino: own.ino, kind: own.kind };
    }
    for (const entry of entriesOf(this.#own)) if (!this.#adopted.has(entry.name)) yield entry;
  }

  override stillHas(name: string): boolean {
    // A listing asks this of each entry: mostly without looking its name up.
    const isBelow = this.#lower !== undefined && this.#hidden?.has(name) !== true;
    return isBelow || this.#own.has(name);
  }

  protected override newDirectory(as: NewNode): TmpDirectory {
    return new OverlayDirectory(this.#overlay, as, this);
  }

  /** `node` is as it is below: it can be found there again. */
  dropPristine(name: string, node: MemoryNode): void {
    if (this.#own.get(name) !== node || !this.#adopted.has(name)) return;
    this.#own.delete(name);
    this.#adopted.delete(name);
  }

  /** Lets go of children that nobody names. False where one has to stay. */
  dropChildren(): boolean {
    for (const [, node] of this.#own) {
      if (node.dentryCount === 0) node.origin?.drop();
    }
    return this.#own.size === 0;
  }

  /** From now on the lower entry of this name does not show, whatever becomes of ours. */
  #hideLower(name: string): void {
    // The name may have been dropped from #own since it was looked up.
    this.child(name);
    if (!this.#adopted.delete(name)) return;
    this.#hidden ??= new Set();
    this.#hidden.add(name);
  }
}
