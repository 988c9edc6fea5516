// SPDX-License-Identifier: Apache-2.0
// A host directory tree served by the Gofer. Read-only trees that only the sandbox uses
// (`exclusive`) are cached for good: attributes, listings, link targets. Of shared ones what the
// host tells the changes of (host-watches.ts); the rest is asked again at every lookup.
import { isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import {
  AFS_FS_MAGIC,
  AFS_SUPER_MAGIC,
  CEPH_SUPER_MAGIC,
  CIFS_SUPER_MAGIC,
  CODA_SUPER_MAGIC,
  FUSE_SUPER_MAGIC,
  MS_RDONLY,
  NFS_SUPER_MAGIC,
  OCFS2_SUPER_MAGIC,
  SMB_SUPER_MAGIC,
  SMB2_SUPER_MAGIC,
  V9FS_MAGIC,
} from '../../../abi/fs.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import { native } from '../../../native/addon.ts';
import type { HostAttributes, HostEntry } from '../../../protocol/gofer/host-attributes.ts';
import type { Clock } from '../../base/clock.ts';
import { currentTurn } from '../../base/turn.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import type { Attributes, FileSystem, FileSystemStatus } from '../../vfs/node.ts';
import type { GoferClient, UnnamedHost } from './client.ts';
import { GoferDirectory } from './directory.ts';
import { GoferFile } from './file.ts';
import type { HostWork } from './host-work.ts';
import { type IdMaps, sameIds } from './id-map.ts';
import { GoferSpecial, GoferSymlink } from './leaf.ts';
import { ListingAhead } from './listing-ahead.ts';
import type { GoferNode } from './node.ts';
import { OpenedAhead } from './opened-ahead.ts';
import { TurnNames } from './turn-names.ts';

/** A directory that keeps what it knows of its entries. */
export interface KeepsListing {
  dropListing(): void;
}

export interface GoferMountOptions {
  readonly client: GoferClient;
  /** Which of the Gofer's attach points. */
  readonly attachPoint: number;
  /**
   * Nobody changes these files: what is known of them holds for good. See README.md for what goes
   * with each kind of tree.
   */
  readonly exclusive: boolean;
  readonly clock: Clock;
  /**
   * The host mounts and unmounts below it: no descriptor of an idle file is kept, which would make
   * such a mount busy.
   */
  readonly follows?: boolean;
  /** How many descriptors of idle files to keep at the most; absent: as many as pay. */
  readonly idleDescriptors?: number;
  /** Makes host calls that may take long; absent: they are made at once, and everybody waits. */
  readonly hostWork?: HostWork | undefined;
  readonly isIdMapped?: boolean;
  /** Owners as the container has them; absent: the host's. */
  readonly ids?: IdMaps;
  /** The same for mounts below the attach point; absent: `ids`. */
  readonly idsBelow?: IdMaps;
}

/**
 * Idle descriptors of files that were read, kept for the next open. In a tree that others change
 * each of them keeps the blocks of a file that they remove.
 */
const maxIdleFds = 256;
/** The same in a tree that nobody changes: git opens each object three times. */
const maxIdleExclusiveFds = 4096;
/** Directory entries in cached listings. */
const maxListed = 100_000;

/** Types of file systems whose files are at the other end of a network, or in a process of the host. */
const hangingTypes: ReadonlySet<number> = new Set([
  FUSE_SUPER_MAGIC,
  NFS_SUPER_MAGIC,
  V9FS_MAGIC,
  SMB_SUPER_MAGIC,
  CIFS_SUPER_MAGIC,
  SMB2_SUPER_MAGIC,
  CEPH_SUPER_MAGIC,
  AFS_SUPER_MAGIC,
  AFS_FS_MAGIC,
  CODA_SUPER_MAGIC,
  OCFS2_SUPER_MAGIC,
]);

/** Where the directory is gone. */
const unknownStatus = {
  blockSize: 4096,
  blocks: 0,
  blocksAvailable: 0,
  files: 0,
  filesFree: 0,
  nameMax: 255,
};

export class GoferFileSystem implements FileSystem {
  /** The name of the type, by which users of other sandboxes know it. */
  readonly type = '9p';
  readonly dev: number = allocateDevice();
  readonly client: GoferClient;
  readonly exclusive: boolean;
  readonly clock: Clock;
  readonly hostWork: HostWork | undefined;
  readonly isIdMapped: boolean;
  readonly root: GoferDirectory;
  readonly turnNames: TurnNames<GoferDirectory>;
  /** When the clock was first looked at in the turn of the last look. */
  turnBeganNs: number = Number.POSITIVE_INFINITY;
  #turn = -1;
  /** The same for the same directory of the host, served with the same rights. */
  readonly hostKey: string;
  readonly #maxIdleFds: number;
  readonly #ids: IdMaps;
  readonly #idsBelow: IdMaps;
  readonly #attachPoint: number;
  #readOnly: boolean;
  readonly #nodes = new Map<string, GoferNode>();
  /** Host device number to ours. */
  readonly #devices = new Map<number, number>();
  /** Our device number to whether host calls on its files may hang. */
  readonly #mayHang = new Map<number, boolean>();
  readonly #idleFiles = new Set<GoferFile>();
  /**
   * The open files of a writable tree: their names may go while they are used, by way of another
   * tree.
   */
  readonly openFiles: Set<GoferFile> = new Set();
  #isClosed = false;
  /** How directories of an exclusive tree are listed. */
  readonly ahead: ListingAhead = new ListingAhead();
  readonly openedAhead: OpenedAhead;
  readonly #listed = new Map<KeepsListing, number>();
  #listedEntries = 0;

  private constructor(
    options: GoferMountOptions,
    rootId: number,
    readOnly: boolean,
    attributes: HostAttributes,
  ) {
    this.client = options.client;
    this.openedAhead = new OpenedAhead(options.client);
    this.exclusive = options.exclusive;
    this.clock = options.clock;
    this.turnNames = new TurnNames(options.client.identities);
    this.#readOnly = readOnly;
    this.#maxIdleFds =
      options.follows === true
        ? 0
        : Math.min(
            options.exclusive ? maxIdleExclusiveFds : maxIdleFds,
            options.idleDescriptors ?? Number.POSITIVE_INFINITY,
          );
    this.hostWork = options.hostWork;
    this.isIdMapped = options.isIdMapped ?? false;
    this.#ids = options.ids ?? sameIds;
    this.#idsBelow = options.idsBelow ?? this.#ids;
    this.#attachPoint = options.attachPoint;
    this.hostKey = `${keyOf(attributes)}:${readOnly ? 'r' : 'w'}`;
    this.#devices.set(attributes.dev, this.dev);
    const rootEntry = { id: rootId, watch: 0 };
    this.root = new GoferDirectory(
      this,
      undefined,
      '',
      this.localAttributes(attributes),
      rootEntry,
    );
    this.root.key = keyOf(attributes);
    this.#nodes.set(this.root.key, this.root);
    this.client.filesystems.add(this);
  }

  static attach(options: GoferMountOptions): Result<GoferFileSystem> {
    const attached = options.client.attach(options.attachPoint);
    if (isErrno(attached)) return attached;
    return new GoferFileSystem(options, attached.id, attached.readOnly, attached.attributes);
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  /** Nothing is changed here from now on: the Gofer refuses it too. */
  freeze(): void {
    this.#readOnly = true;
    this.client.freeze(this.#attachPoint);
  }

  status(): FileSystemStatus {
    const host = this.client.statfs(this.root.id());
    const known = isErrno(host) ? unknownStatus : host;
    return {
      type: V9FS_MAGIC,
      blockSize: known.blockSize,
      blocks: known.blocks,
      blocksFree: known.blocksAvailable,
      files: known.files,
      filesFree: known.filesFree,
      nameMax: known.nameMax,
      flags: this.readOnly ? MS_RDONLY : 0,
    };
  }

  sync(): SysResult {
    return 0;
  }

  /** Whether host calls on a file may hang: what its device is, the Gofer is asked once. */
  mayHang(file: GoferFile): boolean {
    const known = this.#mayHang.get(file.dev);
    if (known !== undefined) return known;
    const host = this.client.statfs(file.directoryId());
    if (isErrno(host)) return false;
    const mayHang = hangingTypes.has(host.type);
    this.#mayHang.set(file.dev, mayHang);
    return mayHang;
  }

  /** The node of an entry: the same object for the same host file. `sinceNs`: when the host said so. */
  node(
    parent: GoferDirectory,
    name: string,
    entry: HostEntry,
    sinceNs: number = this.nowNs(),
  ): GoferNode {
    const key = keyOf(entry.attributes);
    const attributes = this.localAttributes(entry.attributes);
    const known = this.#nodes.get(key);
    // The number of a removed file may come back as another's.
    if (known?.isStill(attributes) === true) {
      known.placed(parent, name, attributes, entry, sinceNs);
      return known;
    }
    const made = this.#make(parent, name, attributes, entry);
    made.cache.learned(attributes, sinceNs);
    made.cache.placed(entry.attributes.mountRoot !== 0);
    this.#nodes.set(key, made);
    made.key = key;
    return made;
  }

  /** Is it the node of this host file? */
  isNodeOf(node: GoferNode, attributes: HostAttributes): boolean {
    return node.key === keyOf(attributes) && node.isStill(this.localAttributes(attributes));
  }

  nowNs(): number {
    const now = this.clock.monotonicNs();
    if (this.#turn !== currentTurn()) {
      this.#turn = currentTurn();
      this.turnBeganNs = now;
    }
    return now;
  }

  /** A file that was made without a name. */
  unnamed(parent: GoferDirectory, made: UnnamedHost): GoferFile {
    const node = new GoferFile(this, parent, '', this.localAttributes(made.attributes));
    node.heldId = made.heldId;
    node.key = keyOf(made.attributes);
    this.#nodes.set(node.key, node);
    node.adoptHostFd(made.fd);
    return node;
  }

  /** Nobody in the vfs holds the node any more. */
  forget(node: GoferNode): void {
    if (this.#nodes.get(node.key) === node) this.#nodes.delete(node.key);
  }

  /** The maps for files of this device (ours). */
  idsOf(dev: number): IdMaps {
    return dev === this.dev ? this.#ids : this.#idsBelow;
  }

  /**
   * A name is about to be removed, by way of another tree: who has the file open here goes on
   * without the name.
   */
  nameWillGo(key: string): void {
    const node = this.#nodes.get(key);
    if (node instanceof GoferFile) node.beforeUnlink();
  }

  /** A rename moves what is at `name`, or replaces it. */
  entryWillMove(parent: GoferDirectory, name: string): void {
    for (const file of this.openFiles)
      if (file.name === name && file.parent?.key === parent.key) file.beforeUnlink();
  }

  /** The last name of what had this key was removed. */
  removed(key: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined || (node.heldId !== 0 && !isUnpinned(node.kind))) return;
    this.#nodes.delete(key);
    node.gone();
  }

  localAttributes(host: HostAttributes): Attributes {
    const dev = this.#deviceOf(host.dev);
    const ids = this.idsOf(dev);
    return {
      dev,
      ino: host.ino,
      mode: host.mode,
      nlink: host.nlink,
      uid: ids.uids.toGuest(host.uid),
      gid: ids.gids.toGuest(host.gid),
      rdev: host.rdev,
      sizeBytes: host.size,
      blockSize: host.blockSize,
      blocks: host.blocks,
      atime: { sec: host.atimeSec, nsec: host.atimeNsec },
      mtime: { sec: host.mtimeSec, nsec: host.mtimeNsec },
      ctime: { sec: host.ctimeSec, nsec: host.ctimeNsec },
      btime: { sec: host.btimeSec, nsec: host.btimeNsec },
    };
  }

  /** Its container has ended: descriptors of files are closed as soon as nobody uses them. */
  close(): void {
    this.#isClosed = true;
    this.openedAhead.close();
    this.closeIdle();
  }

  /** Closes the descriptors of files that nobody uses right now. Returns how many files had any. */
  closeIdle(): number {
    const count = this.#idleFiles.size + this.openedAhead.closeKept();
    for (const file of this.#idleFiles) file.closeHostFds();
    this.#idleFiles.clear();
    return count;
  }

  /** A file whose descriptors nobody uses right now: they stay open for a while. */
  fileIdle(file: GoferFile): void {
    if (this.#isClosed) {
      file.closeHostFds();
      return;
    }
    this.#idleFiles.add(file);
    if (this.#idleFiles.size <= this.#maxIdleFds) return;
    for (const oldest of this.#idleFiles) {
      this.#idleFiles.delete(oldest);
      oldest.closeHostFds();
      return;
    }
  }

  fileUsed(file: GoferFile): void {
    this.#idleFiles.delete(file);
  }

  /** A directory keeps `count` entries now; those of older ones may have to go. */
  listingKept(directory: KeepsListing, count: number): void {
    this.#listedEntries += count - (this.#listed.get(directory) ?? 0);
    this.#listed.set(directory, count);
    for (const [oldest, size] of this.#listed) {
      if (this.#listedEntries <= maxListed || oldest === directory) break;
      this.#listed.delete(oldest);
      this.#listedEntries -= size;
      oldest.dropListing();
    }
  }

  listingDropped(directory: KeepsListing): void {
    const count = this.#listed.get(directory);
    if (count === undefined) return;
    this.#listed.delete(directory);
    this.#listedEntries -= count;
  }

  closeFd(fd: number): void {
    native.close(fd);
  }

  #make(parent: GoferDirectory, name: string, attributes: Attributes, entry: HostEntry): GoferNode {
    switch (attributes.mode & S_IFMT) {
      case S_IFDIR:
        return new GoferDirectory(this, parent, name, attributes, entry);
      case S_IFREG:
        return new GoferFile(this, parent, name, attributes);
      case S_IFLNK:
        return new GoferSymlink(this, parent, name, attributes, entry.target);
      default:
        return new GoferSpecial(this, parent, name, attributes);
    }
  }

  #deviceOf(hostDevice: number): number {
    let dev = this.#devices.get(hostDevice);
    if (dev === undefined) {
      dev = allocateDevice();
      this.#devices.set(hostDevice, dev);
    }
    return dev;
  }
}

/** Nothing of ours keeps the number of such a file from being given to the next one. */
function isUnpinned(kind: number): boolean {
  return kind !== S_IFREG && kind !== S_IFDIR;
}

function keyOf(attributes: HostAttributes): string {
  return `${attributes.dev}:${attributes.ino}`;
}
