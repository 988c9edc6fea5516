// SPDX-License-Identifier: Apache-2.0
// The operation that lists a directory, in parts of one reply each.
import { EBADF, EINVAL, isErrno, type SysResult } from '../../abi/errno.ts';
import { O_DIRECTORY, O_RDONLY } from '../../abi/fcntl.ts';
import { dirent64Layout } from '../../abi/fs.ts';
import { native } from '../../native/addon.ts';
import {
  type NamedAttributes,
  namedAttributesBytes,
} from '../../protocol/gofer/host-attributes.ts';
import { REPLY_BYTES } from '../../protocol/gofer/operations.ts';
import type { HostDirectory, HostTree } from '../host-tree.ts';
import { MAY_READ, mayUse } from '../owners.ts';
import type { Answer, GoferContext, Request } from './context.ts';

/** Bytes of a listing's reply beside its entries: result, watch, count, more. */
const LIST_HEAD_BYTES = 16;

type Part = Pick<Exclude<Answer<'list'>, number>, 'entries' | 'more'>;

/**
 * The directory being listed: a listing's parts are asked for one after the other, and one listing
 * is remembered.
 */
export class OpenListing {
  readonly #bytes = Buffer.alloc(32 * 1024);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
  /** The directory's id; 0: none is being listed. */
  #id = 0;
  #fd = -1;
  /** How much of #bytes has been sent. */
  #at = 0;
  #filled = 0;

  /** From the first entry on. */
  start(tree: HostTree, directory: HostDirectory): SysResult {
    this.end();
    const parent = tree.fdOf(directory);
    const fd = isErrno(parent) ? parent : native.openat2(parent, '.', O_RDONLY | O_DIRECTORY, 0, 0);
    if (isErrno(fd)) return fd;
    this.#id = directory.id;
    this.#fd = fd;
    this.#at = 0;
    this.#filled = 0;
    return 0;
  }

  end(): void {
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
    this.#id = 0;
  }

  isOf(directory: HostDirectory): boolean {
    return this.#id === directory.id;
  }

  /** Entries with their attributes, as many as fit. After the last one the listing has ended. */
  next(tree: HostTree): Part {
    const entries: NamedAttributes[] = [];
    let room = REPLY_BYTES - LIST_HEAD_BYTES;
    while (this.#fill()) {
      const name = this.#name();
      const size = namedAttributesBytes(name);
      if (room < size) return { entries, more: true };
      this.#at += this.#view.getUint16(this.#at + dirent64Layout.at.reclen, true);
      if (name === '.' || name === '..') continue;
      const attributes = tree.statAt(this.#fd, name);
      if (isErrno(attributes)) continue; // Gone meanwhile, or not ours to see.
      entries.push({ name, attributes });
      room -= size;
    }
    this.end();
    return { entries, more: false };
  }

  /** Has #bytes an entry that was not answered yet? */
  #fill(): boolean {
    if (this.#at < this.#filled) return true;
    this.#at = 0;
    this.#filled = native.getdents64(this.#fd, this.#bytes);
    return this.#filled > 0;
  }

  #name(): string {
    const start = this.#at + dirent64Layout.at.name;
    return this.#bytes.toString('latin1', start, this.#bytes.indexOf(0, start));
  }
}

export function list(
  { tree, listing }: GoferContext,
  { id, goesOn }: Request<'list'>,
): Answer<'list'> {
  const directory = tree.get(id);
  if (directory === undefined) return EBADF;
  const listed = mayUse(tree, directory, MAY_READ);
  if (isErrno(listed)) return listed;
  tree.watch(directory);
  const { watch } = directory;
  if (directory.sealed) return { watch, entries: [], more: false };
  if (!goesOn) {
    const started = listing.start(tree, directory);
    if (isErrno(started)) return started;
  }
  return listing.isOf(directory) ? { watch, ...listing.next(tree) } : EINVAL;
}
