// Directories of a Gofer tree: lookups ahead of a walk, listings with attributes, and changes to writable volumes.
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
import { S_IFMT } from '../../../abi/stat.ts';
import { type HostAttributes, type HostEntry, WALK_MAX } from '../../../gofer/protocol.ts';
import type { Caller } from '../../vfs/caller.ts';
import { DirectoryFile, type ListedEntry, type Listing } from '../../vfs/directory-file.ts';
import type { Attributes, NewNode, Node, Ownership } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { GoferFile } from './file.ts';
import type { GoferFileSystem } from './filesystem.ts';
import { GoferNode, type HostOwner } from './node.ts';

/** A host directory that never ends must not keep us here. */
const maxEntries = 5_000_000;

/** What a walk ahead found out about one name: used by the lookup that follows, once. */
interface Hint {
  readonly name: string;
  readonly entry: HostEntry | undefined;
  readonly errno: SysResult;
  readonly next: Hint | undefined;
}

export class GoferDirectory extends GoferNode implements Listing {
  /** The Gofer's id; 0: not asked for yet. */
  #id: number;
  #hint: Hint | undefined = undefined;
  /** All entries, while the listing is kept (exclusive trees). */
  #listing: Map<string, HostAttributes> | undefined = undefined;

  constructor(
    filesystem: GoferFileSystem,
    parent: GoferDirectory | undefined,
    name: string,
    attributes: Attributes,
    id: number,
  ) {
    super(filesystem, parent, name, attributes);
    this.#id = id;
  }

  get ino(): number {
    return this.lastKnown.ino;
  }

  /** Entries that come and go change its times, not its owner: a burst of them does not ask for it each time. */
  override ownership(): Result<Ownership> {
    return this.isOwnershipFresh ? this.lastKnown : this.attributes();
  }

  get parentIno(): number {
    return this.parent?.ino ?? this.ino;
  }

  /** The Gofer's id of this directory; an id of nothing (its requests answer EBADF) where the directory is gone. */
  id(): number {
    if (this.#id === 0 && this.parent !== undefined) {
      const { entries } = this.filesystem.client.walk(this.parent.id(), this.name);
      this.#id = entries[0]?.id ?? 0;
    }
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
  ): void {
    super.placed(parent, name, attributes, entry);
    if (entry.id !== 0) this.#id = entry.id;
  }

  override lookupAhead(path: string, position: number): void {
    const names = path
      .slice(position)
      .split('/')
      .filter((name) => name !== '' && name !== '.');
    const dotdot = names.indexOf('..');
    const usable = names.slice(0, Math.min(dotdot < 0 ? names.length : dotdot, WALK_MAX));
    const first = usable[0];
    if (
      first === undefined ||
      usable.length < 2 ||
      this.#hint?.name === first ||
      this.#listing !== undefined
    )
      return;
    if (usable.some((name) => name.length > 255)) return;
    const { entries, errno } = this.filesystem.client.walk(this.id(), usable.join('/'));
    let hint: Hint | undefined;
    if (entries.length < usable.length && errno < 0)
      hint = { name: usable[entries.length] as string, entry: undefined, errno, next: undefined };
    for (let index = entries.length - 1; index >= 0; index -= 1) {
      hint = { name: usable[index] as string, entry: entries[index], errno: 0, next: hint };
    }
    this.#hint = hint;
  }

  override lookup(name: string, _caller: Caller): Result<Node> {
    const hint = this.#hint;
    if (hint !== undefined) {
      this.#hint = undefined;
      if (hint.name === name) return this.#fromHint(hint);
    }
    const listed = this.#listing;
    if (listed !== undefined) {
      const attributes = listed.get(name);
      return attributes === undefined
        ? ENOENT
        : this.filesystem.node(this, name, { attributes, id: 0, target: '' });
    }
    const { entries, errno } = this.filesystem.client.walk(this.id(), name);
    const entry = entries[0];
    if (entry === undefined) return (errno < 0 ? errno : EIO) as Errno;
    return this.filesystem.node(this, name, entry);
  }

