// What all nodes of a Gofer tree share: where they are on the host, and their attributes.
import { ENOENT, EROFS, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFMT } from '../../../abi/stat.ts';
import type { HostEntry } from '../../../gofer/protocol.ts';
import { type AttributeChange, type Attributes, Node, type Ownership } from '../../vfs/node.ts';
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
  #attributes: Attributes;
  #freshUntilNs: number;

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
    this.#freshUntilNs = filesystem.exclusive
      ? Number.POSITIVE_INFINITY
      : filesystem.clock.monotonicNs() + freshNs;
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
    if (!this.filesystem.exclusive)
      this.#freshUntilNs = this.filesystem.clock.monotonicNs() + freshNs;
  }

  /** The next question goes to the host. */
  stale(): void {
    this.#freshUntilNs = 0;
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

  /** Id of the directory that the node's name is in (a root: its own). */
  directoryId(): number {
    return this.parent === undefined ? (this as unknown as GoferDirectory).id() : this.parent.id();
  }

  override setAttributes(change: AttributeChange): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    const changed = this.filesystem.client.setAttributes(this.directoryId(), this.name, change);
    if (isErrno(changed)) return changed;
    this.learn(this.filesystem.localAttributes(changed));
    return 0;
  }

  override getXattr(name: string): Result<Uint8Array> {
    return this.filesystem.client.getXattr(this.directoryId(), this.name, name);
  }

  override listXattr(): Result<string[]> {
    const bytes = this.filesystem.client.listXattr(this.directoryId(), this.name);
    if (isErrno(bytes)) return bytes;
    return Buffer.from(bytes)
      .toString('latin1')
      .split('\0')
      .filter((name) => name !== '');
  }

  override setXattr(name: string, value: Uint8Array, flags: number): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    return this.filesystem.client.setXattr(this.directoryId(), this.name, name, value, flags);
  }

  override removeXattr(name: string): SysResult {
    if (this.filesystem.readOnly) return EROFS;
    return this.filesystem.client.removeXattr(this.directoryId(), this.name, name);
  }

  override forgotten(): void {
    this.filesystem.forget(this);
  }
}
