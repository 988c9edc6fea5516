// What all nodes of a Gofer tree share: where they are on the host, and their attributes.
import { ENOENT, EROFS, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { Place } from '../../../protocol/gofer/fields.ts';
import type { HostEntry } from '../../../protocol/gofer/host-attributes.ts';
import {
  type AttributeChange,
  type Attributes,
  type FileIdentity,
  isUnmapped,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { GoferDirectory } from './directory.ts';
import type { GoferFileSystem } from './filesystem.ts';

/** Attributes of shared trees are believed this long: a lookup and the stat after it are one request. */
const freshNs = 1_000_000;
/**
 * And this long where the host tells of changes: it does not tell of those through a mapping, and through a hard link that
 * was made meanwhile.
 */
export const reportedNs = 1_000_000_000;

export interface HostOwner {
  readonly uid: number;
  readonly gid: number;
}

export abstract class GoferNode extends Node {
  readonly filesystem: GoferFileSystem;
  readonly kind: number;
  override readonly cacheable: boolean;
  /** In the file system's table of nodes. */
  key = '';
  parent: GoferDirectory | undefined;
  name: string;
  /** The Gofer's id of a file that has lost its name while it is open, or never had one; else 0. */
  heldId = 0;
  /** The name that is known of it was removed. */
  #isNameless = false;
  /** Nobody in the vfs holds it, and the file system does not know it any more. */
  isForgotten = false;
  /** Something is mounted under its name: the watch of the directory does not tell of changes. */
  isMountRoot = false;
  #attributes: Attributes;
  #freshUntilNs: number;
  #learnedNs: number;
  /** Nothing is known to have changed since. */
  #isKnown = true;
  #isOwnershipKnown = true;
  #foreignChanges = 0;
  #identity: FileIdentity | undefined = undefined;
  #isIdentityTaken = false;

  constructor(
    filesystem: GoferFileSystem,
    parent: GoferDirectory | undefined,
    name: string,
    attributes: Attributes,
  ) {
    super();
    this.filesystem = filesystem;
    this.kind = attributes.mode & S_IFMT;
    this.cacheable = filesystem.exclusive;
    this.parent = parent;
    this.name = name;
    this.#attributes = attributes;
    this.#learnedNs = filesystem.exclusive ? 0 : filesystem.nowNs();
    this.#freshUntilNs = filesystem.exclusive
      ? Number.POSITIVE_INFINITY
      : this.#learnedNs + freshNs;
    this.#foreignChanges = filesystem.client.foreignChanges;
  }

  /** The host's file, which other nodes may be of. Trees of this sandbox alone are asked for nothing. */
  override get identity(): FileIdentity {
    if (this.#identity !== undefined) return this.#identity;
    const { exclusive, client } = this.filesystem;
    const shared = exclusive
      ? undefined
      : client.identities.take(this.key, this.#attributes, this.kind);
    this.#isIdentityTaken = shared !== undefined;
    this.#identity = shared ?? this;
    return this.#identity;
  }

  /** It is known to have this name. */
  foundAt(parent: GoferDirectory, name: string): void {
    this.parent = parent;
    this.name = name;
    this.#isNameless = false;
  }

  /** Seen again under a name, with attributes of `sinceNs`. */
  placed(
    parent: GoferDirectory,
    name: string,
    attributes: Attributes,
    entry: HostEntry,
    sinceNs: number,
  ): void {
    this.foundAt(parent, name);
    this.isMountRoot = entry.attributes.mountRoot !== 0;
    if (sinceNs >= this.#learnedNs) this.learn(attributes, sinceNs);
  }

  override get knownIdentity(): FileIdentity | undefined {
    if (this.#identity !== undefined) return this.#identity;
    const { exclusive, client } = this.filesystem;
    return exclusive ? undefined : client.identities.known(this.key, this.#attributes, this.kind);
  }

  /** New attributes from the host. */
  learn(attributes: Attributes, sinceNs: number = this.filesystem.nowNs()): void {
    this.#attributes = attributes;
    if (this.filesystem.exclusive) return;
    this.#learnedNs = sinceNs;
    this.#freshUntilNs = sinceNs + freshNs;
    this.#isKnown = true;
    this.#isOwnershipKnown = true;
    this.#foreignChanges = this.filesystem.client.foreignChanges;
  }

  /** The next question goes to the host. */
  stale(): void {
    this.#freshUntilNs = 0;
    this.#isKnown = false;
  }

  /** The host tells of a change: it may be one of owner or mode. */
  changedOnHost(): void {
    this.stale();
    this.#learnedNs = 0;
    this.#isOwnershipKnown = false;
  }

  /** A guest changes it. */
  changed(): void {
    this.filesystem.client.changed();
    this.stale();
  }

  /**
   * Its name was removed just now: whatever is found under that from now on is another file. A file that nothing keeps
   * on the host may also leave its inode number to another one.
   */
  unlinked(): void {
    this.#isNameless = true;
    const nlink = this.kind === S_IFDIR ? 0 : Math.max(0, this.#attributes.nlink - 1);
    this.#attributes = { ...this.#attributes, nlink };
    if (nlink > 0) {
      this.stale();
      return;
    }
    for (const tree of this.filesystem.client.identities.filesystems()) tree.removed(this.key);
    if (this.heldId === 0) this.filesystem.forget(this);
  }

  /**
   * Seen with these attributes, it is the same file. The number of a removed one may come back: where that can happen
   * unseen the time of birth tells. (That of a directory or a regular file changes in an overlayfs when it is copied up.)
   */
  isStill({ mode, btime }: Attributes): boolean {
    if (this.kind !== (mode & S_IFMT)) return false;
    if (this.kind === S_IFREG || this.kind === S_IFDIR) return true;
    const known = this.#attributes.btime;
    return known.sec === btime.sec && known.nsec === btime.nsec;
  }

  /** Its file is no more, here or by another way: what the host gives the same numbers next is another one. */
  gone(): void {
    if (this.#isIdentityTaken) this.filesystem.client.identities.removed(this.identity);
  }

  /** Learned this recently, whatever became stale by entries made or removed since. */
  protected get isOwnershipFresh(): boolean {
    if (this.filesystem.exclusive) return true;
    const age = this.filesystem.nowNs() - this.#learnedNs;
    if (age <= freshNs && this.#isUnchanged) return true;
    return (
      (this.kind === S_IFDIR || age <= reportedNs) && this.isReported() && this.#isOwnershipKnown
    );
  }

  protected get isOwnershipKnown(): boolean {
    return this.#isOwnershipKnown;
  }

  protected get learnedNs(): number {
    return this.#learnedNs;
  }

  /** Changes of its attributes are told, and those up to now have been: what is known is looked at after this. */
  protected isReported(): boolean {
    const { parent } = this;
    return (
      parent !== undefined &&
      this.#attributes.nlink === 1 &&
      !this.isMountRoot &&
      parent.knows(this.name, this)
    );
  }

  /** By other containers. */
  get #isUnchanged(): boolean {
    return this.#foreignChanges === this.filesystem.client.foreignChanges;
  }

  /** What is known without asking. */
  get lastKnown(): Attributes {
    return this.#attributes;
  }

  override attributes(): Result<Attributes> {
    if (this.#freshUntilNs === Number.POSITIVE_INFINITY) return this.#attributes;
    const age = this.filesystem.nowNs() - this.#learnedNs;
    if (age <= reportedNs && this.isReported() && this.#isKnown) return this.#attributes;
    if (age <= freshNs && this.#freshUntilNs !== 0 && this.#isUnchanged) return this.#attributes;
    return this.fetch();
  }

  /** Entries that come and go change a directory's times, not its owner: a burst of them does not ask for it each time. */
  override ownership(): Result<Ownership> {
    return this.isOwnershipFresh ? this.#attributes : this.attributes();
  }

  /** Asks the host. Open files ask their descriptor instead (GoferFile). */
  protected fetch(): Result<Attributes> {
    if (this.heldId !== 0 || this.#isNameless) return this.#attributes;
    const host = this.filesystem.client.getAttributes(this.directoryId(), this.name);
    if (host === ENOENT) {
      // Removed while somebody holds it (O_PATH, a working directory).
      this.learn({ ...this.#attributes, nlink: 0 });
      return this.#attributes;
    }
    if (isErrno(host)) return host;
    // Somebody put another file under this name: ours has lost it, and we know no more than before.
    if (host.ino !== this.#attributes.ino) return this.#attributes;
    this.learn(this.filesystem.localAttributes(host));
    return this.#attributes;
  }

  /** What requests name it by. ENOENT: it has no name that is known. */
  get place(): Result<Place> {
    const { ino } = this.#attributes;
    if (this.heldId !== 0) return [this.heldId, '', ino];
    return this.#isNameless ? ENOENT : [this.directoryId(), this.name, ino];
  }

  /** Id of the directory that the node's name is in (a root: its own). */
  directoryId(): number {
    return this.parent === undefined ? (this as unknown as GoferDirectory).id() : this.parent.id();
  }

  override get isUnmapped(): boolean {
    return isUnmapped(this.#attributes.uid, this.#attributes.gid);
  }

  override mayBelongTo(uid: number | undefined, gid: number | undefined): SysResult {
    const owner = this.hostOwner(uid, gid);
    return isErrno(owner) ? owner : 0;
  }

  /** Owners as the host has them; 0 for undefined ones. */
  protected hostOwner(uid: number | undefined, gid: number | undefined): Result<HostOwner> {
    const { uids, gids } = this.filesystem.idsOf(this.#attributes.dev);
    const hostUid = uid === undefined ? 0 : uids.toHost(uid);
    const hostGid = gid === undefined ? 0 : gids.toHost(gid);
    if (isErrno(hostUid)) return hostUid;
    return isErrno(hostGid) ? hostGid : { uid: hostUid, gid: hostGid };
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { place } = this;
    if (isErrno(place)) return place;
    const { uid, gid } = change;
    const owner = this.hostOwner(uid, gid);
    if (isErrno(owner)) return owner;
    const changed = this.filesystem.client.setAttributes(place, {
      ...change,
      ...(uid === undefined ? {} : { uid: owner.uid }),
      ...(gid === undefined ? {} : { gid: owner.gid }),
    });
    if (isErrno(changed)) return changed;
    this.filesystem.client.changed();
    this.learn(this.filesystem.localAttributes(changed));
    return 0;
  }

  override getXattr(name: string): Result<Uint8Array> {
    const { place } = this;
    return isErrno(place) ? place : this.filesystem.client.getXattr(place, name);
  }

  override listXattr(): Result<string[]> {
    const { place } = this;
    const bytes = isErrno(place) ? place : this.filesystem.client.listXattr(place);
    if (isErrno(bytes)) return bytes;
    return Buffer.from(bytes)
      .toString('latin1')
      .split('\0')
      .filter((name) => name !== '');
  }

  override setXattr(name: string, value: Uint8Array, flags: number): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { place } = this;
    if (isErrno(place)) return place;
    this.filesystem.client.changed();
    return this.filesystem.client.setXattr(place, name, value, flags);
  }

  override removeXattr(name: string): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { place } = this;
    if (isErrno(place)) return place;
    this.filesystem.client.changed();
    return this.filesystem.client.removeXattr(place, name);
  }

  override forgotten(): void {
    this.isForgotten = true;
    this.parent?.nodeForgotten(this.name, this);
    this.filesystem.forget(this);
    if (this.heldId !== 0) this.filesystem.client.forget(this.heldId);
    this.heldId = 0;
    if (this.#isIdentityTaken) this.filesystem.client.identities.release(this.identity);
    this.#isIdentityTaken = false;
  }
}