  #fromHint(hint: Hint): Result<Node> {
    if (hint.entry === undefined) return hint.errno as Errno;
    const node = this.filesystem.node(this, hint.name, hint.entry);
    if (node instanceof GoferDirectory) node.#hint = hint.next;
    return node;
  }

  list(): Result<readonly ListedEntry[]> {
    const listing = this.#listing ?? this.#fetchListing();
    if (isErrno(listing)) return listing;
    const entries: ListedEntry[] = [];
    for (const [name, { ino, mode }] of listing) entries.push({ name, ino, kind: mode & S_IFMT });
    return entries;
  }

  /** Entries with everything that the host said, for fs/overlay. */
  listWithAttributes(): Result<ReadonlyMap<string, HostAttributes>> {
    return this.#listing ?? this.#fetchListing();
  }

  stillHas(_name: string): boolean {
    return true;
  }

  wasRead(): void {}

  dropListing(): void {
    this.#listing = undefined;
  }

  override open(flags: number, _caller: Caller): Result<OpenFile> {
    return new DirectoryFile(this, flags);
  }

  override create(name: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    const made = client.create(this.id(), name, as.mode & 0o7777, owner.uid, owner.gid);
    if (isErrno(made)) return made;
    const node = this.#added(name, made);
    if (node instanceof GoferFile) node.adoptHostFd(made.fd);
    else this.filesystem.closeFd(made.fd);
    return node;
  }

  override createUnnamed(as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    const made = client.createUnnamed(this.id(), as.mode & 0o7777, owner.uid, owner.gid);
    return isErrno(made) ? made : this.filesystem.unnamed(this, made);
  }

  override mkdir(name: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    return this.#made(
      name,
      client.makeDirectory(this.id(), name, as.mode & 0o7777, owner.uid, owner.gid),
    );
  }

  override mknod(name: string, as: NewNode, rdev: number): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const node = { ...owner, mode: as.mode };
    return this.#made(name, this.filesystem.client.makeNode(this.id(), name, node, rdev));
  }

  override symlink(name: string, target: string, as: NewNode): Result<Node> {
    if (this.filesystem.readOnly) return EROFS;
    const owner = this.#ownerOf(as);
    if (isErrno(owner)) return owner;
    const { client } = this.filesystem;
    return this.#made(name, client.symlink(this.id(), name, owner.uid, owner.gid, target));
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
    if (done >= 0 && node.heldId !== 0) this.#relocate(this, name);
    node.stale();
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
    for (const tree of this.filesystem.client.hostFiles.filesystems()) {
      if (tree === this.filesystem) continue;
      tree.entryWillMove(this, name);
      tree.entryWillMove(to, newName);
    }
    const replaced =
      (flags & RENAME_EXCHANGE) === 0 && victim instanceof GoferNode ? victim : undefined;
    if (replaced instanceof GoferFile) replaced.beforeUnlink();
    const done = this.filesystem.client.rename(this.id(), name, to.id(), newName, flags);
    if (done < 0) return done;
    replaced?.unlinked();
    this.#changed();
    to.#changed();
    // The nodes learn their new names when they are looked up; both are, as shared trees are never cached.
    this.#relocate(to, newName);
    if ((flags & RENAME_EXCHANGE) !== 0) this.#relocate(this, name);
    return 0;
  }

  override forgotten(): void {
    this.filesystem.listingDropped(this);
    this.#listing = undefined;
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
      for (const tree of this.filesystem.client.hostFiles.filesystems())
        tree.nameWillGo(target.key);
    const done = this.filesystem.client.remove(this.id(), name, isDirectory);
    this.#changed();
    if (done >= 0) target.unlinked();
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
    return this.filesystem.node(this, name, entry);
  }

  #changed(): void {
    this.#hint = undefined;
    this.filesystem.listingDropped(this);
    this.#listing = undefined;
    this.filesystem.client.changed();
    this.stale();
  }

  #fetchListing(): Result<Map<string, HostAttributes>> {
    const listing = new Map<string, HostAttributes>();
    for (let goesOn = false; ; goesOn = true) {
      const part = this.filesystem.client.list(this.id(), goesOn);
      if (isErrno(part)) return part;
      for (const [index, name] of part.names.entries())
        listing.set(name, part.attributes[index] as HostAttributes);
      if (!part.more || listing.size > maxEntries) break;
    }
    if (this.filesystem.exclusive) {
      this.#listing = listing;
      this.filesystem.listingKept(this, listing.size);
    }
    return listing;
  }
}
