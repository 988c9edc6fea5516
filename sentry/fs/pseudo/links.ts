// SPDX-License-Identifier: Apache-2.0
// Symbolic links of pseudo file systems: plain ones, and magic ones that lead to a place whatever
// its name (/proc/PID/exe, cwd, root, fd/N).
import { ELOOP, EPERM, type Result, type SysResult } from '../../../abi/errno.ts';
import { S_IFLNK } from '../../../abi/stat.ts';
import type { Caller } from '../../vfs/caller.ts';
import { type AttributeChange, type Attributes, Node, type Ownership } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { Path } from '../../vfs/path.ts';
import { type Entry, type Owner, rootOwner } from './entry.ts';
import { Inode, type PseudoFileSystem } from './pseudo-filesystem.ts';

export interface LinkOptions<S extends object> {
  readonly mode?: (subject: S) => number;
  readonly owner?: (subject: S) => Owner;
  /** Where a magic link leads. */
  readonly follow?: (subject: S, caller: Caller) => Result<Path>;
}

/** A link whose text is `target(subject, caller)`. */
export function link<S extends object>(
  target: (subject: S, caller: Caller) => Result<string>,
  options: LinkOptions<S> = {},
): Entry<S> {
  return (filesystem, subject) => new LinkNode(filesystem, subject, target, options);
}

export class LinkNode<S extends object> extends Node {
  readonly filesystem: PseudoFileSystem;
  readonly kind: number = S_IFLNK;
  readonly #inode: Inode;
  readonly #subject: S;
  readonly #target: (subject: S, caller: Caller) => Result<string>;
  readonly #options: LinkOptions<S>;

  constructor(
    filesystem: PseudoFileSystem,
    subject: S,
    target: (subject: S, caller: Caller) => Result<string>,
    options: LinkOptions<S>,
  ) {
    super();
    this.filesystem = filesystem;
    this.#inode = new Inode(filesystem);
    this.#subject = subject;
    this.#target = target;
    this.#options = options;
  }

  attributes(): Attributes {
    return this.#inode.attributes(this.ownership(), 1);
  }

  override ownership(): Ownership {
    const { uid, gid } = this.#options.owner?.(this.#subject) ?? rootOwner;
    return { mode: S_IFLNK | (this.#options.mode?.(this.#subject) ?? 0o777), uid, gid };
  }

  override setAttributes(change: AttributeChange): SysResult {
    return change.mode === undefined && change.uid === undefined && change.gid === undefined
      ? 0
      : EPERM;
  }

  override readlink(caller: Caller): Result<string> {
    return this.#target(this.#subject, caller);
  }

  override followMagic(caller: Caller): Result<Path> | undefined {
    const { follow } = this.#options;
    if (follow === undefined) return undefined;
    return follow(this.#subject, caller);
  }

  open(_flags: number, _caller: Caller): Result<OpenFile> {
    return ELOOP;
  }
}
