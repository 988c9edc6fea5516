// SPDX-License-Identifier: Apache-2.0
// An overlay: any read-only file system below, changes in the Sentry's memory above. Unlike Linux's
// overlayfs the upper half is no file system of its own: it is what the nodes here remember. A node
// takes its attributes over from the lower node when it is first looked up; a directory remembers
// which names changed and which are hidden; a file copies its bytes up when it is opened for
// writing. So inode numbers and Node objects are the same before and after, and a lower directory
// can be renamed without copying it.
import { isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { MS_RDONLY, OVERLAYFS_SUPER_MAGIC } from '../../../abi/fs.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { Clock } from '../../base/clock.ts';
import type { MemoryAccount } from '../../base/memory-account.ts';
import type { Listing } from '../../vfs/directory-file.ts';
import type { Attributes, FileSystem, FileSystemStatus, Node } from '../../vfs/node.ts';
import { TmpFileSystem } from '../tmp/filesystem.ts';
import type { MemoryNode, Origin } from '../tmp/memory-node.ts';
import { TmpSpecial } from '../tmp/special.ts';
import { OverlayDirectory } from './directory.ts';
import { OverlayFile } from './file.ts';
import { OverlaySymlink } from './symlink.ts';

export interface OverlayOptions {
  readonly lower: FileSystem;
  readonly clock: Clock;
  /** Bytes of changed files; none: no limit. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
  readonly account?: MemoryAccount;
  readonly type?: string;
}

/** Numbers of files made here lie above those of the lower file system. */
const firstOwnIno = 2 ** 40;
/** Lower files on further devices (host mounts inside the tree) get numbers of their own. */
const inosPerDevice = 2 ** 44;

export class OverlayFileSystem extends TmpFileSystem {
  readonly lower: FileSystem;
  /** The one overlay node of each lower node in use: hard links below stay hard links. */
  readonly #byLower = new Map<Node, MemoryNode>();
  readonly #deviceIndex = new Map<number, number>();

  constructor(options: OverlayOptions) {
    super({ ...options, type: options.type ?? 'overlay' });
    this.lower = options.lower;
  }

  override nextIno(): number {
    return firstOwnIno + super.nextIno();
  }

  /** The overlay's node of a lower one that was found as `name` in `directory`. */
  adopt(directory: OverlayDirectory, name: string, lower: Node): Result<MemoryNode> {
    const known = this.#byLower.get(lower);
    if (known !== undefined) {
      (known.origin as LowerOrigin).places.push({ directory, name });
      return known;
    }
    const attributes = lower.attributes();
    if (isErrno(attributes)) return attributes;
    const node = this.#make(directory, lower, attributes);
    this.#inherit(node, lower, attributes, [{ directory, name }]);
    return node;
  }

  dropped(lower: Node): void {
    this.#byLower.delete(lower);
  }

  /** Inode number of a lower file. */
  inoOf(dev: number, ino: number): number {
    let index = this.#deviceIndex.get(dev);
    if (index === undefined) {
      index = this.#deviceIndex.size;
      this.#deviceIndex.set(dev, index);
    }
    return index === 0 ? ino : ino + index * inosPerDevice;
  }

  override status(): FileSystemStatus {
    if (this.data.limitBytes !== Number.POSITIVE_INFINITY) {
      const own = super.status();
      // The root directory takes a block: programs that read df(1) expect some to be used.
      return {
        ...own,
        type: OVERLAYFS_SUPER_MAGIC,
        blocksFree: Math.min(own.blocksFree, own.blocks - 1),
      };
    }
    const below = this.lower.status();
    return { ...below, type: OVERLAYFS_SUPER_MAGIC, flags: below.flags & ~MS_RDONLY };
  }

  override sync(): SysResult {
    return this.lower.sync();
  }

  protected override makeRoot(): OverlayDirectory {
    const { root } = this.lower;
    const attributes = root.attributes();
    // A lower root that cannot be looked at shows as an empty directory of root's.
    const seen: Attributes | undefined = isErrno(attributes) ? undefined : attributes;
    const ino = seen === undefined ? 1 : this.inoOf(seen.dev, seen.ino);
    const node = new OverlayDirectory(
      this,
      seen ?? { mode: S_IFDIR | 0o755, uid: 0, gid: 0 },
      undefined,
      ino,
      root as Listing,
    );
    if (seen !== undefined) this.#inherit(node, root, seen, []);
    node.origin?.keep();
    return node;
  }

  #make(directory: OverlayDirectory, lower: Node, attributes: Attributes): MemoryNode {
    const ino = this.inoOf(attributes.dev, attributes.ino);
    switch (attributes.mode & S_IFMT) {
      case S_IFDIR:
        return new OverlayDirectory(this, attributes, directory, ino, lower as Listing);
      case S_IFREG:
        return new OverlayFile(this, attributes, ino, lower, attributes);
      case S_IFLNK:
        return new OverlaySymlink(this, attributes, ino, lower, attributes.sizeBytes);
      default:
        return new TmpSpecial(this, attributes, attributes.rdev, ino);
    }
  }

  #inherit(node: MemoryNode, lower: Node, attributes: Attributes, places: LowerEntry[]): void {
    node.nlink = attributes.nlink;
    node.atime = attributes.atime;
    node.mtime = attributes.mtime;
    node.ctime = attributes.ctime;
    node.btime = attributes.btime;
    node.origin = new LowerOrigin(this, node, lower, places);
    this.adoptInode();
    this.#byLower.set(lower, node);
  }
}

interface LowerEntry {
  readonly directory: OverlayDirectory;
  readonly name: string;
}

class LowerOrigin implements Origin {
  readonly #filesystem: OverlayFileSystem;
  readonly #node: MemoryNode;
  readonly #lower: Node;
  /** Directories that hold the node as they found it below. */
  readonly places: LowerEntry[];
  #isKept = false;

  constructor(filesystem: OverlayFileSystem, node: MemoryNode, lower: Node, places: LowerEntry[]) {
    this.#filesystem = filesystem;
    this.#node = node;
    this.#lower = lower;
    this.places = places;
  }

  keep(): void {
    if (this.#isKept) return;
    this.#isKept = true;
    this.#filesystem.payForInode();
    // A directory that holds a changed node cannot be found again below either.
    for (const { directory } of this.places) directory.origin?.keep();
  }

  drop(): void {
    if (this.#isKept) return;
    const node = this.#node;
    if (node instanceof OverlayDirectory && !node.dropChildren()) return;
    for (const { directory, name } of this.places) directory.dropPristine(name, node);
    this.#filesystem.dropInode();
    this.freed();
  }

  freed(): void {
    this.#filesystem.dropped(this.#lower);
    this.#lower.forgotten();
  }
}
