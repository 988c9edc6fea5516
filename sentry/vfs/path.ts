// SPDX-License-Identifier: Apache-2.0
// A place in the tree of mounts: mount + dentry (path_resolution(7)), and its text.
import { anonymousDentry, type Dentry, pinDentry, unpinDentry } from './dentry.ts';
import type { Mount } from './mount.ts';
import type { Node } from './node.ts';

export class Path {
  /** Undefined for files outside any tree: pipes, sockets, memfds. */
  readonly mount: Mount | undefined;
  readonly dentry: Dentry;

  constructor(mount: Mount | undefined, dentry: Dentry) {
    this.mount = mount;
    this.dentry = dentry;
  }

  /** Never called on a negative dentry: walks answer none. */
  get node(): Node {
    return this.dentry.node as Node;
  }

  /** Keeps the dentry in the cache until `unpin`. */
  pin(): void {
    pinDentry(this.dentry);
    if (this.mount !== undefined) this.mount.users += 1;
  }

  unpin(): void {
    unpinDentry(this.dentry);
    if (this.mount !== undefined) this.mount.users -= 1;
  }

  equals(other: Path): boolean {
    return this.dentry === other.dentry && this.mount === other.mount;
  }
}

/**
 * The path of a file that has none: /proc/PID/fd shows `description`; opening that link opens
 * `node` anew.
 */
export function anonymousPath(node: Node, description: string): Path {
  return new Path(undefined, anonymousDentry(description, node));
}

/** Text of a path as seen from `root`; reachable is false where `root` is not above it. */
export interface PathText {
  readonly text: string;
  readonly reachable: boolean;
}

/**
 * Returns the text of a path as d_path makes it: the name that /proc/PID/fd, maps and exe show,
 * with ' (deleted)' where the name is gone.
 */
export function pathText(path: Path, root: Path): string {
  if (path.mount === undefined) return path.dentry.name;
  const { text } = climb(path, root);
  return path.dentry.unlinked ? `${text} (deleted)` : text;
}

/** The name relative to `root`, without the ' (deleted)' mark. */
export function climb(path: Path, root: Path): PathText {
  let mount = path.mount;
  let dentry = path.dentry;
  let text = '';
  for (;;) {
    if (dentry === root.dentry && mount === root.mount)
      return { text: text === '' ? '/' : text, reachable: true };
    if (mount !== undefined && dentry === mount.root) {
      // A mount that was taken out of the tree (umount -l) ends the climb.
      if (mount.parent === undefined || mount.mountpoint === undefined) break;
      dentry = mount.mountpoint;
      mount = mount.parent;
      continue;
    }
    if (dentry.parent === undefined) break;
    text = `/${dentry.name}${text}`;
    dentry = dentry.parent;
  }
  return { text: text === '' ? '/' : text, reachable: false };
}

/** The name of a dentry inside its own file system, for mountinfo. */
export function dentryText(dentry: Dentry): string {
  let text = '';
  for (let at = dentry; at.parent !== undefined; at = at.parent) text = `/${at.name}${text}`;
  return text === '' ? '/' : text;
}
