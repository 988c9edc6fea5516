// SPDX-License-Identifier: Apache-2.0
// inotify(7): a queue of what happened to watched nodes. Events come from vfs/notify.ts.
// Differs from Linux: IN_UNMOUNT never comes.
import { kernelDevice } from '../../../abi/dev.ts';
import {
  EAGAIN,
  EEXIST,
  EINVAL,
  EMFILE,
  ENOSPC,
  ENOTTY,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { O_RDONLY } from '../../../abi/fcntl.ts';
import {
  IN_ALL_EVENTS,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
  inotifyEvent,
} from '../../../abi/inotify.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import type { UserCount } from '../../base/user-count.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink } from '../../vfs/io.ts';
import type { FileIdentity, Node } from '../../vfs/node.ts';
import {
  addObserver,
  type NodeEvent,
  type NodeObserver,
  removeObserver,
} from '../../vfs/notify.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import type { Path } from '../../vfs/path.ts';
import { type AnonymousNode, anonInode } from '../anon/anonymous-node.ts';

/** /proc/sys/fs/inotify/max_queued_events, max_user_instances and max_user_watches. */
export const maxQueuedEvents = 16384;
export const maxUserInstances = 128;
export const maxUserWatches = 65536;

/** The user who made an instance, whose limits bind it, and what that user has by now. */
export interface InotifyUser {
  readonly uid: number;
  readonly instances: UserCount;
  readonly watches: UserCount;
}

interface QueuedEvent {
  readonly watch: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: string | undefined;
}

export class Inotify extends OpenFile {
  readonly node: AnonymousNode = anonInode;
  readonly #watches = new Map<number, Watch>();
  readonly #byFile = new Map<FileIdentity, Watch>();
  #events: QueuedEvent[] = [];
  #lastWatch = 0;
  /** The account that pays for watches and events: the process that made the instance. */
  readonly #account: MemoryAccount = currentAccount();

  readonly #user: InotifyUser;

  private constructor(flags: number, user: InotifyUser) {
    super(O_RDONLY | flags);
    this.#user = user;
  }

  /** inotify_init1(2): a new instance, or EMFILE where the user has as many as a user may. */
  static open(flags: number, user: InotifyUser): Result<Inotify> {
    return user.instances.take(user.uid, 1, maxUserInstances) ? new Inotify(flags, user) : EMFILE;
  }

  override get canSignal(): boolean {
    return true;
  }

  override get description(): string {
    return 'anon_inode:inotify';
  }

