// SPDX-License-Identifier: Apache-2.0
// Files of the host that are reached on more than one way: volumes that containers of a pod share,
// each through a Gofer of its own, and volumes of one container that lie in one another. What
// belongs to the file and not to the way to it (locks, watches, the pipe of a FIFO, a bound socket)
// meets here by the host's numbers for the file (st_dev and st_ino, as Gofers tell them). Rights do
// not: each way keeps its Gofer, its ids and its being read-only.
import { S_IFDIR, S_IFREG } from '../../../abi/stat.ts';
import { type Attributes, FileIdentity } from '../../vfs/node.ts';
import type { GoferClient } from './client.ts';
import type { GoferFileSystem } from './filesystem.ts';

/**
 * Where the host's number of a file has more bits than we keep, two files may have the same:
 * gofer/host-tree.ts.
 */
const firstInexactInode = 2 ** 52;

class SharedIdentity extends FileIdentity {
  readonly key: string;
  /** Nodes that have it. */
  users = 0;

  constructor(key: string) {
    super();
    this.key = key;
  }
}

/** The Gofers of one Sentry. */
export class SharedIdentities {
  readonly #files = new Map<string, SharedIdentity>();
  readonly #clients = new Set<GoferClient>();
  /** By guests, through any Gofer: what was learned of a file before another container's change is old. */
  changes = 0;

  join(client: GoferClient): void {
    this.#clients.add(client);
  }

  leave(client: GoferClient): void {
    this.#clients.delete(client);
  }

  /** All trees that are in use. */
  *filesystems(): Generator<GoferFileSystem> {
    for (const client of this.#clients) yield* client.filesystems;
  }

  /**
   * Returns the identity that stands for the file; undefined where the file cannot be told from
   * others. It is given back with `release`.
   */
  take(hostKey: string, attributes: Attributes, kind: number): FileIdentity | undefined {
    if (!isExact(attributes.ino)) return undefined;
    const key = keyOf(hostKey, attributes, kind);
    let file = this.#files.get(key);
    if (file === undefined) {
      file = new SharedIdentity(key);
      this.#files.set(key, file);
    }
    file.users += 1;
    return file;
  }

  /** The same where somebody has taken it already. */
  known(hostKey: string, attributes: Attributes, kind: number): FileIdentity | undefined {
    if (this.#files.size === 0 || !isExact(attributes.ino)) return undefined;
    return this.#files.get(keyOf(hostKey, attributes, kind));
  }

  release(identity: FileIdentity): void {
    const file = identity as SharedIdentity;
    file.users -= 1;
    if (file.users === 0) this.#forget(file);
  }

  /** The file has lost its last name: what comes with its numbers later is another one. */
  removed(identity: FileIdentity): void {
    this.#forget(identity as SharedIdentity);
  }

  #forget(file: SharedIdentity): void {
    if (this.#files.get(file.key) === file) this.#files.delete(file.key);
  }
}

/** Nothing here keeps the host from giving the number of a removed FIFO or socket to the next one. */
function keyOf(hostKey: string, { btime }: Attributes, kind: number): string {
  const isKept = kind === S_IFREG || kind === S_IFDIR;
  return isKept ? hostKey : `${hostKey}:${kind}:${btime.sec}.${btime.nsec}`;
}

/** Whether an inode number as Gofers tell it is the host's whole one. */
export function isExact(ino: number): boolean {
  return ino < firstInexactInode;
}
