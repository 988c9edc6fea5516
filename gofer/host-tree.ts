// SPDX-License-Identifier: Apache-2.0
// The host directories that the Gofer serves. Every one is a held O_PATH descriptor, reached only
// by openat2 one component at a time below its attach point: no links, no '..', no magic links. At
// most `maxOpen` descriptors are held; others are opened again from their parent when needed, and
// must still be the same directory.
import {
  EACCES,
  ENFILE,
  ENOENT,
  ENOTDIR,
  ESTALE,
  isErrno,
  type Result,
  type SysResult,
} from '../abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../abi/fcntl.ts';
import { S_IFDIR, S_IFMT, STATX_ATTR_MOUNT_ROOT, statxLayout } from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import type { OwnersConfig } from '../protocol/attach-config.ts';
import type { HostAttributes } from '../protocol/gofer/host-attributes.ts';
import { FIRST_HELD } from '../protocol/gofer/operations.ts';
import { MAY_READ, mayUse, OwnerRules } from './owners.ts';
import { type DeviceNode, mayBePlaceholder, readPlaceholder } from './placeholder.ts';
import { Watches } from './watches.ts';

export interface AttachPoint {
  /** O_PATH (or other) descriptor of the directory. */
  readonly fd: number;
  readonly readOnly: boolean;
  /**
   * The host mounts and unmounts below it (a slave): no descriptor of a mount below is kept, which
   * would make it busy.
   */
  readonly follows?: boolean;
  /** The container's ids are others on the host; undefined: they are not, or there are no rights to guard. */
  readonly owners?: OwnersConfig | undefined;
}

export interface TreeOptions {
  /** Directory descriptors held at once. */
  readonly maxOpen?: number;
  /** Ids that the user namespace cannot show (65534) are shown as 0. */
  readonly unmappedAsRoot?: boolean;
  /** Directories watched at once; 0 or none: the Sentry asks each time. */
  readonly maxWatches?: number;
}

export interface HostDirectory {
  readonly id: number;
  readonly parent: HostDirectory | undefined;
  readonly name: string;
  readonly dev: number;
  readonly ino: number;
  /**
   * The attach point is read-only, also for directories below it that were found before it was
   * frozen.
   */
  readonly readOnly: boolean;
  /** A file system with nothing for a guest (proc, sysfs): shown as an empty directory. */
  readonly sealed: boolean;
  /** Watch descriptor; 0: none. */
  readonly watch: number;
  /** The owner rules of the container's ids; undefined where they are the host's. */
  readonly owners: OwnerRules | undefined;
}

/** A file without a name that is still in use. */
export interface HeldFile {
  readonly fd: number;
  readonly readOnly: boolean;
  readonly owners: OwnerRules | undefined;
}

interface Held extends HostDirectory {
  parent: HostDirectory | undefined;
  name: string;
  fd: number;
  watch: number;
  readonly rights: Rights;
}

/** The properties that all directories below an attach point share. */
interface Rights {
  readonly index: number;
  readOnly: boolean;
  /** The mount of the attach point, where those below it come and go; else undefined. */
  readonly ownMount: number | undefined;
  readonly owners: OwnerRules | undefined;
}

/** How one name is opened below a directory. */
export const RESOLVE_ENTRY: number = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
const openDirectory = O_PATH | O_DIRECTORY | O_NOFOLLOW;
const maxDirectories = 1_000_000;
const maxDepth = 2048;
const maxHeld = 2048;
const overflowId = 65534;

/**
 * proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, bpf, devpts, configfs, pstore,
 * efivarfs, selinuxfs.
 */
const sealedTypes: ReadonlySet<number> = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0x1cd1,
  0x62656570, 0x6165676c, 0xde5e81e4, 0xf97cff8c,
]);

const statxBytes = new Uint8Array(statxLayout.size);
const statxView = new DataView(statxBytes.buffer);
const statfsValues = new Float64Array(8);