  override close(): void {
    for (const watch of this.#watches.values()) watch.detach();
    this.#account.uncharge(this.#watches.size * OBJECT_COST.inotifyWatch);
    this.#user.watches.give(this.#user.uid, this.#watches.size);
    this.#user.instances.give(this.#user.uid, 1);
    this.#forget(this.#events);
    this.#watches.clear();
    this.#byFile.clear();
    this.#events = [];
  }

  override *information(): Generator<string> {
    for (const watch of [...this.#watches.values()].reverse()) yield watch.information();
  }

  /** inotify_add_watch(2) once the path is found: the watch descriptor, EEXIST or ENOSPC. */
  watch(path: Path, mask: number): SysResult {
    const known = this.#byFile.get(path.node.identity);
    if (known !== undefined) {
      if ((mask & IN_MASK_CREATE) !== 0) return EEXIST;
      known.mask = (mask & IN_MASK_ADD) !== 0 ? known.mask | mask : mask;
      return known.id;
    }
    const { uid, watches } = this.#user;
    if (!watches.take(uid, 1, maxUserWatches)) return ENOSPC;
    if (!this.#account.charge(OBJECT_COST.inotifyWatch)) {
      watches.give(uid, 1);
      return ENOSPC;
    }
    this.#lastWatch = (this.#lastWatch % 0x7fff_ffff) + 1;
    const watch = new Watch(this, this.#lastWatch, path, mask);
    this.#watches.set(watch.id, watch);
    this.#byFile.set(path.node.identity, watch);
    addObserver(path.node, watch);
    return watch.id;
  }

  /** inotify_rm_watch(2). */
  unwatch(id: number): SysResult {
    const watch = this.#watches.get(id);
    if (watch === undefined) return EINVAL;
    this.drop(watch);
    return 0;
  }

  /** Ends a watch and says so to the reader. */
  drop(watch: Watch): void {
    watch.detach();
    this.#watches.delete(watch.id);
    this.#account.uncharge(OBJECT_COST.inotifyWatch);
    this.#user.watches.give(this.#user.uid, 1);
    this.#byFile.delete(watch.node.identity);
    this.enqueue({ watch: watch.id, mask: IN_IGNORED, cookie: 0, name: undefined });
  }

  enqueue(event: QueuedEvent): void {
    const last = this.#events.at(-1);
    if (last !== undefined && isSame(last, event)) return;
    let queued = event;
    if (this.#events.length >= maxQueuedEvents || !this.#account.hasRoom(eventCost(event))) {
      if (last?.mask === IN_Q_OVERFLOW) return;
      queued = { watch: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: undefined };
    }
    this.#account.force(eventCost(queued));
    this.#events.push(queued);
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  #forget(events: readonly QueuedEvent[]): void {
    for (const event of events) this.#account.uncharge(eventCost(event));
  }

  /** Gives whole events, as many as fit: all of them are put with one copy. */
  override read(sink: Sink): SysResult {
    if (this.#events.length === 0) return EAGAIN;
    let taken = 0;
    let bytes = 0;
    for (const event of this.#events) {
      const size = encodedBytes(event);
      if (bytes + size > sink.remaining) break;
      taken += 1;
      bytes += size;
    }
    if (taken === 0) return EINVAL;
    const encoded = Buffer.alloc(bytes);
    let at = 0;
    for (let index = 0; index < taken; index += 1)
      at += encode(this.#events[index] as QueuedEvent, encoded, at);
    const put = sink.put(encoded);
    if (isErrno(put)) return put;
    this.#forget(this.#events.splice(0, taken));
    return bytes;
  }

  override poll(): number {
    return this.#events.length > 0 ? POLLIN | POLLRDNORM : 0;
  }

  override ioctl(command: number, argument: number, caller: Caller): SysResult {
    if (command !== FIONREAD) return ENOTTY;
    const bytes = this.#events.reduce((sum, event) => sum + encodedBytes(event), 0);
    return caller.memory.writeU32(argument, bytes);
  }
}

/** One watched node of one instance. */
export class Watch implements NodeObserver {
  readonly id: number;
  readonly node: Node;
  mask: number;
  readonly #inotify: Inotify;
  readonly #path: Path;

  constructor(inotify: Inotify, id: number, path: Path, mask: number) {
    this.#inotify = inotify;
    this.id = id;
    this.node = path.node;
    this.mask = mask;
    this.#path = path;
    path.pin();
    path.dentry.watchPins += 1;
  }

  detach(): void {
    removeObserver(this.node, this);
    this.#path.dentry.watchPins -= 1;
    this.#path.unpin();
  }

  /**
   * Its line of the instance's /proc/PID/fdinfo, without a handle: no file system here has any
   * (name_to_handle_at(2)).
   */
  information(): string {
    const attributes = this.node.attributes();
    const { ino, dev } = isErrno(attributes) ? { ino: 0, dev: 0 } : attributes;
    const mask = this.mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT);
    const inode = `ino:${ino.toString(16)} sdev:${kernelDevice(dev).toString(16)}`;
    return `inotify wd:${this.id.toString(16)} ${inode} mask:${(mask >>> 0).toString(16)} ignored_mask:0 \n`;
  }

  nodeEvent({ mask, cookie, name, isOfUnlinked }: NodeEvent): void {
    if (isOfUnlinked && (this.mask & IN_EXCL_UNLINK) !== 0) return;
    const isGone = (mask & IN_DELETE_SELF) !== 0;
    const asked = (mask & this.mask & IN_ALL_EVENTS) !== 0;
    if (asked) this.#inotify.enqueue({ watch: this.id, mask: mask >>> 0, cookie, name });
    if (isGone || (asked && (this.mask & IN_ONESHOT) !== 0)) this.#inotify.drop(this);
  }
}

function isSame(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.watch === b.watch && a.mask === b.mask && a.cookie === b.cookie && a.name === b.name;
}

function eventCost({ name }: QueuedEvent): number {
  return OBJECT_COST.inotifyEvent + (name?.length ?? 0);
}

/** A name is followed by NULs up to a multiple of the event's own size. */
function encodedBytes(event: QueuedEvent): number {
  const unit = inotifyEvent.name;
  return event.name === undefined ? unit : unit + Math.ceil((event.name.length + 1) / unit) * unit;
}

/** Puts an event into `out`, which is zeroed, at `at`: its bytes. */
function encode(event: QueuedEvent, out: Buffer, at: number): number {
  const size = encodedBytes(event);
  out.writeInt32LE(event.watch, at + inotifyEvent.wd);
  out.writeUInt32LE(event.mask, at + inotifyEvent.mask);
  out.writeUInt32LE(event.cookie, at + inotifyEvent.cookie);
  out.writeUInt32LE(size - inotifyEvent.name, at + inotifyEvent.length);
  if (event.name !== undefined) out.write(event.name, at + inotifyEvent.name, 'latin1');
  return size;
}
