// SPDX-License-Identifier: Apache-2.0
// The operations that the Sentry asks of the Gofer, one record each: see README.md for the form of
// messages and for how an operation is added.
import { XATTR_SIZE_MAX } from '../../abi/xattr.ts';
import {
  attributeName,
  bytes,
  ending,
  entryName,
  entryNameOrSelf,
  type Field,
  flag,
  integer,
  listOf,
  path,
  pathOrSelf,
  place,
  text,
  timestamp,
  u32,
} from './fields.ts';
import { attributes, entry, namedAttributes } from './host-attributes.ts';
import { type Message, message, type Shape, type Values } from './message.ts';
import { openedFile } from './opened.ts';
import { treeDirectory } from './tree.ts';

/** Ids from here on are held files, below are directories. */
export const FIRST_HELD = 0x8000_0000;

/**
 * A request begins with one number: the operation's, and above it the processor on which the
 * Sentry waits for the reply (plus 1; 0: it does not say). The two never work at the same time, and
 * a wake-up costs a tenth on the processor that both use.
 */
export const requestHead = (operation: number, cpu: number): number =>
  operation + (cpu + 1) * 0x1_0000;
export const operationOf = (head: number): number => head & 0xffff;
export const cpuOf = (head: number): number => (head >>> 16) - 1;

/** Bits of setAttributes' mask. */
export const CHANGE = { mode: 1, owner: 2, size: 4, atime: 8, mtime: 16 } as const;

/** chown(2): this id stays as it is. */
export const UNCHANGED_ID = 0xffff_ffff;

/** Longest request (a 64 KiB extended attribute and its names) and longest reply. */
export const REQUEST_BYTES: number = 72 * 1024;
export const REPLY_BYTES: number = 128 * 1024;

/** Answered with an errno, or with fields. */
export interface Answered<Q, R> {
  readonly number: number;
  readonly answer: 'fields';
  readonly request: Message<Q>;
  readonly reply: Message<R>;
}

/** The same, and one descriptor travels with the fields. Without the descriptor the reply is malformed. */
export interface Passing<Q, R> {
  readonly number: number;
  readonly answer: 'descriptor';
  readonly request: Message<Q>;
  readonly reply: Message<R>;
}

/**
 * The same, with as many descriptors as the list `opened` of the reply has elements, in its order.
 * With others the reply is malformed.
 */
export interface PassingMany<Q, R> {
  readonly number: number;
  readonly answer: 'descriptors';
  readonly request: Message<Q>;
  readonly reply: Message<R>;
}

/** Nobody waits for an answer. */
export interface Unanswered<Q> {
  readonly number: number;
  readonly answer: 'none';
  readonly request: Message<Q>;
}

function answered<Q extends Shape, R extends Shape>(
  number: number,
  request: Q,
  reply: R,
): Answered<Values<Q>, Values<R>> {
  return { number, answer: 'fields', request: message(request), reply: message(reply) };
}

function passing<Q extends Shape, R extends Shape>(
  number: number,
  request: Q,
  reply: R,
): Passing<Values<Q>, Values<R>> {
  return { number, answer: 'descriptor', request: message(request), reply: message(reply) };
}

function passingMany<
  Q extends Shape,
  R extends Shape & { readonly opened: Field<readonly unknown[]> },
>(number: number, request: Q, reply: R): PassingMany<Values<Q>, Values<R>> {
  return { number, answer: 'descriptors', request: message(request), reply: message(reply) };
}

function unanswered<Q extends Shape>(number: number, request: Q): Unanswered<Values<Q>> {
  return { number, answer: 'none', request: message(request) };
}

/** The owners of something new. */
const owner = { uid: u32, gid: u32 };

