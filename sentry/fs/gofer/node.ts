// What all nodes of a Gofer tree share: where they are on the host, and their attributes.
import { ENOENT, EROFS, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFDIR, S_IFMT } from '../../../abi/stat.ts';
import type { HostEntry } from '../../../gofer/protocol.ts';
import { type AttributeChange, type Attributes, Node, type Ownership } from '../../vfs/node.ts';
import type { Place } from './client.ts';
import type { GoferDirectory } from './directory.ts';
import type { GoferFileSystem } from './filesystem.ts';

/** Attributes of shared trees are believed this long: a lookup and the stat after it are one request. */
const freshNs = 1_000_000;

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
    this.#isNameless = false;
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

  /**
   * Its name was removed just now: whatever is found under that from now on is another file. A file that nothing keeps
   * on the host may also leave its inode number to another one.
   */
  unlinked(): void {
    this.#isNameless = true;
    const nlink = this.kind === S_IFDIR ? 0 : Math.max(0, this.#attributes.nlink - 1);
    this.#attributes = { ...this.#attributes, nlink };
    if (nlink > 0) this.stale();
    else if (this.heldId === 0) this.filesystem.forget(this);
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

  override setAttributes(change: AttributeChange): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { place } = this;
    if (isErrno(place)) return place;
    const changed = this.filesystem.client.setAttributes(place, change);
    if (isErrno(changed)) return changed;
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
    return isErrno(place) ? place : this.filesystem.client.setXattr(place, name, value, flags);
  }

  override removeXattr(name: string): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const { place } = this;
    return isErrno(place) ? place : this.filesystem.client.removeXattr(place, name);
  }

  override forgotten(): void {
    this.filesystem.forget(this);
    if (this.heldId !== 0) this.filesystem.client.forget(this.heldId);
    this.heldId = 0;
  }
}
