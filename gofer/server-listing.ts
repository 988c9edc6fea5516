// Listing a directory with the attributes of its entries, as much of it in one answer as fits.
import { EBADF, EINVAL, isErrno, type Result, type SysResult } from '../abi/errno.ts';
import { O_DIRECTORY, O_RDONLY } from '../abi/fcntl.ts';
import { dirent64Layout } from '../abi/fs.ts';
import { native } from '../native/addon.ts';
import type { HostDirectory, HostTree } from './host-tree.ts';
import { MAY_READ, mayUse } from './owners.ts';
import { ATTRIBUTES_BYTES } from './protocol.ts';
import type { GoferContext } from './server-context.ts';

/** Bytes of a directory that are read at once. */
const DIRENT_BYTES = 32 * 1024;

/** How far the listing of one directory has come. */
interface Progress {
  readonly id: number;
  readonly fd: number;
  /** What of the entries that were read was not answered yet. */
  at: number;
  filled: number;
}

/** The directory being listed: there is one at a time, and its parts are asked for one after the other. */
export class DirectoryListing {
  readonly #bytes = Buffer.alloc(DIRENT_BYTES);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, DIRENT_BYTES);
  #progress: Progress | undefined = undefined;

  /** Answers entries with their attributes, as many as fit. */
  list(context: GoferContext): SysResult {
    const { tree, request, reply } = context;
    const directory = context.directory();
    const goesOn = request.u32() !== 0;
    if (!request.isComplete) return EINVAL;
    if (directory === undefined) return EBADF;
    const listed = mayUse(tree, directory, MAY_READ);
    if (isErrno(listed)) return listed;
    tree.watch(directory);
    reply.u32(directory.watch);
    const headAt = reply.length;
    reply.u32(0).u32(0);
    if (directory.sealed) return 0;
    const progress = goesOn ? this.#progress : this.#start(tree, directory);
    if (isErrno(progress)) return progress;
    if (progress === undefined || progress.id !== directory.id) return EINVAL;
    const { count, more } = this.#answer(context, progress);
    if (!more) this.#end();
    reply.i32At(headAt, more ? 1 : 0);
    reply.i32At(headAt + 4, count);
    return 0;
  }

  #start(tree: HostTree, directory: HostDirectory): Result<Progress> {
    this.#end();
    const parentFd = tree.fdOf(directory);
    const fd = isErrno(parentFd)
      ? parentFd
      : native.openat2(parentFd, '.', O_RDONLY | O_DIRECTORY, 0, 0);
    if (isErrno(fd)) return fd;
    this.#progress = { id: directory.id, fd, at: 0, filled: 0 };
    return this.#progress;
  }

  #end(): void {
    if (this.#progress !== undefined) native.close(this.#progress.fd);
    this.#progress = undefined;
  }

  #answer(
    { tree, reply }: GoferContext,
    progress: Progress,
  ): { readonly count: number; readonly more: boolean } {
    let count = 0;
    for (;;) {
      if (progress.at >= progress.filled) {
        progress.at = 0;
        progress.filled = native.getdents64(progress.fd, this.#bytes);
        if (progress.filled <= 0) return { count, more: false };
      }
      const name = this.#nameAt(progress.at);
      if (reply.room < ATTRIBUTES_BYTES + 2 + name.length + 64) return { count, more: true };
      progress.at += this.#view.getUint16(progress.at + dirent64Layout.at.reclen, true);
      if (name === '.' || name === '..') continue;
      const attributes = tree.statAt(progress.fd, name);
      if (isErrno(attributes)) continue; // Gone meanwhile, or not ours to see.
      reply.text(name).attributes(attributes);
      count += 1;
    }
  }

  #nameAt(at: number): string {
    const start = at + dirent64Layout.at.name;
    return this.#bytes.toString('latin1', start, this.#bytes.indexOf(0, start));
  }
}
