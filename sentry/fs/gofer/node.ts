// What all nodes of a Gofer tree share: where they are on the host, and their attributes.
import {
  ENOENT,
  EROFS,
  type Errno,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { S_IFDIR, S_IFMT } from '../../../abi/stat.ts';
import type { HostEntry } from '../../../gofer/protocol.ts';
import {
  type AttributeChange,
  type Attributes,
  isUnmapped,
  Node,
  type Ownership,
} from '../../vfs/node.ts';
import type { GoferDirectory } from './directory.ts';
import type { GoferFileSystem } from './filesystem.ts';

/** Attributes of shared trees are believed this long: a lookup and the stat after it are one request. */
const freshNs = 1_000_000;

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
  #attributes: Attributes;
  #freshUntilNs: number;
  #learnedNs: number;

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
    this.#learnedNs = filesystem.exclusive ? 0 : filesystem.clock.monotonicNs();
    this.#freshUntilNs = filesystem.exclusive
      ? Number.POSITIVE_INFINITY
      : this.#learnedNs + freshNs;
  }

  /** Seen again under a name, with attributes of this moment. */
  placed(parent: GoferDirectory, name: string, attributes: Attributes, _entry: HostEntry): void {
    this.parent = parent;
    this.name = name;
    this.learn(attributes);
  }

  /** New attributes from the host. */
  learn(attributes: Attributes): void {
    this.#attributes = attributes;
    if (this.filesystem.exclusive) return;
    this.#learnedNs = this.filesystem.clock.monotonicNs();
    this.#freshUntilNs = this.#learnedNs + freshNs;
  }

  /** The next question goes to the host. */
  stale(): void {
    this.#freshUntilNs = 0;
  }

  /** Its name was removed just now: a file's last one, or that of a directory, is not asked for any more. */
  unlinked(): void {
    if (this.kind !== S_IFDIR && this.#attributes.nlink > 1) this.stale();
    else this.#attributes = { ...this.#attributes, nlink: 0 };
  }

  /** Learned this recently, whatever became stale by entries made or removed since. */
  protected get isOwnershipFresh(): boolean {
    return (
      this.filesystem.exclusive || this.filesystem.clock.monotonicNs() <= this.#learnedNs + freshNs
    );
  }

  /** What is known without asking. */
  get lastKnown(): Attributes {
    return this.#attributes;
  }

  override attributes(): Result<Attributes> {
    if (this.#freshUntilNs === Number.POSITIVE_INFINITY) return this.#attributes;
    if (this.filesystem.clock.monotonicNs() <= this.#freshUntilNs) return this.#attributes;
    return this.fetch();
  }

  override ownership(): Result<Ownership> {
    return this.attributes();
  }

  /** Asks the host. Open files ask their descriptor instead (GoferFile). */
  protected fetch(): Result<Attributes> {
    if (this.heldId !== 0) return this.#attributes;
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

  /** What requests name it by. */
  protected get place(): readonly [id: number, name: string] {
    return this.heldId !== 0 ? [this.heldId, ''] : [this.directoryId(), this.name];
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
    if (hostUid < 0) return hostUid as Errno;
    return hostGid < 0 ? (hostGid as Errno) : { uid: hostUid, gid: hostGid };
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { uid, gid } = change;
    const owner = this.hostOwner(uid, gid);
    if (isErrno(owner)) return owner;
    const changed = this.filesystem.client.setAttributes(...this.place, {
      ...change,
      ...(uid === undefined ? {} : { uid: owner.uid }),
      ...(gid === undefined ? {} : { gid: owner.gid }),
    });
    if (isErrno(changed)) return changed;
    this.learn(this.filesystem.localAttributes(changed));
    return 0;
  }

  override getXattr(name: string): Result<Uint8Array> {
    return this.filesystem.client.getXattr(...this.place, name);
  }

  override listXattr(): Result<string[]> {
    const bytes = this.filesystem.client.listXattr(...this.place);
    if (isErrno(bytes)) return bytes;
    return Buffer.from(bytes)
      .toString('latin1')
      .split('\0')
      .filter((name) => name !== '');
  }

  override setXattr(name: string, value: Uint8Array, flags: number): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    return this.filesystem.client.setXattr(...this.place, name, value, flags);
  }

  override removeXattr(name: string): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    return this.filesystem.client.removeXattr(...this.place, name);
  }

  override forgotten(): void {
    this.filesystem.forget(this);
    if (this.heldId !== 0) this.filesystem.client.forget(this.heldId);
    this.heldId = 0;
  }
}
