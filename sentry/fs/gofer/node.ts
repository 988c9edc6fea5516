// SPDX-License-Identifier: Apache-2.0
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
import { AttributeCache } from './attribute-cache.ts';
import type { GoferDirectory } from './directory.ts';
import type { GoferFileSystem } from './filesystem.ts';

export interface HostOwner {
  readonly uid: number;
  readonly gid: number;
}

export abstract class GoferNode extends Node {
  readonly filesystem: GoferFileSystem;
  readonly kind: number;
  /**
   * The vfs may keep its names: so in exclusive trees. In others each lookup comes here, where it
   * may need no request.
   */
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
  /** The attributes that are known without a request. */
  readonly cache: AttributeCache;
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
    this.cache = new AttributeCache(filesystem, this, attributes);
  }

  /** The host's file, which other nodes may be of. Trees of this sandbox alone are asked for nothing. */
  override get identity(): FileIdentity {
    if (this.#identity !== undefined) return this.#identity;
    const { exclusive, client } = this.filesystem;
    const shared = exclusive
      ? undefined
      : client.identities.take(this.key, this.lastKnown, this.kind);
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
    this.cache.placed(entry.attributes.mountRoot !== 0);
    this.cache.seen(attributes, sinceNs);
  }

  override get knownIdentity(): FileIdentity | undefined {
    if (this.#identity !== undefined) return this.#identity;
    const { exclusive, client } = this.filesystem;
    return exclusive ? undefined : client.identities.known(this.key, this.lastKnown, this.kind);
  }

  /** A guest changes it. */
  changed(): void {
    this.filesystem.client.changed();
    this.cache.changed();
  }

  /**
   * Its name was removed just now: whatever is found under that from now on is another file. A file
   * that nothing keeps on the host may also leave its inode number to another one.
   */
  unlinked(): void {
    this.#isNameless = true;
    if (this.cache.nameRemoved() > 0) return;
    for (const tree of this.filesystem.client.identities.filesystems()) tree.removed(this.key);
    if (this.heldId === 0) this.filesystem.forget(this);
  }

  /**
   * Seen with these attributes, it is the same file. The number of a removed one may come back:
   * where that can happen unseen the time of birth tells. (That of a directory or a regular file
   * changes in an overlayfs when it is copied up.)
   */
  isStill({ mode, btime }: Attributes): boolean {
    if (this.kind !== (mode & S_IFMT)) return false;
    if (this.kind === S_IFREG || this.kind === S_IFDIR) return true;
    const known = this.lastKnown.btime;
    return known.sec === btime.sec && known.nsec === btime.nsec;
  }

  /**
   * Its file is no more, here or by another way: what the host gives the same numbers next is
   * another one.
   */
  gone(): void {
    if (this.#isIdentityTaken) this.filesystem.client.identities.removed(this.identity);
  }

  /**
   * All changes of its attributes are told, and those up to now have come in: a file is told of by
   * the watch of the directory that its only name is in.
   */
  isReported(): boolean {
    const { parent } = this;
    return parent !== undefined && this.cache.isToldByName && parent.knows(this.name, this);
  }

  /** A directory with a watch of its own tells of itself: what its parent's watch says of it is no news. */
  get isWatched(): boolean {
    return false;
  }

  /** The attributes that are known without a request. */
  get lastKnown(): Attributes {
    return this.cache.last;
  }

  override attributes(): Result<Attributes> {
    return this.cache.believed() ?? this.fetch();
  }

  override ownership(): Result<Ownership> {
    return this.cache.believedOwner() ?? this.attributes();
  }

  /** The host said this just now. */
  protected learned(attributes: Attributes): void {
    this.cache.learned(attributes, this.filesystem.nowNs());
  }

  /** Asks the host. Open files ask their descriptor instead (GoferFile). */
  protected fetch(): Result<Attributes> {
    if (this.heldId !== 0 || this.#isNameless) return this.lastKnown;
    const host = this.filesystem.client.getAttributes(this.directoryId(), this.name);
    if (host === ENOENT) {
      // Removed while somebody holds it (O_PATH, a working directory).
      this.learned({ ...this.lastKnown, nlink: 0 });
      return this.lastKnown;
    }
    if (isErrno(host)) return host;
    // Somebody put another file under this name: ours has lost it, and we know no more than before.
    if (host.ino !== this.lastKnown.ino) return this.lastKnown;
    this.learned(this.filesystem.localAttributes(host));
    return this.lastKnown;
  }

  /** The place by which requests name the file. ENOENT: it has no name that is known. */
  get place(): Result<Place> {
    const { ino } = this.lastKnown;
    if (this.heldId !== 0) return [this.heldId, '', ino];
    return this.#isNameless ? ENOENT : [this.directoryId(), this.name, ino];
  }

  /** Id of the directory that the node's name is in (a root: its own). */
  directoryId(): number {
    return this.parent === undefined ? (this as unknown as GoferDirectory).id() : this.parent.id();
  }

  override get isUnmapped(): boolean {
    return isUnmapped(this.lastKnown.uid, this.lastKnown.gid);
  }

  override mayBelongTo(uid: number | undefined, gid: number | undefined): SysResult {
    const owner = this.hostOwner(uid, gid);
    return isErrno(owner) ? owner : 0;
  }

  /** Owners as the host has them; 0 for undefined ones. */
  protected hostOwner(uid: number | undefined, gid: number | undefined): Result<HostOwner> {
    const { uids, gids } = this.filesystem.idsOf(this.lastKnown.dev);
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
    this.learned(this.filesystem.localAttributes(changed));
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
