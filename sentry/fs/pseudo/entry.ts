// SPDX-License-Identifier: Apache-2.0
// Entries: the values that trees of pseudo file systems are made of. An entry makes the node that
// shows one subject (the kernel, a process, a thread) under some name.
import type { Result, SysResult } from '../../../abi/errno.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import type { PseudoFileSystem } from './pseudo-filesystem.ts';

export interface Entry<S extends object> {
  (filesystem: PseudoFileSystem, subject: S): Node;
  /** The node is a directory, and so a link to the directory that the node is in. */
  readonly isDirectory?: boolean;
}

/** Names and what is there, in the order of listing. */
export type Entries<S extends object> = Readonly<Record<string, Entry<S>>>;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Which of Linux's file operations, beyond reading and writing, the files of one kind have
 * (vfs/open-file.ts).
 */
export interface FileOperations {
  readonly poll: boolean;
  readonly spliceRead: boolean;
  readonly spliceWrite: boolean;
}

/** Files of sysfs, of the cgroup file system (kernfs) and of /proc/sys. */
export const settingOperations: FileOperations = {
  poll: true,
  spliceRead: true,
  spliceWrite: true,
};
/** Files of /proc itself (proc_reg_file_ops): always ready for poll(2). */
export const systemOperations: FileOperations = {
  poll: true,
  spliceRead: true,
  spliceWrite: false,
};
/** Files of /proc that are read as sequences of records: those of the network, of System V IPC. */
export const recordOperations: FileOperations = {
  poll: true,
  spliceRead: false,
  spliceWrite: false,
};
/** Files of a process. */
export const processOperations: FileOperations = {
  poll: false,
  spliceRead: false,
  spliceWrite: false,
};

export const rootOwner: Owner = { uid: 0, gid: 0 };

/** Properties of an entry that depend on the caller. */
export interface EntryOptions<S extends object> {
  /** Returns the present owner of the node; root without it. */
  readonly owner?: (subject: S) => Owner;
  /** Asked at open, beyond the permission bits: 0 or an errno. */
  readonly mayOpen?: (subject: S, caller: Caller, flags: number) => SysResult;
}

/**
 * The bytes of a file, one char per byte: all of them, or part after part (the records of
 * fs/seq_file.c) where there may be too many for one turn. A part may be empty: then it only shows
 * that something was done.
 */
export type Text = string | IterableIterator<string>;

export type Render<S extends object> = (subject: S, caller: Caller) => Result<Text>;
