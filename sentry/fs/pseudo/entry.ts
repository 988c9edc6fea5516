// Entries: the values that trees of pseudo file systems are made of. An entry makes the node that
// shows one subject (the kernel, a process, a thread) under some name.
import type { Result, SysResult } from '../../../abi/errno.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import type { PseudoFileSystem } from './pseudo-filesystem.ts';

export type Entry<S extends object> = (filesystem: PseudoFileSystem, subject: S) => Node;

/** Names and what is there, in the order of listing. */
export type Entries<S extends object> = Readonly<Record<string, Entry<S>>>;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const rootOwner: Owner = { uid: 0, gid: 0 };

/** Properties of an entry that depend on the caller. */
export interface EntryOptions<S extends object> {
  /** Returns the present owner of the node; root without it. */
  readonly owner?: (subject: S) => Owner;
  /** Asked at open, beyond the permission bits: 0 or an errno. */
  readonly mayOpen?: (subject: S, caller: Caller, flags: number) => SysResult;
}

/**
 * The bytes of a file, one char per byte: all of them, or part after part (the records of fs/seq_file.c) where there may be too
 * many for one turn. A part may be empty: then it only shows that something was done.
 */
export type Text = string | IterableIterator<string>;

export type Render<S extends object> = (subject: S, caller: Caller) => Result<Text>;
