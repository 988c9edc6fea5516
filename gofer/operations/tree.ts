// SPDX-License-Identifier: Apache-2.0
// The operation that lists many directories at once, for a guest that walks a tree. Nothing is kept
// of it: the directories get no ids.
import { EACCES, EBADF, EINVAL, EOPNOTSUPP, isErrno, type SysResult } from '../../abi/errno.ts';
import {
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../abi/fcntl.ts';
import { dirent64Layout } from '../../abi/fs.ts';
import { S_IFDIR, S_IFMT } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import { REPLY_BYTES } from '../../protocol/gofer/operations.ts';
import {
  ASKED,
  TREE_PLACES_MAX,
  type TreeDirectory,
  type TreeEntry,
  treeDirectoryBytes,
  treeEntryBytes,
} from '../../protocol/gofer/tree.ts';
import { type HostTree, inodeNumber } from '../host-tree.ts';
import type { Answer, GoferContext, Request } from './context.ts';

/** Bytes of a reply beside its directories: result, count. */
const HEAD_BYTES = 8;
/** A descriptor is held for each level. */
const maxDepth = 64;
/** The Sentry waits, and serves nobody meanwhile. */
const longestMs = 4;
/** Mounts below are left to requests of their own, since they may be sealed. */
export const RESOLVE_TREE: number =
  RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
/** S_IFMT bits of a d_type: IFTODT(3) backwards. */
const kindShift = 12;

const bytes = Buffer.alloc(64 * 1024);
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

class TreeListing {
  readonly directories: TreeDirectory[] = [];
  readonly #tree: HostTree;
  readonly #limit: number;
  readonly #wantsAttributes: boolean;
  readonly #endsMs: number = nowMs() + longestMs;
  #room: number;

  constructor(tree: HostTree, { limit, attributes, room }: Request<'listTree'>) {
    this.#tree = tree;
    this.#limit = limit;
    this.#wantsAttributes = attributes;
    this.#room = Math.min(room, REPLY_BYTES) - HEAD_BYTES;
  }

  /** A directory that was asked for, and those below. Returns false where the reply is full. */
  add(from: number, path: string, place: number): boolean {
    return this.#add(from, path, { parent: ASKED, place, name: '' }, 0);
  }

  #add(from: number, path: string, as: Omit<TreeDirectory, 'entries'>, depth: number): boolean {
    if (this.directories.length >= this.#limit) return false;
    if (this.directories.length > 0 && nowMs() > this.#endsMs) return false;
    const fd = native.openat2(from, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_TREE);
    if (isErrno(fd)) return true;
    const goesOn = this.#addOpen(fd, as, depth);
    native.close(fd);
    return goesOn;
  }

  #addOpen(fd: number, as: Omit<TreeDirectory, 'entries'>, depth: number): boolean {
    const room = this.#room;
    this.#room -= treeDirectoryBytes(as.name);
    const entries = this.#read(fd);
    if (entries === undefined) {
      // Half a directory would be none.
      this.#room = room;
      return false;
    }
    const index = this.directories.push({ ...as, entries }) - 1;
    if (depth >= maxDepth) return true;
    for (const { name, kind } of entries)
      if (kind === S_IFDIR && !this.#add(fd, name, { parent: index, place: 0, name }, depth + 1))
        return false;
    return true;
  }

  /** All entries of an open directory; undefined where they do not fit. */
  #read(fd: number): TreeEntry[] | undefined {
    const entries: TreeEntry[] = [];
    const { at: field } = dirent64Layout;
    for (;;) {
      const filled: SysResult = native.getdents64(fd, bytes);
      if (filled <= 0) return this.#room < 0 || isErrno(filled) ? undefined : entries;
      for (let at = 0; at < filled; at += view.getUint16(at + field.reclen, true)) {
        const start = at + field.name;
        const name = bytes.toString('latin1', start, bytes.indexOf(0, start));
        if (name === '.' || name === '..') continue;
        const kind = view.getUint8(at + field.type) << kindShift;
        const low = view.getUint32(at + field.ino, true);
        const ino = low + view.getUint32(at + field.ino + 4, true) * 0x1_0000_0000;
        this.#addEntry(entries, fd, name, kind, inodeNumber(ino));
        if (this.#room < 0) return undefined;
      }
    }
  }

  #addEntry(entries: TreeEntry[], fd: number, name: string, kind: number, ino: number): void {
    if (this.#wantsAttributes || kind === S_IFDIR || kind === 0) {
      const attributes = this.#tree.statAt(fd, name);
      if (isErrno(attributes)) return; // Gone meanwhile, or not ours to see.
      const { mode } = attributes;
      entries.push({ name, ino: attributes.ino, kind: mode & S_IFMT, attributes });
      this.#room -= treeEntryBytes(name, true);
    } else {
      entries.push({ name, ino, kind, attributes: undefined });
      this.#room -= treeEntryBytes(name, false);
    }
  }
}

function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export function listTree({ tree }: GoferContext, request: Request<'listTree'>): Answer<'listTree'> {
  const { id, paths } = request;
  const base = tree.get(id);
  if (base === undefined) return EBADF;
  if (paths.length > TREE_PLACES_MAX) return EINVAL;
  if (base.sealed) return EACCES;
  // Each directory would have to be judged by itself.
  if (base.owners !== undefined) return EOPNOTSUPP;
  const from = tree.fdOf(base);
  if (isErrno(from)) return from;
  const listing = new TreeListing(tree, request);
  paths.every((path, place) => listing.add(from, path, place));
  return { directories: listing.directories };
}
