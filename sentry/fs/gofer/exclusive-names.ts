// SPDX-License-Identifier: Apache-2.0
// The names of one directory of a tree that nobody changes: what was listed holds for good. A walk
// over the tree is seen, and what it will list next is asked for in the same request.
import { ENOENT, EOPNOTSUPP, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import { REPLY_BYTES } from '../../../protocol/gofer/operations.ts';
import { TREE_PLACES_MAX } from '../../../protocol/gofer/tree.ts';
import type { ListedEntry } from '../../vfs/directory-file.ts';
import type { GoferFileSystem, KeepsListing } from './filesystem.ts';
import { type HostListing, type ListedHost, listingsOf } from './host-listing.ts';
import { lookupsBeforeAttributes, lookupsBeforeNames, smallReply } from './listing-ahead.ts';
import type { Located } from './opened-ahead.ts';

/** Levels of the tree above a directory whose next subdirectories are asked for with it. */
const maxLevels = 8;
/** Characters of all paths of a request. */
const maxPathBytes = 16 * 1024;
/** Levels above a directory up to which one is looked for that the Gofer has an id for. */
const maxAbove = 32;

/** The directory that the names are in. */
interface Owner extends KeepsListing {
  readonly filesystem: GoferFileSystem;
  readonly parent: Owner | undefined;
  readonly name: string;
  readonly own: ExclusiveNames;
  id(): number;
  /** The same without asking; 0: not known. */
  readonly knownId: number;
  /** Lists this directory alone, with all attributes. */
  listAlone(): Result<HostListing>;
}

/** A directory to be listed with others: the entry that it is, and the listing that this is in. */
interface Place {
  readonly path: string;
  readonly above: Owner;
  readonly entry: ListedHost;
}

export class ExclusiveNames implements Located {
  readonly #owner: Owner;
  #listing: HostListing | undefined = undefined;
  /** Names that were looked up before there was a listing; one that is not there counts thrice. */
  #lookups = 0;
  /** A guest has read the directory. */
  #wasRead = false;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  get listing(): HostListing | undefined {
    return this.#listing;
  }

  /** All entries. */
  list(): Result<readonly ListedEntry[]> {
    this.#wasRead = true;
    this.#owner.filesystem.ahead.listed();
    const listing = this.#listing ?? this.#fromAbove() ?? this.#fetch();
    return isErrno(listing) ? listing : listing.entries;
  }

  /**
   * The entry of a name with its attributes; ENOENT where there is none; undefined: the Gofer has to
   * be asked.
   */
  find(name: string): Result<ListedHost> | undefined {
    const { ahead } = this.#owner.filesystem;
    const listing = this.#listing ?? this.#fromAbove() ?? this.#listingOfMany();
    if (listing === undefined) return undefined;
    const entry = listing.get(name);
    if (entry === undefined) return ENOENT;
    if (entry.kind !== S_IFDIR) ahead.looked();
    if (entry.attributes !== undefined) return entry;
    listing.looks += 1;
    if (!ahead.wantsAll(listing.looks, listing.entries.length, this.#wasRead)) return undefined;
    const all = this.#fetchTree(1, true) ?? this.#fetchAll();
    return isErrno(all) ? undefined : all.get(name);
  }

  /** A descriptor of a file, opened with others that a guest may open next. Undefined: there is none. */
  openAhead(name: string, ino: number): SysResult | undefined {
    const { filesystem } = this.#owner;
    if (!this.#wasRead || this.#listing === undefined) return undefined;
    return filesystem.openedAhead.open(this, this.#listing, name, ino);
  }

  /** Takes what was listed ahead of this directory, and hangs on its entry in the one above. */
  #fromAbove(): HostListing | undefined {
    const { parent, name, filesystem } = this.#owner;
    const above = parent?.own.listing;
    if (parent === undefined || above === undefined) return undefined;
    const entry = above.get(name);
    const below = entry === undefined ? undefined : above.takeBelow(entry);
    if (below === undefined) return undefined;
    filesystem.listingKept(parent, above.count);
    return this.#keep(below);
  }

  /** The Gofer said that a name is not there: who looks for one in vain looks for others. */
  missed(): void {
    this.#lookups += 2;
  }

  located(): { readonly id: number; readonly path: string } {
    let path = '';
    let at = this.#owner;
    for (
      let level = 0;
      at.knownId === 0 && at.parent !== undefined && level < maxAbove;
      level += 1
    ) {
      path = path === '' ? at.name : `${at.name}/${path}`;
      at = at.parent;
    }
    return { id: at.id(), path };
  }

  drop(): void {
    this.#listing = undefined;
    this.#lookups = 0;
  }

  #keep(listing: HostListing): HostListing {
    this.#listing = listing;
    this.#owner.filesystem.listingKept(this.#owner, listing.count);
    return listing;
  }

  /** The names of a directory in which several were looked up. */
  #listingOfMany(): HostListing | undefined {
    const before = this.#lookups;
    this.#lookups += 1;
    if (before < lookupsBeforeAttributes && this.#lookups >= lookupsBeforeAttributes)
      return this.#fetchTree(1, true, smallReply);
    if (before < lookupsBeforeNames && this.#lookups >= lookupsBeforeNames)
      return this.#fetchTree(1, false);
    return undefined;
  }

  #fetch(): Result<HostListing> {
    const { filesystem, parent } = this.#owner;
    const { ahead } = filesystem;
    const window = ahead.next(parent?.own.listing !== undefined);
    return this.#fetchTree(window, ahead.wantsAttributes) ?? this.#fetchAll();
  }

  #fetchAll(): Result<HostListing> {
    const listing = this.#owner.listAlone();
    return isErrno(listing) ? listing : this.#replace(listing);
  }

  /** The new listing takes over what hangs on the old one. */
  #replace(listing: HostListing): HostListing {
    const old = this.#listing;
    if (old !== undefined)
      for (const entry of old.entries) {
        const below = old.takeBelow(entry);
        const same = below === undefined ? undefined : listing.get(entry.name);
        if (same !== undefined && below !== undefined) listing.putBelow(same, below);
      }
    return this.#keep(listing);
  }

  /**
   * Lists this directory, and with it up to `window` in all that a walk will come to. Undefined:
   * not this way.
   */
  #fetchTree(
    window: number,
    attributes: boolean,
    room: number = REPLY_BYTES,
  ): HostListing | undefined {
    const owner = this.#owner;
    const { ahead, client } = owner.filesystem;
    const { parent, name } = owner;
    if (ahead.isRefused || parent === undefined) return undefined;
    const { base, paths, places } = pathsFrom(owner, parent, name, window);
    const { id, path } = base.own.located();
    const from = path === '' ? paths : paths.map((each) => `${path}/${each}`);
    const listed = client.listTree({ id, paths: from, limit: window, attributes, room });
    if (isErrno(listed)) {
      ahead.isRefused = listed === EOPNOTSUPP;
      return undefined;
    }
    const [own, ...others] = listingsOf(listed.directories);
    for (const [index, { above, entry }] of places.entries()) {
      const listing = others[index];
      const { listing: into } = above.own;
      if (listing === undefined || into === undefined) continue;
      into.putBelow(entry, listing);
      owner.filesystem.listingKept(above, into.count);
    }
    return own === undefined ? undefined : this.#replace(own);
  }
}

