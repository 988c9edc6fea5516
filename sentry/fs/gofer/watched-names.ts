// SPDX-License-Identifier: Apache-2.0
// The names of one directory of a shared tree, as long as the host tells of changes to them
// (host-watches.ts): where the events of the directory's watch come in, and where our own changes
// are told apart from those of others.
import {
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVED_FROM,
} from '../../../abi/inotify.ts';
import { S_IFDIR } from '../../../abi/stat.ts';
import type { NamedAttributes } from '../../../protocol/gofer/host-attributes.ts';
import type { GoferFileSystem, KeepsListing } from './filesystem.ts';
import type { WatchedDirectory } from './host-watches.ts';
import { type KnownName, KnownNames } from './known-names.ts';
import { GoferNode } from './node.ts';

/** Names of a directory that are kept while it is watched. */
const maxRemembered = 50_000;

/** The directory that the names are in. */
interface WatchedOwner extends KeepsListing {
  readonly filesystem: GoferFileSystem;
  /** Others changed the directory itself, or may have done so unseen. */
  changedByOthers(): void;
  /** A name in it came or went. */
  entriesChanged(): void;
}

export class WatchedNames implements WatchedDirectory {
  readonly #owner: WatchedOwner;
  /** Watch descriptor; 0: the host tells nothing of changes. */
  #watch = 0;
  /** While there is a watch. */
  #names: KnownNames | undefined = undefined;

  constructor(owner: WatchedOwner) {
    this.#owner = owner;
  }

  get isOn(): boolean {
    return this.#watch !== 0;
  }

  /**
   * Takes the watch that the Gofer reports. It was set before the answer that came with it; 0:
   * there is none.
   */
  setWatch(watch: number): void {
    const { client, exclusive } = this.#owner.filesystem;
    const wanted = client.watches.isOn && !exclusive ? watch : 0;
    if (wanted === this.#watch) return;
    this.forget();
    if (wanted !== 0) {
      this.#watch = wanted;
      this.#names = new KnownNames();
      client.watches.add(wanted, this);
    }
    // What was learned before the watch was there may have changed unseen.
    this.#owner.changedByOthers();
  }

  /** Nothing is known any more, and nothing more is told. */
  forget(): void {
    const { filesystem } = this.#owner;
    filesystem.listingDropped(this.#owner);
    if (this.#watch !== 0) filesystem.client.watches.remove(this.#watch, this);
    this.#watch = 0;
    this.#names = undefined;
  }

  /** The names take too much room: what is learned from now on is kept again. */
  dropNames(): void {
    if (this.#names !== undefined) this.#names = new KnownNames();
  }

  /** Returns the known names, if they can be trusted; undefined where the Gofer has to be asked. */
  trusted(): KnownNames | undefined {
    if (this.#watch === 0) return undefined;
    const { client } = this.#owner.filesystem;
    client.watches.look(client.foreignChanges);
    return this.#names;
  }

  unwatched(): void {
    this.setWatch(0);
  }

  hostChanged(mask: number, name: string): void {
    if (name === '') {
      this.#owner.changedByOthers();
      return;
    }
    const names = this.#names;
    if ((mask & (IN_ATTRIB | IN_MODIFY)) === 0) {
      this.#owner.entriesChanged();
      names?.changed(name)?.cache.changedByOthers();
      return;
    }
    const known = names?.get(name);
    if (known instanceof GoferNode) {
      if (known.isWatched) return;
      if ((mask & IN_ATTRIB) !== 0) known.cache.changedByOthers();
      else known.cache.changed();
    } else if (known !== 'missing') names?.changed(name);
  }

  /** The host said that this name is there, or is not. */
  remember(name: string, known: GoferNode | 'missing'): void {
    const names = this.#names;
    if (names === undefined) return;
    names.set(name, known);
    if (names.size > maxRemembered) this.#owner.dropListing();
    else this.#owner.filesystem.listingKept(this.#owner, names.size);
  }

  /**
   * The host said that there is no such name. True: who looks for it may look for many, so better
   * ask for all names now.
   */
  missed(name: string): boolean {
    this.remember(name, 'missing');
    return this.#names?.countMiss() === true;
  }

  /** Somebody did something to what has this name: it is asked for again. */
  changed(name: string): void {
    this.#names?.changed(name);
  }

  /** The vfs does not hold the node of this name any more. */
  nodeForgotten(name: string, node: GoferNode): void {
    const known = this.#names?.get(name);
    if (known === undefined || known === node) this.#names?.changed(name);
  }

  /** We made `node`: the event that tells of this is no news. */
  made(name: string, node: GoferNode): void {
    this.#expect(IN_CREATE, name, node);
    this.remember(name, node);
  }

  /** The directory was made just now, and no name was in it when its watch was there. */
  setEmpty(): void {
    this.#names?.setEmpty();
  }

  /** We removed what had this name: the event that tells of this is no news. */
  removed(name: string, what: unknown): void {
    this.#gone(IN_DELETE, name, what);
  }

  /** The same where we moved what had this name to another one. */
  movedAway(name: string, what: unknown): void {
    this.#gone(IN_MOVED_FROM, name, what);
  }

  /** All names, with what the host said of each just now. */
  fill(listing: readonly NamedAttributes[]): void {
    const names = this.#names;
    if (names === undefined || listing.length > maxRemembered) return;
    const { filesystem } = this.#owner;
    const now = filesystem.nowNs();
    const all = new Map<string, KnownName>();
    for (const { name, attributes } of listing) {
      const node = names.get(name);
      if (node instanceof GoferNode && filesystem.isNodeOf(node, attributes)) {
        // Of a directory without a watch it says nothing of what comes.
        node.cache.learned(filesystem.localAttributes(attributes), now);
        all.set(name, node);
      } else all.set(name, attributes);
    }
    names.fill(all, now, filesystem.client.foreignChanges);
    filesystem.listingKept(this.#owner, names.size);
  }

  #gone(mask: number, name: string, what: unknown): void {
    if (this.#names === undefined) return;
    this.remember(name, 'missing');
    this.#expect(mask, name, what);
  }

  #expect(mask: number, name: string, what: unknown): void {
    if (this.#names === undefined) return;
    const isDirectory = what instanceof GoferNode && what.kind === S_IFDIR;
    const bits = isDirectory ? mask | IN_ISDIR : mask;
    this.#owner.filesystem.client.watches.expect(this.#watch, bits, name, this);
  }
}