export class HostTree {
  readonly #directories = new Map<number, Held>();
  readonly #byInode = new Map<string, Held>();
  readonly #rights = new Map<number, Rights>();
  /** Least recently used first: Map keeps insertion order. */
  readonly #open = new Map<number, Held>();
  /** Open for the request at hand only. */
  #brief: Held[] = [];
  readonly #maxOpen: number;
  readonly #unmappedAsRoot: boolean;
  #lastId = 0;
  /** Files without a name that are still in use: id to a descriptor (O_PATH or other). */
  readonly #held = new Map<number, { readonly fd: number; readonly rights: Rights }>();
  #lastHeld = FIRST_HELD;
  readonly watches: Watches;

  constructor(options: TreeOptions = {}) {
    this.watches = new Watches(options.maxWatches ?? 0);
    this.#maxOpen = options.maxOpen ?? 512;
    this.#unmappedAsRoot = options.unmappedAsRoot ?? false;
  }

  /** Takes over an attach point. Its descriptor is never closed. */
  attach(point: AttachPoint, index: number): Result<HostDirectory> {
    const attributes = this.statFd(point.fd);
    if (isErrno(attributes)) return attributes;
    if ((attributes.mode & S_IFMT) !== S_IFDIR) return ENOTDIR;
    const ownMount =
      point.follows === true ? statxView.getUint32(statxLayout.at.mntId, true) : undefined;
    const owners =
      point.owners === undefined ? undefined : new OwnerRules(point.owners, attributes.dev);
    const { readOnly } = point;
    const rights = this.#rights.get(index) ?? { index, readOnly, ownMount, owners };
    this.#rights.set(index, rights);
    return this.#enter(undefined, '', point.fd, attributes, rights);
  }

  /** The attach point is read-only from now on. */
  freeze(index: number): void {
    const rights = this.#rights.get(index);
    if (rights !== undefined) rights.readOnly = true;
  }

  get(id: number): HostDirectory | undefined {
    return this.#directories.get(id);
  }

