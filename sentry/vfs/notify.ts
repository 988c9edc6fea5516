// SPDX-License-Identifier: Apache-2.0
// Where file events are told: inotify(7) hangs its watches on nodes here, everybody else calls notify*.
// Observers only record and wake; they never call back into the vfs.

import { canWrite, O_PATH } from '../../abi/fcntl.ts';
import {
  IN_ACCESS,
  IN_ATTRIB,
  IN_CLOSE_NOWRITE,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_OPEN,
} from '../../abi/inotify.ts';
import { S_IFDIR } from '../../abi/stat.ts';
import { type Dentry, isInUse } from './dentry.ts';
import type { Node } from './node.ts';
import type { OpenFile } from './open-file.ts';

export interface NodeEvent {
  /** One IN_* event, with IN_ISDIR. */
  readonly mask: number;
  /** The number that the two events of a rename share; else 0. */
  readonly cookie: number;
  /** The entry's name for events on a directory's child. */
  readonly name: string | undefined;
  /** Something was done with an open file whose name is gone (IN_EXCL_UNLINK). */
  readonly isOfUnlinked: boolean;
}

export interface NodeObserver {
  nodeEvent(event: NodeEvent): void;
}

/** How many observers there are at all: without any, events cost one comparison. */
let observerCount = 0;
let lastCookie = 0;

/** Does anybody watch anything? What only they are told need not be found out. */
export function hasObservers(): boolean {
  return observerCount > 0;
}

/** Watches a node. The watcher also pins a path of the node, so that the node stays the same object. */
export function addObserver(node: Node, observer: NodeObserver): void {
  const { identity } = node;
  identity.observers ??= new Set();
  if (identity.observers.has(observer)) return;
  identity.observers.add(observer);
  observerCount += 1;
}

export function removeObserver(node: Node, observer: NodeObserver): void {
  const { identity } = node;
  if (identity.observers?.delete(observer) !== true) return;
  observerCount -= 1;
  if (identity.observers.size === 0) identity.observers = undefined;
}

/** An entry was made in a directory. */
export function notifyCreated(directory: Node, name: string, kind: number): void {
  if (observerCount > 0) tell(directory, IN_CREATE | directoryBit(kind), 0, name);
}

/**
 * Tells that the entry `dentry` of a directory was removed. When `isGone`, its file has no other
 * name: the watches of the file end once nobody holds the dentry, which may be long after.
 */
export function notifyDeleted(directory: Node, dentry: Dentry, isGone: boolean): void {
  const { node } = dentry;
  if (observerCount === 0 || node === undefined) return;
  if (node.kind !== S_IFDIR) notifyLinkCount(node);
  if (isGone) endWatches(dentry, node);
  tell(directory, IN_DELETE | directoryBit(node.kind), 0, dentry.name);
}

/** Tells of a rename. The entry `replaced` had the new name before, and `isGone` is about its file. */
export function notifyMoved(
  from: Node,
  name: string,
  to: Node,
  newName: string,
  node: Node,
  replaced?: { readonly dentry: Dentry; readonly isGone: boolean },
): void {
  if (observerCount === 0) return;
  lastCookie = (lastCookie + 1) >>> 0 || 1;
  tell(from, IN_MOVED_FROM | directoryBit(node.kind), lastCookie, name);
  tell(to, IN_MOVED_TO | directoryBit(node.kind), lastCookie, newName);
  const victim = replaced?.dentry.node;
  if (victim !== undefined) notifyLinkCount(victim);
  tell(node, IN_MOVE_SELF, 0, undefined);
  if (replaced?.isGone === true && victim !== undefined) endWatches(replaced.dentry, victim);
}

/** Tells that a file has one name more or fewer, which is no business of its directory's watches. */
export function notifyLinkCount(node: Node): void {
  if (observerCount > 0) tell(node, IN_ATTRIB | directoryBit(node.kind), 0, undefined);
}

/** Tells of IN_DELETE_SELF now, or when the last one to use the dentry lets go of it. */
function endWatches(dentry: Dentry, node: Node): void {
  const end = (): void => tell(node, IN_DELETE_SELF, 0, undefined);
  if (isInUse(dentry)) dentry.atLastUse = end;
  else end();
}

/** Mode, owner, times or extended attributes changed. */
export function notifyAttributes(dentry: Dentry): void {
  if (observerCount > 0) tellNodeAndParent(dentry, IN_ATTRIB);
}

export function notifyModified(dentry: Dentry): void {
  if (observerCount > 0) tellNodeAndParent(dentry, IN_MODIFY);
}

export function notifyOpened(file: OpenFile): void {
  if (observerCount > 0) tellOfFile(file, IN_OPEN);
}

export function notifyClosed(file: OpenFile): void {
  if (observerCount === 0) return;
  tellOfFile(file, !canWrite(file.flags) ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
}

/** Called after a read that moved bytes. */
export function notifyRead(file: OpenFile): void {
  if (observerCount > 0) tellOfFile(file, IN_ACCESS);
}

/** Called after a write that moved bytes. */
export function notifyWritten(file: OpenFile): void {
  if (observerCount > 0) tellOfFile(file, IN_MODIFY);
}

function tellOfFile(file: OpenFile, mask: number): void {
  if ((file.flags & O_PATH) !== 0 || file.path === undefined) return;
  const { dentry } = file.path;
  tellNodeAndParent(dentry, mask, dentry.unlinked);
}

/** The directory's watch first, as fsnotify_handle_event does. */
function tellNodeAndParent(dentry: Dentry, mask: number, isOfUnlinked = false): void {
  const node = dentry.node;
  if (node === undefined) return;
  const bits = mask | directoryBit(node.kind);
  const parent = dentry.parent?.node;
  if (parent !== undefined) tell(parent, bits, 0, dentry.name, isOfUnlinked);
  tell(node, bits, 0, undefined, isOfUnlinked);
}

function tell(
  node: Node,
  mask: number,
  cookie: number,
  name: string | undefined,
  isOfUnlinked = false,
): void {
  const observers = node.knownIdentity?.observers;
  if (observers === undefined) return;
  const event: NodeEvent = { mask, cookie, name, isOfUnlinked };
  // A copy: an observer with IN_ONESHOT takes itself off the set.
  for (const observer of [...observers]) observer.nodeEvent(event);
}

function directoryBit(kind: number): number {
  return kind === S_IFDIR ? IN_ISDIR : 0;
}
