// SPDX-License-Identifier: Apache-2.0
// The Sentry's end of the Gofer protocol: one blocking request at a time. Owners of files are the
// host's ids here. A Gofer that has died or sends nonsense ends the sandbox (GoferDied), because
// without its files no guest can go on; in a pod only the Gofer's own container ends (`died`).
import {
  EINTR,
  EIO,
  ENFILE,
  EOPNOTSUPP,
  type Errno,
  errnoName,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import { native } from '../../../native/addon.ts';
import { isEnding, type Place } from '../../../protocol/gofer/fields.ts';
import type { HostAttributes, HostEntry } from '../../../protocol/gofer/host-attributes.ts';
import { OPENED_MAX } from '../../../protocol/gofer/opened.ts';
import {
  type Answered,
  CHANGE,
  operations,
  type Passing,
  type PassingMany,
  REPLY_BYTES,
  REQUEST_BYTES,
  type ReplyOf,
  type RequestOf,
  requestHead,
  UNCHANGED_ID,
  type Unanswered,
} from '../../../protocol/gofer/operations.ts';
import { MessageReader, MessageWriter } from '../../../protocol/gofer/wire.ts';
import type { WorkCounters } from '../../base/work-counters.ts';
import type { AttributeChange } from '../../vfs/node.ts';
import type { GoferFileSystem } from './filesystem.ts';
import { GoferDied } from './gofer-died.ts';
import { HostWatches } from './host-watches.ts';
import { SharedIdentities } from './shared-identities.ts';

export interface Walked {
  /** The watch of the directory that the walk began at; 0 where there is none. */
  readonly watch: number;
  readonly entries: readonly HostEntry[];
  /**
   * The errno that ended the walk before the last name; 0 where the walk came to its end, or to a
   * link or file.
   */
  readonly errno: SysResult;
}

export type Attached = ReplyOf<typeof operations.attach>;
/**
 * A part of a listing. Where there is `more` the next part must be asked for at once: the Gofer
 * remembers one listing.
 */
export type ListedPart = ReplyOf<typeof operations.list>;
export type ListedTree = ReplyOf<typeof operations.listTree>;
export type OpenedHost = ReplyOf<typeof operations.open>;
export type OpenedHosts = ReplyOf<typeof operations.openMany>;
export type CreatedHost = ReplyOf<typeof operations.create>;
export type MadeDirectory = ReplyOf<typeof operations.makeDirectory>;
export type UnnamedHost = ReplyOf<typeof operations.createUnnamed>;
export type HostStatus = ReplyOf<typeof operations.statfs>;

type Asked<Q> = Pick<Answered<Q, unknown>, 'number' | 'request'>;

/** A time that is not changed. */
const NO_TIME = { sec: 0, nsec: 0 };

const MALFORMED = 'a malformed reply';

/** The number of descriptors where this process may have no more: those of the reply are lost. */
const NONE_LEFT = -1;

/**
 * How many requests a container makes before its directories are watched. Most containers only
 * start and then serve, and need no watches; the host allows each user few inotify instances.
 */
const REQUESTS_BEFORE_WATCHES = 200;

/** The calls by which a client tells its owner of events. */
export interface GoferEvents {
  /**
   * Called when the Gofer has died, where it is the Gofer of one container among several in a pod:
   * only that container ends, and its files answer EIO. Where it is undefined, the death of the
   * Gofer ends the sandbox.
   */
  readonly died: (() => void) | undefined;
  /**
   * Called when watches begin, so that somebody looks from time to time whether they are still
   * used.
   */
  readonly watching: (client: GoferClient) => void;
  /** Where requests and their time are counted; undefined where nobody asked. */
  readonly work?: WorkCounters | undefined;
}

export class GoferClient {
  readonly #socketFd: number;
  readonly #request = new MessageWriter(REQUEST_BYTES);
  readonly #reply = new MessageReader(REPLY_BYTES);
  /** Descriptors that came with a reply and that nobody has taken: their number, then they. */
  readonly #fds = new Int32Array(1 + OPENED_MAX);
  /** The number of requests so far, for tests and statistics. */
  requests = 0;
  #isClosed = false;

  /** The identities of host files, which all Gofers of the sandbox share. */
  readonly identities: SharedIdentities;
  /** The trees of this Gofer, one for each attach point in use. */
  readonly filesystems: Set<GoferFileSystem> = new Set();
  #changes = 0;
  readonly watches: HostWatches = new HostWatches((reason) => {
    this.#lost(reason);
  });
  #watchesDueAt = REQUESTS_BEFORE_WATCHES;

  readonly #events: GoferEvents;

  constructor(
    socketFd: number,
    events: GoferEvents,
    identities: SharedIdentities = new SharedIdentities(),
  ) {
    this.#socketFd = socketFd;
    this.#events = events;
    this.identities = identities;
    identities.join(this);
  }

  /** Takes note that a guest changed a file through this Gofer. */
  changed(): void {
    this.#changes += 1;
    this.identities.changes += 1;
  }

  /**
   * The number of changes through other Gofers so far. What was learned before the last of them may
   * be outdated.
   */
  get foreignChanges(): number {
    return this.identities.changes - this.#changes;
  }

  /**
   * Closes the connection when its container has ended. Files that are still open answer EIO from
   * then on.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.identities.leave(this);
    this.#dropFd();
    this.watches.stop();
    native.close(this.#socketFd);
  }

  attach(index: number): Result<Attached> {
    return this.#ask(operations.attach, { index });
  }

  walk(id: number, path: string): Walked {
    const walked = this.#ask(operations.walk, { id, path });
    if (isErrno(walked)) return { watch: 0, entries: [], errno: walked };
    const { watch, entries, ended } = walked;
    return { watch, entries, errno: ended };
  }

  list(id: number, goesOn: boolean): Result<ListedPart> {
    return this.#ask(operations.list, { id, goesOn });
  }

  listTree(request: RequestOf<typeof operations.listTree>): Result<ListedTree> {
    return this.#ask(operations.listTree, request);
  }

  /** Opens a file. The descriptor belongs to the caller. */
  open(place: Place, mode: number): Result<OpenedHost> {
    const opened = this.#askForFd(operations.open, { place, mode });
    if (opened !== ENFILE || !this.#closeIdle()) return opened;
    return this.#askForFd(operations.open, { place, mode });
  }

  /** Opens files for reading. The descriptors belong to the caller. */
  openMany(id: number, path: string, names: readonly string[]): Result<OpenedHosts> {
    return this.#askForFds(operations.openMany, { id, path, names });
  }

  statfs(id: number): Result<HostStatus> {
    return this.#ask(operations.statfs, { id });
  }

  getAttributes(id: number, name: string): Result<HostAttributes> {
    return attributesOf(this.#ask(operations.getAttributes, { id, name }));
  }

  create(request: RequestOf<typeof operations.create>): Result<CreatedHost> {
    return this.#askForFd(operations.create, request);
  }

  makeDirectory(request: RequestOf<typeof operations.makeDirectory>): Result<MadeDirectory> {
    return this.#ask(operations.makeDirectory, request);
  }

  makeNode(request: RequestOf<typeof operations.makeNode>): Result<HostEntry> {
    return entryOf(this.#ask(operations.makeNode, request));
  }

  symlink(request: RequestOf<typeof operations.symlink>): Result<HostEntry> {
    return entryOf(this.#ask(operations.symlink, request));
  }

  remove(id: number, name: string, isDirectory: boolean): SysResult {
    return resultOf(this.#ask(operations.remove, { id, name, isDirectory }));
  }

  rename(id: number, name: string, newId: number, newName: string, flags: number): SysResult {
    return resultOf(this.#ask(operations.rename, { id, name, newId, newName, flags }));
  }

  link(place: Place, newId: number, newName: string): SysResult {
    return resultOf(this.#ask(operations.link, { place, newId, newName }));
  }

  setAttributes(place: Place, change: AttributeChange): Result<HostAttributes> {
    const { mode, uid, gid, sizeBytes, atime, mtime } = change;
    let mask = 0;
    if (mode !== undefined) mask |= CHANGE.mode;
    if (uid !== undefined || gid !== undefined) mask |= CHANGE.owner;
    if (sizeBytes !== undefined) mask |= CHANGE.size;
    if (atime !== undefined) mask |= CHANGE.atime;
    if (mtime !== undefined) mask |= CHANGE.mtime;
    const request = {
      place,
      mask,
      mode: mode ?? 0,
      uid: uid ?? UNCHANGED_ID,
      gid: gid ?? UNCHANGED_ID,
      size: sizeBytes ?? 0,
      atime: atime ?? NO_TIME,
      mtime: mtime ?? NO_TIME,
    };
    return attributesOf(this.#ask(operations.setAttributes, request));
  }

  getXattr(place: Place, attribute: string): Result<Uint8Array> {
    const got = this.#ask(operations.getXattr, { place, attribute });
    return isErrno(got) ? got : got.value;
  }

  listXattr(place: Place): Result<Uint8Array> {
    const listed = this.#ask(operations.listXattr, { place });
    return isErrno(listed) ? listed : listed.names;
  }

  setXattr(place: Place, attribute: string, value: Uint8Array, flags: number): SysResult {
    return resultOf(this.#ask(operations.setXattr, { place, attribute, value, flags }));
  }

  removeXattr(place: Place, attribute: string): SysResult {
    return resultOf(this.#ask(operations.removeXattr, { place, attribute }));
  }

  /**
   * Asks for an id that stands for a file which is about to lose its name; requests about it use
   * the name ''.
   */
  hold(id: number, name: string): SysResult {
    const held = this.#ask(operations.hold, { id, name });
    return isErrno(held) ? held : held.heldId;
  }

  createUnnamed(request: RequestOf<typeof operations.createUnnamed>): Result<UnnamedHost> {
    return this.#askForFd(operations.createUnnamed, request);
  }

  linkHeld(heldId: number, newId: number, newName: string): SysResult {
    return resultOf(this.#ask(operations.linkHeld, { heldId, newId, newName }));
  }

  /** The attach point is read-only from now on. */
  freeze(index: number): void {
    this.#tell(operations.freeze, { index });
  }

  /**
   * Tells that files which others change too are in use. After enough requests it pays to watch
   * directories.
   */
  shareFiles(): void {
    if (this.requests < this.#watchesDueAt || this.watches.isOn || this.#isClosed) return;
    // Where watching is refused (EMFILE: the user has too many inotify instances) it is tried again
    // later.
    this.#watchesDueAt = this.requests + 50 * REQUESTS_BEFORE_WATCHES;
    const started = this.#askForFd(operations.startWatching, {});
    if (isErrno(started)) {
      if (started === EOPNOTSUPP) this.#watchesDueAt = Number.POSITIVE_INFINITY;
      return;
    }
    this.watches.start(started.fd);
    this.#events.watching(this);
  }

  /** Stops watching directories, until `shareFiles` finds that it pays again. */
  stopWatches(): void {
    this.watches.stop();
    this.#watchesDueAt = this.requests + REQUESTS_BEFORE_WATCHES;
    this.#tell(operations.stopWatching, {});
  }

  forget(id: number): void {
    this.#tell(operations.forget, { id });
  }

  #tell<Q>(operation: Unanswered<Q>, request: Q): void {
    this.#send(operation, request);
  }

  #ask<Q, R extends object>(operation: Answered<Q, R>, request: Q): Result<R> {
    const result = this.#call(operation, request);
    if (isErrno(result)) return result;
    return operation.reply.decode(this.#reply) ?? this.#lost(MALFORMED);
  }

  /** Closes the descriptors that no guest uses right now. Returns whether there were any. */
  #closeIdle(): boolean {
    let count = 0;
    for (const filesystem of this.filesystems) count += filesystem.closeIdle();
    return count > 0;
  }

  /**
   * Makes a call whose reply comes with a descriptor, which belongs to the caller from here on.
   * ENFILE: the Sentry may have no more descriptors.
   */
  #askForFd<Q, R extends object>(
    operation: Passing<Q, R>,
    request: Q,
  ): Result<R & { readonly fd: number }> {
    const result = this.#call(operation, request);
    if (isErrno(result)) return result;
    const reply = operation.reply.decode(this.#reply);
    if (reply !== undefined && this.#fds[0] === NONE_LEFT) return ENFILE;
    if (reply === undefined || this.#fds[0] !== 1)
      return this.#lost('a reply without its descriptor');
    this.#fds[0] = 0;
    return { ...reply, fd: this.#fds[1] as number };
  }

  /** The same with a descriptor for each element of the reply's list. */
  #askForFds<Q, R extends { readonly opened: readonly unknown[] }>(
    operation: PassingMany<Q, R>,
    request: Q,
  ): Result<R & { readonly fds: readonly number[] }> {
    const result = this.#call(operation, request);
    if (isErrno(result)) return result;
    const reply = operation.reply.decode(this.#reply);
    if (reply !== undefined && this.#fds[0] === NONE_LEFT) return ENFILE;
    if (reply === undefined || this.#fds[0] !== reply.opened.length)
      return this.#lost('a reply without its descriptors');
    this.#fds[0] = 0;
    return { ...reply, fds: [...this.#fds.subarray(1, 1 + reply.opened.length)] };
  }

  /**
   * Sends the request and waits for the reply. Returns 0, and the reader stands at the reply's
   * fields, or an errno.
   */
  #call<Q>(operation: Asked<Q>, request: Q): SysResult {
    const { work } = this.#events;
    if (work === undefined) return this.#exchange(operation, request);
    const beganNs = work.nowNs();
    const result = this.#exchange(operation, request);
    work.goferRequests += 1;
    work.goferNs += work.nowNs() - beganNs;
    return result;
  }

  #exchange<Q>(operation: Asked<Q>, request: Q): SysResult {
    if (this.#isClosed) return EIO;
    this.requests += 1;
    this.#dropFd();
    const sent = this.#send(operation, request);
    if (isErrno(sent)) return this.#lost(errnoName(sent));
    for (;;) {
      const length = native.recvMessage(this.#socketFd, this.#reply.bytes, this.#fds, 0);
      if (length === EINTR) continue;
      if (length === 0) return this.#lost('it closed its socket');
      if (isErrno(length)) return this.#lost(errnoName(length));
      const result = this.#reply.start(length).i32();
      const isSound =
        isEnding(result) && (result === 0 ? !this.#reply.bad : this.#reply.isComplete);
      return isSound ? result : this.#lost(MALFORMED);
    }
  }

  #lost(reason: string): Errno {
    const { died } = this.#events;
    if (died === undefined) throw new GoferDied(reason);
    this.close();
    died();
    return EIO;
  }

  /**
   * Sends the request. After `close` nothing is sent: the descriptor's number may be in use for
   * another file.
   */
  #send<Q>(operation: Asked<Q>, values: Q): SysResult {
    if (this.#isClosed) return EIO;
    const request = this.#request.reset().u32(requestHead(operation.number, native.currentCpu()));
    operation.request.encode(request, values);
    for (;;) {
      const sent = native.sendMessage(
        this.#socketFd,
        request.bytes,
        request.length,
        undefined,
        0,
        0,
      );
      if (sent !== EINTR) return sent;
    }
  }

  /** Closes descriptors that came with a reply and were not asked for. */
  #dropFd(): void {
    for (let left = this.#fds[0] as number; left > 0; left -= 1)
      native.close(this.#fds[left] as number);
    this.#fds[0] = 0;
  }
}

function attributesOf(
  reply: Result<{ readonly attributes: HostAttributes }>,
): Result<HostAttributes> {
  return isErrno(reply) ? reply : reply.attributes;
}

function entryOf(reply: Result<{ readonly entry: HostEntry }>): Result<HostEntry> {
  return isErrno(reply) ? reply : reply.entry;
}

/** Returns the result of an operation whose reply has no fields: 0 or an errno. */
function resultOf(reply: Result<object>): SysResult {
  return isErrno(reply) ? reply : 0;
}