export const operations = {
  attach: answered(1, { index: u32 }, { id: u32, readOnly: flag, attributes }),
  /**
   * `watch` is that of the directory `id`. `ended` says why the walk ended before its last name; 0:
   * it did not, or at a link or file.
   */
  walk: answered(2, { id: u32, path }, { watch: u32, entries: listOf(entry), ended: ending }),
  /**
   * `goesOn`: not from the first entry, but from where the listing before ended. `watch` is from
   * before the names were read.
   */
  list: answered(
    3,
    { id: u32, goesOn: flag },
    { watch: u32, entries: listOf(namedAttributes), more: flag },
  ),
  /** `mode`: O_RDONLY or O_RDWR. */
  open: passing(4, { place, mode: u32 }, { attributes }),
  statfs: answered(
    6,
    { id: u32 },
    {
      type: integer,
      blockSize: integer,
      blocks: integer,
      blocksFree: integer,
      blocksAvailable: integer,
      files: integer,
      filesFree: integer,
      nameMax: integer,
    },
  ),
  getAttributes: answered(7, { id: u32, name: entryNameOrSelf }, { attributes }),
  /** The descriptor is O_RDWR. */
  create: passing(8, { id: u32, name: entryName, mode: u32, ...owner }, { entry }),
  /** `isEmpty`: the directory was empty after its watch was made. */
  makeDirectory: answered(
    9,
    { id: u32, name: entryName, mode: u32, ...owner },
    { entry, isEmpty: flag },
  ),
  remove: answered(10, { id: u32, name: entryName, isDirectory: flag }, {}),
  /** `flags`: those of renameat2(2). */
  rename: answered(
    11,
    { id: u32, name: entryName, newId: u32, newName: entryName, flags: u32 },
    {},
  ),
  link: answered(12, { place, newId: u32, newName: entryName }, {}),
  symlink: answered(13, { id: u32, name: entryName, ...owner, target: text }, { entry }),
  /** `mode`: of a FIFO, a socket or a device. */
  makeNode: answered(14, { id: u32, name: entryName, mode: u32, ...owner, rdev: u32 }, { entry }),
  /** `mask`: CHANGE, what of the values is meant. */
  setAttributes: answered(
    15,
    {
      place,
      mask: u32,
      mode: u32,
      ...owner,
      size: integer,
      atime: timestamp,
      mtime: timestamp,
    },
    { attributes },
  ),
  getXattr: answered(16, { place, attribute: attributeName }, { value: bytes(XATTR_SIZE_MAX) }),
  /** `names`: as listxattr(2) has them. */
  listXattr: answered(17, { place }, { names: bytes(XATTR_SIZE_MAX) }),
  setXattr: answered(
    18,
    { place, attribute: attributeName, value: bytes(XATTR_SIZE_MAX), flags: u32 },
    {},
  ),
  removeXattr: answered(19, { place, attribute: attributeName }, {}),
  /** The Sentry does not use this id any more. */
  forget: unanswered(20, { id: u32 }),
  /** The attach point is read-only from now on. */
  freeze: unanswered(21, { index: u32 }),
  /** The file stays reachable when its name is gone: in a place, `heldId` with the name '' stands for it. */
  hold: answered(22, { id: u32, name: entryName }, { heldId: u32 }),
  /** A file without a name. The descriptor is O_RDWR. */
  createUnnamed: passing(23, { id: u32, mode: u32, ...owner }, { attributes, heldId: u32 }),
  linkHeld: answered(24, { heldId: u32, newId: u32, newName: entryName }, {}),
  /**
   * Directories are watched from now on: the descriptor is an instance of inotify(7). See
   * gofer/watches.ts.
   */
  startWatching: passing(25, {}, {}),
  stopWatching: unanswered(26, {}),
  /**
   * Lists the directories at `paths` below `id`, and those below each of them, in the order of a
   * depth-first walk: as many as fit, at most `limit`, none of them on another mount. A directory
   * that cannot be listed so is left out. `attributes`: of all entries; else of directories alone.
   * `room`: bytes that the reply may have at the most.
   */
  listTree: answered(
    27,
    { id: u32, paths: listOf(path), limit: u32, attributes: flag, room: u32 },
    { directories: listOf(treeDirectory) },
  ),
  /**
   * Opens files of the directory at `path` below `id`, on the same mount, for reading: the first
   * OPENED_MAX of `names`. What is no regular file, or cannot be opened, is left out.
   */
  openMany: passingMany(
    28,
    { id: u32, path: pathOrSelf, names: listOf(entryName) },
    { opened: listOf(openedFile) },
  ),
} as const;

export type OperationName = keyof typeof operations;

/** The values that an operation's request carries. */
export type RequestOf<O> = O extends { readonly request: Message<infer Q> } ? Q : never;

/** The values that an operation's reply carries. */
export type ReplyOf<O> =
  O extends Passing<infer _Q, infer R>
    ? R & { readonly fd: number }
    : O extends PassingMany<infer _Q, infer R>
      ? R & { readonly fds: readonly number[] }
      : O extends Answered<infer _Q, infer R>
        ? R
        : never;