/**
 * The directories that a walk comes to, as paths from a directory above all of them: this one, its
 * siblings after it, those of its parent, and so on. `places` are all but the first.
 */
function pathsFrom(
  owner: Owner,
  parent: Owner,
  name: string,
  window: number,
): { readonly base: Owner; readonly paths: string[]; readonly places: Place[] } {
  const levels: { above: Owner; entries: ListedHost[] }[] = [];
  let base = parent;
  let left = Math.min(window, TREE_PLACES_MAX) - 1;
  let at = owner;
  for (let level = 0; left > 0 && level < maxLevels; level += 1) {
    const above = at.parent;
    if (above?.own.listing === undefined) break;
    const entries = above.own.listing.subdirectoriesAfter(at.name, left);
    left -= entries.length;
    levels.push({ above, entries });
    base = above;
    at = above;
  }
  const prefixes = new Map<Owner, string>([[base, '']]);
  for (const { above } of [...levels].reverse())
    if (above !== base && above.parent !== undefined)
      prefixes.set(above, `${prefixes.get(above.parent) ?? ''}${above.name}/`);
  const paths = [`${prefixes.get(parent) ?? ''}${name}`];
  const places: Place[] = [];
  let bytes = 0;
  for (const { above, entries } of levels)
    for (const entry of entries) {
      const path = `${prefixes.get(above) ?? ''}${entry.name}`;
      bytes += path.length;
      if (bytes > maxPathBytes) break;
      paths.push(path);
      places.push({ path, above, entry });
    }
  return { base, paths, places };
}