  /** A request was answered. */
  requestEnds(): void {
    if (this.#brief.length === 0) return;
    for (const directory of this.#brief) {
      if (directory.fd >= 0) native.close(directory.fd);
      directory.fd = -1;
    }
    this.#brief = [];
  }

  /** The O_PATH descriptor of a directory. Valid until the next call into the tree. */
  fdOf(directory: HostDirectory): SysResult {
    return this.#fdOf(directory as Held, 0);
  }

  /** The id of a subdirectory, held from now on until `forget`. */
  child(parent: HostDirectory, name: string, attributes: HostAttributes): Result<HostDirectory> {
    const { rights } = parent as Held;
    const known = this.#byInode.get(inodeKey(rights, attributes));
    if (known !== undefined) {
      known.parent = parent;
      known.name = name;
      return known;
    }
    if (this.#directories.size >= maxDirectories) return ENFILE;
    return this.#enter(parent as Held, name, -1, attributes, rights);
  }

  /**
   * Watches a directory, if that can be; what is learned of it and of its entries from now on stays
   * known.
   */
  watch(directory: HostDirectory): void {
    const held = directory as Held;
    // inotify(7) does not tell of what is mounted and unmounted.
    const follows = held.rights.ownMount !== undefined;
    if (!this.watches.isOn || held.sealed || follows) return;
    // It tells names, as listing does.
    if (mayUse(this, held, MAY_READ) === 0) this.watches.add(held, this.#fdOf(held, 0));
  }

  /** Takes over the descriptor of a file below `directory`. Its id from now on, or an errno. */
  hold(directory: HostDirectory, fd: SysResult): SysResult {
    if (isErrno(fd)) return fd;
    if (this.#held.size >= maxHeld) {
      native.close(fd);
      return ENFILE;
    }
    this.#lastHeld += 1;
    this.#held.set(this.#lastHeld, { fd, rights: (directory as Held).rights });
    return this.#lastHeld;
  }

  /** The descriptor of a held file, and whether it may be changed. */
  heldFile(id: number): HeldFile | undefined {
    const held = this.#held.get(id);
    if (held === undefined) return undefined;
    const { readOnly, owners } = held.rights;
    return { fd: held.fd, readOnly, owners };
  }

  forget(id: number): void {
    const held = this.#held.get(id);
    if (held !== undefined) {
      this.#held.delete(id);
      native.close(held.fd);
      return;
    }
    const directory = this.#directories.get(id);
    if (directory === undefined || directory.parent === undefined) return;
    this.#directories.delete(id);
    this.watches.remove(directory);
    this.#byInode.delete(inodeKey(directory.rights, directory));
    this.#open.delete(id);
    if (directory.fd >= 0) native.close(directory.fd);
    directory.fd = -1;
  }

  /** A rename moved a directory: later openings go by the new name. */
  moved(attributes: HostAttributes, parent: HostDirectory, name: string): void {
    const directory = this.#byInode.get(inodeKey((parent as Held).rights, attributes));
    if (directory === undefined) return;
    directory.parent = parent;
    directory.name = name;
  }

  /** lstat of an entry. */
  stat(directory: HostDirectory, name: string): Result<HostAttributes> {
    const fd = this.fdOf(directory);
    if (isErrno(fd)) return fd;
    return this.statAt(fd, name);
  }

  /** lstat below a descriptor that the caller holds. `name` has no '/'. */
  statAt(fd: number, name: string): Result<HostAttributes> {
    const done = native.statx(
      fd,
      name,
      name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW,
      statxBytes,
      0,
    );
    if (isErrno(done)) return done;
    const attributes = this.#decode();
    return mayBePlaceholder(attributes) ? this.#presented(fd, name, attributes) : attributes;
  }

  /** A file that stands for a device node is shown as one. */
  #presented(fd: number, name: string, attributes: HostAttributes): HostAttributes {
    const place =
      name === ''
        ? native.dup(fd)
        : native.openat2(fd, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_ENTRY);
    if (isErrno(place)) return attributes;
    const node = this.placeholderAt(place);
    native.close(place);
    return node === undefined ? attributes : { ...attributes, ...node };
  }

  /**
   * Returns the node that an open (O_PATH) placeholder file stands for; undefined for any other
   * file.
   */
  placeholderAt(place: number): DeviceNode | undefined {
    if (isErrno(native.statx(place, '', AT_EMPTY_PATH, statxBytes, 0))) return undefined;
    if (!mayBePlaceholder(this.#decode())) return undefined;
    const file = native.reopen(place, O_RDONLY);
    if (isErrno(file)) return undefined;
    const node = readPlaceholder(file);
    native.close(file);
    return node;
  }

  statFd(fd: number): Result<HostAttributes> {
    return this.statAt(fd, '');
  }

  /** Opens one entry beneath a directory with O_* flags; never follows a link. */
  openEntry(directory: HostDirectory, name: string, flags: number, mode: number): SysResult {
    const fd = this.fdOf(directory);
    return isErrno(fd) ? fd : native.openat2(fd, name, flags | O_NOFOLLOW, mode, RESOLVE_ENTRY);
  }

  #enter(
    parent: Held | undefined,
    name: string,
    fd: number,
    attributes: HostAttributes,
    rights: Rights,
  ): HostDirectory {
    this.#lastId += 1;
    const directory: Held = {
      id: this.#lastId,
      parent,
      name,
      fd,
      watch: 0,
      dev: attributes.dev,
      ino: attributes.ino,
      rights,
      owners: rights.owners,
      get readOnly() {
        return rights.readOnly;
      },
      sealed:
        parent !== undefined &&
        (parent.sealed || (parent.dev !== attributes.dev && this.#isSealedType(parent, name))),
    };
    this.#directories.set(directory.id, directory);
    // Two attach points may show one directory with different rights.
    if (parent !== undefined) this.#byInode.set(inodeKey(rights, attributes), directory);
    return directory;
  }

  #isSealedType(parent: Held, name: string): boolean {
    const parentFd = this.#fdOf(parent, 0);
    const fd = isErrno(parentFd)
      ? parentFd
      : native.openat2(parentFd, name, openDirectory, 0, RESOLVE_ENTRY);
    if (isErrno(fd)) return true;
    const done = native.fstatfs(fd, statfsValues);
    native.close(fd);
    return isErrno(done) || sealedTypes.has(statfsValues[0] as number);
  }

  #fdOf(directory: Held, depth: number): SysResult {
    const { parent } = directory;
    if (parent === undefined) return directory.fd;
    if (directory.sealed) return EACCES;
    if (directory.fd >= 0) {
      if (this.#open.delete(directory.id)) this.#open.set(directory.id, directory);
      return directory.fd;
    }
    if (depth > maxDepth) return ENOENT;
    const parentFd = this.#fdOf(parent as Held, depth + 1);
    if (isErrno(parentFd)) return parentFd;
    const fd = native.openat2(parentFd, directory.name, openDirectory, 0, RESOLVE_ENTRY);
    if (isErrno(fd)) return fd;
    const attributes = this.statFd(fd);
    if (
      isErrno(attributes) ||
      attributes.ino !== directory.ino ||
      attributes.dev !== directory.dev
    ) {
      native.close(fd);
      return ESTALE;
    }
    directory.fd = fd;
    const { ownMount } = directory.rights;
    if (ownMount !== undefined && ownMount !== statxView.getUint32(statxLayout.at.mntId, true)) {
      this.#brief.push(directory);
      return fd;
    }
    this.#open.set(directory.id, directory);
    this.#closeOldest();
    return fd;
  }

  #closeOldest(): void {
    if (this.#open.size <= this.#maxOpen) return;
    for (const [id, directory] of this.#open) {
      this.#open.delete(id);
      native.close(directory.fd);
      directory.fd = -1;
      return;
    }
  }

  #decode(): HostAttributes {
    const { at } = statxLayout;
    const u32 = (offset: number): number => statxView.getUint32(offset, true);
    const u64 = (offset: number): number => u32(offset) + u32(offset + 4) * 0x1_0000_0000;
    const i64 = (offset: number): number =>
      u32(offset) + statxView.getInt32(offset + 4, true) * 0x1_0000_0000;
    return {
      dev: u32(at.devMajor) * 0x10_0000 + u32(at.devMinor),
      ino: inodeNumber(u64(at.ino)),
      mode: statxView.getUint16(at.mode, true),
      nlink: u32(at.nlink),
      uid: this.#showId(u32(at.uid)),
      gid: this.#showId(u32(at.gid)),
      rdev: rdevOf(u32(at.rdevMajor), u32(at.rdevMinor)),
      size: clampInteger(u64(at.size)),
      blockSize: u32(at.blksize),
      blocks: clampInteger(u64(at.blocks)),
      atimeSec: i64(at.atime),
      atimeNsec: u32(at.atime + 8),
      mtimeSec: i64(at.mtime),
      mtimeNsec: u32(at.mtime + 8),
      ctimeSec: i64(at.ctime),
      ctimeNsec: u32(at.ctime + 8),
      btimeSec: i64(at.btime),
      btimeNsec: u32(at.btime + 8),
      mountRoot: (u32(at.attributes) & STATX_ATTR_MOUNT_ROOT) === 0 ? 0 : 1,
    };
  }

  #showId(id: number): number {
    return this.#unmappedAsRoot && id === overflowId ? 0 : id;
  }
}

function inodeKey(
  { index }: Rights,
  inode: { readonly dev: number; readonly ino: number },
): string {
  return `${inode.dev}:${inode.ino}:${index}`;
}

/** makedev(3) in 32 bits. */
function rdevOf(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/**
 * Those of 52 bits and more (some network file systems) lose bits: that they did shows
 * (sentry/fs/gofer/shared-identities.ts).
 */
export function inodeNumber(value: number): number {
  return value < 2 ** 52 ? value : 2 ** 52 + (value % 2 ** 51);
}

function clampInteger(value: number): number {
  return value <= Number.MAX_SAFE_INTEGER ? value : value % 2 ** 52;
}
