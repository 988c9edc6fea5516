// SPDX-License-Identifier: Apache-2.0
// The entries of one directory of a tree that nobody changes, as the Gofer listed them: names and
// types, attributes where they are known, and below subdirectories what was listed ahead of a walk.
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { NamedAttributes } from '../../../protocol/gofer/host-attributes.ts';
import { ASKED, type TreeDirectory, type TreeEntry } from '../../../protocol/gofer/tree.ts';

/** An entry. It is the object that was read from the message. */
export interface ListedHost extends TreeEntry {
  /** A subdirectory's listing that no node has taken yet. */
  below?: HostListing | undefined;
  /** A subdirectory that was listed, whoever has the listing now. */
  isListed?: boolean;
}

export class HostListing {
  readonly entries: readonly ListedHost[];
  /** Entries here, and in the listings below that nobody has taken. */
  count: number;
  /** How many entries were asked for one by one, since the listing did not tell their attributes. */
  looks = 0;
  #byName: Map<string, ListedHost> | undefined = undefined;
  #files: readonly ListedHost[] | undefined = undefined;
  #byInode: readonly ListedHost[] | undefined = undefined;

  constructor(entries: readonly ListedHost[]) {
    this.entries = entries;
    this.count = entries.length;
  }

  /** A listing whose entries all have attributes. */
  static of(entries: readonly NamedAttributes[]): HostListing {
    return new HostListing(
      entries.map(({ name, attributes }) => {
        const { ino, mode } = attributes;
        return { name, ino, kind: mode & S_IFMT, attributes };
      }),
    );
  }

  get(name: string): ListedHost | undefined {
    if (this.#byName === undefined) {
      // Most directories of a walk have no subdirectories, and nothing in them is looked up.
      this.#byName = new Map();
      for (const entry of this.entries) this.#byName.set(entry.name, entry);
    }
    return this.#byName.get(name);
  }

  /** Hangs the listing of a subdirectory on its entry. */
  putBelow(entry: ListedHost, below: HostListing): void {
    if (entry.below !== undefined) this.count -= entry.below.count;
    entry.below = below;
    entry.isListed = true;
    this.count += below.count;
  }

  /** Takes the listing of the subdirectory `entry`, if there is one. */
  takeBelow(entry: ListedHost): HostListing | undefined {
    const { below } = entry;
    if (below === undefined) return undefined;
    entry.below = undefined;
    this.count -= below.count;
    return below;
  }

  /**
   * At most `limit` regular files from `first` on, as a program goes through them that opened `last`
   * before: in the order of the listing, or, as cp(1) does, of inode numbers. After the last comes
   * the first.
   */
  filesFrom(first: ListedHost, last: ListedHost | undefined, limit: number): ListedHost[] {
    this.#files ??= this.entries.filter(({ kind }) => kind === S_IFREG);
    const files = this.#files;
    const at = files.indexOf(first);
    if (last === undefined || at === 0 || files[at - 1] === last) return around(files, at, limit);
    this.#byInode ??= [...files].sort((a, b) => a.ino - b.ino);
    return around(this.#byInode, this.#byInode.indexOf(first), limit);
  }

  /**
   * The subdirectories that were not listed yet, in the order of a walk: those after `name`, then, as
   * ls(1) sorts them, those before. At most `limit`.
   */
  subdirectoriesAfter(name: string, limit: number): ListedHost[] {
    const from = this.get(name);
    if (from !== undefined) from.isListed = true;
    const at = from === undefined ? 0 : this.entries.indexOf(from);
    const found: ListedHost[] = [];
    for (let step = 1; step < this.entries.length && found.length < limit; step += 1) {
      const entry = this.entries[(at + step) % this.entries.length] as ListedHost;
      if (entry.kind === S_IFDIR && entry.isListed !== true) found.push(entry);
    }
    return found;
  }
}

function around(files: readonly ListedHost[], at: number, limit: number): ListedHost[] {
  if (at < 0) return [];
  const found = files.slice(at, at + limit);
  return found.length < limit
    ? found.concat(files.slice(0, Math.min(at, limit - found.length)))
    : found;
}

/**
 * The listings of the directories that were asked for, by the index of their path; those below hang
 * on the entries of these. What hangs on nothing is left out.
 */
export function listingsOf(directories: readonly TreeDirectory[]): (HostListing | undefined)[] {
  const asked: (HostListing | undefined)[] = [];
  const all = directories.map(({ entries }) => new HostListing(entries));
  // Backwards, so that a listing has its count before it hangs on its parent's.
  for (let index = all.length - 1; index >= 0; index -= 1) {
    const { parent, place, name } = directories[index] as TreeDirectory;
    const listing = all[index] as HostListing;
    if (parent === ASKED) asked[place] = listing;
    else if (parent < index) {
      const above = all[parent] as HostListing;
      const entry = above.get(name);
      if (entry?.kind === S_IFDIR) above.putBelow(entry, listing);
    }
  }
  return asked;
}
