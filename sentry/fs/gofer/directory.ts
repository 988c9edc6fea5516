// SPDX-License-Identifier: Apache-2.0
// Directories of a Gofer tree: lookups ahead of a walk, listings with attributes, and changes to
// writable volumes.
import {
  EIO,
  ENOENT,
  EOVERFLOW,
  EROFS,
  type Errno,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { RENAME_EXCHANGE } from '../../../abi/fs.ts';
import { WALK_MAX } from '../../../protocol/gofer/fields.ts';
import type { HostEntry, NamedAttributes } from '../../../protocol/gofer/host-attributes.ts';
import { currentTurn } from '../../base/turn.ts';
import type { Caller } from '../../vfs/caller.ts';
import { DirectoryFile, type ListedEntry, type Listing } from '../../vfs/directory-file.ts';
import type { Attributes, NewNode, Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { reportedNs } from './attribute-cache.ts';
import { ExclusiveNames } from './exclusive-names.ts';
import { GoferFile } from './file.ts';
import type { GoferFileSystem } from './filesystem.ts';
import { HostListing } from './host-listing.ts';
import type { KnownNames } from './known-names.ts';
import { GoferNode, type HostOwner } from './node.ts';
import { WatchedNames } from './watched-names.ts';

/** A host directory that never ends must not keep us here. */
const maxEntries = 5_000_000;

/** The result of a walk ahead for one name. The lookup that follows uses it, once. */
interface Hint {
  readonly name: string;
  readonly found: Result<HostEntry>;
  readonly next: Hint | undefined;
  /** The turn that it is good for. */
  readonly turn: number;
}

export class GoferDirectory extends GoferNode implements Listing {
  /** The Gofer's id; 0: not asked for yet. */
  #id: number;
  #hint: Hint | undefined = undefined;
  /** The names, where the tree is exclusive. */
  readonly own: ExclusiveNames = new ExclusiveNames(this);
  /** The names, where the tree is shared. */
  readonly #names: WatchedNames = new WatchedNames(this);

  constructor(
    filesystem: GoferFileSystem,
    parent: GoferDirectory | undefined,
    name: string,
    attributes: Attributes,
    entry: Pick<HostEntry, 'id' | 'watch'>,
  ) {
    super(filesystem, parent, name, attributes);
    this.#id = entry.id;
    this.#names.setWatch(entry.watch);
  }

  get ino(): number {
    return this.lastKnown.ino;
  }

  get parentIno(): number {
    return this.parent?.ino ?? this.ino;
  }

  /**
   * The Gofer's id of this directory; an id of nothing (its requests answer EBADF) where the
   * directory is gone.
   */
  id(): number {
    if (this.#id === 0) this.#find();
    return this.#id;
  }

  /** Asks for it by its name: id, watch and attributes. */
  #find(): void {
    const { parent, name, filesystem } = this;
    if (parent === undefined) return;
    const { entries } = filesystem.client.walk(parent.id(), name);
    const entry = entries[0];
    if (entry === undefined || !filesystem.isNodeOf(this, entry.attributes)) return;
    this.placed(
      parent,
      name,
      filesystem.localAttributes(entry.attributes),
      entry,
      filesystem.nowNs(),
    );
  }

  get knownId(): number {
    return this.#id;
  }

  override directoryId(): number {
    return this.parent === undefined ? this.id() : this.parent.id();
  }

  override placed(
    parent: GoferDirectory,
    name: string,
    attributes: Attributes,
    entry: HostEntry,
    sinceNs: number,
  ): void {
    if (entry.id !== 0) {
      this.#id = entry.id;
      this.#names.setWatch(entry.watch);
    } else if (parent !== this.parent || name !== this.name) {
      // Known from a listing: the Gofer learns of the new name by being asked for it.
      this.#id = 0;
    }
    super.placed(parent, name, attributes, entry, sinceNs);
  }

  override lookupAhead(path: string, position: number): void {
    const names = path
      .slice(position)
      .split('/')
      .filter((name) => name !== '' && name !== '.');
    const dotdot = names.indexOf('..');
    const usable = names.slice(0, Math.min(dotdot < 0 ? names.length : dotdot, WALK_MAX));
    const first = usable[0];
    if (first === undefined || usable.length < 2 || this.own.listing !== undefined) return;
    if (this.#hint?.name === first && this.#hint.turn === currentTurn()) return;
    if (this.#names.trusted()?.get(first) !== undefined) return;
    if (this.filesystem.turnNames.get(this, first) !== undefined) return;
    if (usable.some((name) => name.length > 255)) return;
    this.#hint = this.#walkAhead(usable);
  }

  #walkAhead(usable: readonly string[]): Hint | undefined {
    const { watch, entries, errno } = this.filesystem.client.walk(this.id(), usable.join('/'));
    this.#names.setWatch(watch);
    const turn = currentTurn();
    let hint: Hint | undefined;
    if (entries.length < usable.length && isErrno(errno))
      hint = {
        name: usable[entries.length] as string,
        found: errno,
        next: undefined,
        turn,
      };
    for (let index = entries.length - 1; index >= 0; index -= 1) {
      const found = entries[index] as HostEntry;
      hint = { name: usable[index] as string, found, next: hint, turn };
    }
    return hint;
  }

  override lookup(name: string, _caller: Caller): Result<Node> {
    const { filesystem } = this;
    if (!filesystem.exclusive) filesystem.client.shareFiles();
    const hint = this.#hint;
    if (hint !== undefined) {
      this.#hint = undefined;
      if (hint.name === name && hint.turn === currentTurn()) return this.#fromHint(hint);
    }
    const known = filesystem.exclusive ? this.#listed(name) : this.#known(name);
    return known ?? filesystem.turnNames.get(this, name) ?? this.#walkTo(name);
  }

  /** Returns what a listing of an exclusive tree tells of a name; undefined where it tells nothing. */
  #listed(name: string): Result<GoferNode> | undefined {
    const entry = this.own.find(name);
    if (entry === undefined || isErrno(entry)) return entry;
    const { attributes } = entry;
    if (attributes === undefined) return undefined;
    return this.filesystem.node(this, name, { attributes, id: 0, watch: 0, target: '' });
  }

  /** Returns what is known of a name without a request; undefined where nothing is known. */
  #known(name: string): Result<GoferNode> | undefined {
    const names = this.#names.trusted();
    const known = names?.get(name);
    if (names === undefined || known === undefined) return undefined;
    if (known === 'missing') return ENOENT;
    if (known instanceof GoferNode) {
      // One of several names: requests go by the one that is known to be there.
      known.foundAt(this, name);
      return known;
    }
    const entry = { attributes: known, id: 0, watch: 0, target: '' };
    const node = this.filesystem.node(this, name, entry, names.listedNs);
    // The directory is not told of what another container did by another name.
    const isTold = known.nlink === 1 && known.mountRoot === 0;
    if (!isTold && names.foreignChanges !== this.filesystem.client.foreignChanges)
      node.cache.changed();
    names.set(name, node);
    return node;
  }

  #walkTo(name: string): Result<Node> {
    const { watch, entries, errno } = this.filesystem.client.walk(this.id(), name);
    const entry = entries[0];
    this.#names.setWatch(watch);
    if (entry === undefined)
      return errno === ENOENT ? this.#missed(name) : isErrno(errno) ? errno : EIO;
    return this.#remembered(name, this.filesystem.node(this, name, entry));
  }

  /** There is no such name. */
  #missed(name: string): Errno {
    if (this.filesystem.exclusive) this.own.missed();
    if (this.#names.missed(name)) this.#fetchListing(1);
    this.filesystem.turnNames.set(this, name, ENOENT);
    return ENOENT;
  }

  #remembered(name: string, node: GoferNode): GoferNode {
    this.#names.remember(name, node);
    this.filesystem.turnNames.set(this, name, node);
    return node;
  }

  /** Is it known to be what has this name? */
  knows(name: string, node: GoferNode): boolean {
    return this.#names.trusted()?.get(name) === node;
  }

  /** A directory is told of by its own watch. */
  override isReported(): boolean {
    return this.#names.trusted() !== undefined;
  }

  override get isWatched(): boolean {
    return this.#names.isOn;
  }

  changedByOthers(): void {
    this.cache.changedByOthers();
  }

  /** By whomever: what a walk found out before is old. */
  entriesChanged(): void {
    this.#hint = undefined;
    this.filesystem.turnNames.clear();
    this.cache.changed();
  }

  nodeForgotten(name: string, node: GoferNode): void {
    this.#names.nodeForgotten(name, node);
  }

  #fromHint(hint: Hint): Result<Node> {
    const { name, found } = hint;
    if (isErrno(found)) return found === ENOENT ? this.#missed(name) : found;
    const node = this.filesystem.node(this, name, found);
    if (node instanceof GoferDirectory) node.#hint = hint.next;
    return this.#remembered(name, node);
  }

  list(): Result<readonly ListedEntry[]> {
    const names = this.#names.trusted();
    const known = names === undefined || this.#isOld(names) ? undefined : names.list();
    if (known !== undefined) return known;
    if (this.filesystem.exclusive) return this.own.list();
    const listing = this.#fetchListing();
    return isErrno(listing) ? listing : HostListing.of(listing).entries;
  }

  /**
   * Returns whether the listing is old. A program that lists will ask for attributes, and it is
   * better to have all of them again at once than each by itself.
   */
  #isOld(names: KnownNames): boolean {
    return this.filesystem.nowNs() - names.listedNs > reportedNs;
  }

  stillHas(_name: string): boolean {
    return true;
  }

  wasRead(): void {}

  dropListing(): void {
    this.filesystem.listingDropped(this);
    this.own.drop();
    this.#names.dropNames();
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    return new DirectoryFile(this, flags);
  }

  override create(name: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    const made = client.create({ id: this.id(), name, mode: as.mode & 0o7777, ...owner });
    if (isErrno(made)) return made;
    const node = this.#added(name, made.entry);
    if (node instanceof GoferFile) node.adoptHostFd(made.fd);
    else this.filesystem.closeFd(made.fd);
    return node;
  }

  override createUnnamed(as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    const made = client.createUnnamed({ id: this.id(), mode: as.mode & 0o7777, ...owner });
    return isErrno(made) ? made : this.filesystem.unnamed(this, made);
  }

  override mkdir(name: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    const made = client.makeDirectory({ id: this.id(), name, mode: as.mode & 0o7777, ...owner });
    if (isErrno(made)) return made;
    const node = this.#added(name, made.entry);
    if (made.isEmpty && node instanceof GoferDirectory) node.#names.setEmpty();
    return node;
  }

  override mknod(name: string, as: NewNode, rdev: number): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    return this.#made(
      name,
      client.makeNode({ id: this.id(), name, mode: as.mode, ...owner, rdev }),
    );
  }

  override symlink(name: string, target: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    return this.#made(name, client.symlink({ id: this.id(), name, ...owner, target }));
  }

  override link(name: string, target: Node): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const node = target as GoferNode;
    const { client } = this.filesystem;
    const { place } = node;
    if (isErrno(place)) return place;
    const done =
      node.heldId === 0
        ? client.link(place, this.id(), name)
        : client.linkHeld(node.heldId, this.id(), name);
    this.#changed();
    this.#names.changed(name);
    if (!isErrno(done) && node.heldId !== 0) this.#relocate(this, name);
    node.cache.changedByOthers();
    return done;
  }

  override unlink(name: string, target: Node): SysResult {
    return this.#remove(name, target as GoferNode, false);
  }

  override rmdir(name: string, target: Node): SysResult {
    return this.#remove(name, target as GoferNode, true);
  }

  override rename(
    name: string,
    newParent: Node,
    newName: string,
    flags: number,
    victim: Node | undefined,
  ): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const to = newParent as GoferDirectory;
    for (const tree of this.filesystem.client.identities.filesystems()) {
      if (tree === this.filesystem) continue;
      tree.entryWillMove(this, name);
      tree.entryWillMove(to, newName);
    }
    const replaced =
      (flags & RENAME_EXCHANGE) === 0 && victim instanceof GoferNode ? victim : undefined;
    if (replaced instanceof GoferFile) replaced.beforeUnlink();
    const moved = this.#names.trusted()?.get(name);
    const done = this.filesystem.client.rename(this.id(), name, to.id(), newName, flags);
    this.#changed();
    to.#changed();
    // What is at the new name is looked up: the event does not tell our change from one right after it.
    to.#names.changed(newName);
    if (isErrno(done) || (flags & RENAME_EXCHANGE) !== 0) this.#names.changed(name);
    else this.#names.movedAway(name, moved);
    if (isErrno(done)) return done;
    replaced?.unlinked();
    if (moved instanceof GoferNode && (flags & RENAME_EXCHANGE) === 0) {
      moved.foundAt(to, newName);
      moved.cache.changed();
      return 0;
    }
    this.#relocate(to, newName);
    if ((flags & RENAME_EXCHANGE) !== 0) this.#relocate(this, name);
    return 0;
  }

  override forgotten(): void {
    this.own.drop();
    this.#names.forget();
    super.forgotten();
    if (this.#id !== 0 && this.parent !== undefined) this.filesystem.client.forget(this.#id);
    this.#id = 0;
  }

  /** open(2): EOVERFLOW where the host has no such owner. */
  #ownerOf(as: NewNode): Result<HostOwner> {
    const owner = this.hostOwner(as.uid, as.gid);
    return isErrno(owner) ? EOVERFLOW : owner;
  }

  #remove(name: string, target: GoferNode, isDirectory: boolean): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    if (target instanceof GoferFile)
      for (const tree of this.filesystem.client.identities.filesystems())
        tree.nameWillGo(target.key);
    const done = this.filesystem.client.remove(this.id(), name, isDirectory);
    this.#changed();
    if (isErrno(done)) {
      this.#names.changed(name);
      return done;
    }
    this.#names.removed(name, target);
    target.unlinked();
    return done;
  }

  /** Tells the moved node where it is now. */
  #relocate(parent: GoferDirectory, name: string): void {
    const { entries } = this.filesystem.client.walk(parent.id(), name);
    const entry = entries[0];
    if (entry !== undefined) this.filesystem.node(parent, name, entry);
  }

  #made(name: string, entry: Result<HostEntry>): Result<Node> {
    return isErrno(entry) ? entry : this.#added(name, entry);
  }

  #added(name: string, entry: HostEntry): GoferNode {
    this.#changed();
    const node = this.filesystem.node(this, name, entry);
    this.#names.made(name, node);
    return node;
  }

  #changed(): void {
    this.filesystem.client.changed();
    this.entriesChanged();
  }

  /** By name: so it gets a watch. */
  protected override fetch(): Result<Attributes> {
    const { client, exclusive } = this.filesystem;
    if (this.#names.isOn || exclusive || !client.watches.isOn) return super.fetch();
    const before = this.cache.learnedNs;
    this.#find();
    return this.cache.learnedNs > before ? this.lastKnown : super.fetch();
  }

  listAlone(): Result<HostListing> {
    const listing = this.#fetchListing();
    return isErrno(listing) ? listing : HostListing.of(listing);
  }

  /**
   * Fetches a listing of at most `maxParts` parts. A longer one is not complete, and not treated as
   * complete.
   */
  #fetchListing(maxParts: number = Number.POSITIVE_INFINITY): Result<NamedAttributes[]> {
    const { filesystem } = this;
    if (!filesystem.exclusive) filesystem.client.shareFiles();
    const listing: NamedAttributes[] = [];
    let isWhole = false;
    for (let parts = 0; parts < maxParts && listing.length <= maxEntries; parts += 1) {
      const part = filesystem.client.list(this.id(), parts > 0);
      if (isErrno(part)) return part;
      if (parts === 0) this.#names.setWatch(part.watch);
      for (const entry of part.entries) listing.push(entry);
      isWhole = !part.more;
      if (isWhole) break;
    }
    if (!filesystem.exclusive && isWhole) this.#names.fill(listing);
    return listing;
  }
}
