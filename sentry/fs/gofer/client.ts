// The Sentry's end of the Gofer protocol: one blocking request at a time. Owners are the host's here. A Gofer that is gone or talks nonsense
// ends the sandbox (GoferDied): without its files no guest can go on.
import {
  EINTR,
  EIO,
  EOPNOTSUPP,
  type Errno,
  errnoName,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  CHANGE,
  type HostAttributes,
  type HostEntry,
  MessageReader,
  MessageWriter,
  OP,
  REPLY_BYTES,
  REQUEST_BYTES,
} from '../../../gofer/protocol.ts';
import { native } from '../../../native/addon.ts';
import type { AttributeChange, NewNode } from '../../vfs/node.ts';
import type { GoferFileSystem } from './filesystem.ts';
import { GoferDied } from './gofer-died.ts';
import { HostWatches } from './host-watches.ts';
import { SharedIdentities } from './shared-identities.ts';

export interface Attached {
  readonly id: number;
  readonly readOnly: boolean;
  readonly attributes: HostAttributes;
}

export interface Walked {
  /** Watch of the directory that the walk began at; 0: none. */
  readonly watch: number;
  readonly entries: HostEntry[];
  /** Why the walk ended before the last name; 0 if it did not, or at a link or file. */
  readonly errno: SysResult;
}

export interface ListedPart {
  /** From before the names were read; 0: none. */
  readonly watch: number;
  readonly names: string[];
  readonly attributes: HostAttributes[];
  /** Ask for the next part at once: the Gofer remembers one listing. */
  readonly more: boolean;
}

export interface OpenedHost {
  readonly attributes: HostAttributes;
  readonly fd: number;
}

export interface MadeDirectory extends HostEntry {
  /** There was no name in it when its watch was there. */
  readonly isEmpty: boolean;
}

export interface UnnamedHost extends OpenedHost {
  readonly heldId: number;
}

/**
 * What a request is about: an id of the Gofer's, a name there, and the inode number that the file must still have, as
 * the name may be another's by now.
 */
export type Place = readonly [id: number, name: string, ino: number];

const MALFORMED = 'a malformed reply';

/** chown(2): leave it as it is. */
const UNCHANGED = 0xffff_ffff;
/** Requests after which directories are watched: what only starts and serves has no need, and instances are few. */
const REQUESTS_BEFORE_WATCHES = 200;

export class GoferClient {
  readonly #socketFd: number;
  readonly #request = new MessageWriter(REQUEST_BYTES);
  readonly #reply = new MessageReader(REPLY_BYTES);
  readonly #fds = new Int32Array(2);
  /** Requests so far, for tests and statistics. */
  requests = 0;
  /**
   * Who is told that the Gofer has gone, instead of that being the sandbox's end: it was that of one container among
   * others, whose files all answer EIO from then on.
   */
  died: (() => void) | undefined = undefined;
  #isClosed = false;

  /** What it shares with other Gofers of the sandbox. */
  readonly identities: SharedIdentities;
  /** Its trees. */
  readonly filesystems: Set<GoferFileSystem> = new Set();
  #changes = 0;
  readonly watches: HostWatches = new HostWatches((reason) => {
    this.#lost(reason);
  });
  /** Told when watches begin: somebody has to look whether they are still used. */
  watching: (() => void) | undefined = undefined;
  #watchesDueAt = REQUESTS_BEFORE_WATCHES;

  constructor(socketFd: number, identities: SharedIdentities = new SharedIdentities()) {
    this.#socketFd = socketFd;
    this.identities = identities;
    identities.join(this);
  }

  /** A guest changed a file through this Gofer. */
  changed(): void {
    this.#changes += 1;
    this.identities.changes += 1;
  }

  /** Changes through other Gofers so far: what was learned before the last of them may be old. */
  get foreignChanges(): number {
    return this.identities.changes - this.#changes;
  }

  /** Its container has ended: what is still open of its files answers EIO. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.identities.leave(this);
    this.#dropFd();
    this.watches.stop();
    native.close(this.#socketFd);
  }

  attach(index: number): Result<Attached> {
    this.#start(OP.attach).u32(index);
    const result = this.#call();
    if (isErrno(result)) return result;
    const reply = this.#reply;
    return this.#checked({
      id: reply.u32(),
      readOnly: reply.u32() !== 0,
      attributes: reply.attributes(),
    });
  }

  walk(id: number, path: string): Walked {
    this.#start(OP.walk).u32(id).text(path);
    const errno = this.#call();
    const entries: HostEntry[] = [];
    if (isErrno(errno) && this.#reply.isComplete) return { watch: 0, entries, errno };
    const watch = this.#reply.u32();
    const count = this.#reply.u32();
    for (let index = 0; index < count && !this.#reply.bad; index += 1)
      entries.push(this.#reply.entry());
    const walked = this.#checked({ watch, entries, errno });
    return isErrno(walked) ? { watch: 0, entries: [], errno: walked } : walked;
  }

  list(id: number, goesOn: boolean): Result<ListedPart> {
    this.#start(OP.list)
      .u32(id)
      .u32(goesOn ? 1 : 0);
    const result = this.#call();
    if (isErrno(result)) return result;
    const reply = this.#reply;
    const watch = reply.u32();
    const more = reply.u32() !== 0;
    const count = reply.u32();
    const names: string[] = [];
    const attributes: HostAttributes[] = [];
    for (let index = 0; index < count && !reply.bad; index += 1) {
      names.push(reply.text());
      attributes.push(reply.attributes());
    }
    return this.#checked({ watch, names, attributes, more });
  }

  /** The descriptor belongs to the caller. */
  open(place: Place, mode: number): Result<OpenedHost> {
    this.#startAt(OP.open, place).u32(mode);
    const result = this.#call();
    return isErrno(result) ? result : this.#withFd({ attributes: this.#reply.attributes() });
  }

  statfs(id: number): Result<number[]> {
    this.#start(OP.statfs).u32(id);
    const result = this.#call();
    if (isErrno(result)) return result;
    const values: number[] = [];
    for (let index = 0; index < 8; index += 1) values.push(this.#reply.f64());
    return this.#checked(values);
  }

  getAttributes(id: number, name: string): Result<HostAttributes> {
    this.#start(OP.getAttributes).u32(id).text(name);
    const result = this.#call();
    return isErrno(result) ? result : this.#checked(this.#reply.attributes());
  }

  create(
    id: number,
    name: string,
    mode: number,
    uid: number,
    gid: number,
  ): Result<HostEntry & { readonly fd: number }> {
    this.#start(OP.create).u32(id).text(name).u32(mode).u32(uid).u32(gid);
    const result = this.#call();
    return isErrno(result) ? result : this.#withFd(this.#reply.entry());
  }

  makeDirectory(
    id: number,
    name: string,
    mode: number,
    uid: number,
    gid: number,
  ): Result<MadeDirectory> {
    this.#start(OP.makeDirectory).u32(id).text(name).u32(mode).u32(uid).u32(gid);
    const result = this.#call();
    if (isErrno(result)) return result;
    return this.#checked({ ...this.#reply.entry(), isEmpty: this.#reply.u32() === 1 });
  }

  makeNode(id: number, name: string, as: NewNode, rdev: number): Result<HostEntry> {
    this.#start(OP.makeNode).u32(id).text(name).u32(as.mode).u32(as.uid).u32(as.gid).u32(rdev);
    return this.#entry();
  }

  symlink(id: number, name: string, uid: number, gid: number, target: string): Result<HostEntry> {
    this.#start(OP.symlink).u32(id).text(name).u32(uid).u32(gid).text(target);
    return this.#entry();
  }

  remove(id: number, name: string, isDirectory: boolean): SysResult {
    this.#start(OP.remove)
      .u32(id)
      .text(name)
      .u32(isDirectory ? 1 : 0);
    return this.#call();
  }

  rename(id: number, name: string, newId: number, newName: string, flags: number): SysResult {
    this.#start(OP.rename).u32(id).text(name).u32(newId).text(newName).u32(flags);
    return this.#call();
  }

  link(place: Place, newId: number, newName: string): SysResult {
    this.#startAt(OP.link, place).u32(newId).text(newName);
    return this.#call();
  }

  setAttributes(place: Place, change: AttributeChange): Result<HostAttributes> {
    const { mode, uid, gid, sizeBytes, atime, mtime } = change;
    let mask = 0;
    if (mode !== undefined) mask |= CHANGE.mode;
    if (uid !== undefined || gid !== undefined) mask |= CHANGE.owner;
    if (sizeBytes !== undefined) mask |= CHANGE.size;
    if (atime !== undefined) mask |= CHANGE.atime;
    if (mtime !== undefined) mask |= CHANGE.mtime;
    this.#startAt(OP.setAttributes, place)
      .u32(mask)
      .u32(mode ?? 0)
      .u32(uid ?? UNCHANGED)
      .u32(gid ?? UNCHANGED)
      .f64(sizeBytes ?? 0);
    this.#request
      .f64(atime?.sec ?? 0)
      .u32(atime?.nsec ?? 0)
      .f64(mtime?.sec ?? 0)
      .u32(mtime?.nsec ?? 0);
    const result = this.#call();
    return isErrno(result) ? result : this.#checked(this.#reply.attributes());
  }

  getXattr(place: Place, attribute: string): Result<Uint8Array> {
    this.#startAt(OP.getXattr, place).text(attribute);
    return this.#blob();
  }

  listXattr(place: Place): Result<Uint8Array> {
    this.#startAt(OP.listXattr, place);
    return this.#blob();
  }

  setXattr(place: Place, attribute: string, value: Uint8Array, flags: number): SysResult {
    this.#startAt(OP.setXattr, place).text(attribute).blob(value).u32(flags);
    return this.#call();
  }

  removeXattr(place: Place, attribute: string): SysResult {
    this.#startAt(OP.removeXattr, place).text(attribute);
    return this.#call();
  }

  /** A file that is about to lose its name: an id that stands for it, with the name ''. */
  hold(id: number, name: string): SysResult {
    this.#start(OP.hold).u32(id).text(name);
    const result = this.#call();
    if (isErrno(result)) return result;
    const held = this.#reply.u32();
    return this.#reply.isComplete ? held : this.#lost(MALFORMED);
  }

  createUnnamed(id: number, mode: number, uid: number, gid: number): Result<UnnamedHost> {
    this.#start(OP.createUnnamed).u32(id).u32(mode).u32(uid).u32(gid);
    const result = this.#call();
    if (isErrno(result)) return result;
    return this.#withFd({ attributes: this.#reply.attributes(), heldId: this.#reply.u32() });
  }

  linkHeld(heldId: number, newId: number, newName: string): SysResult {
    this.#start(OP.linkHeld).u32(heldId).u32(newId).text(newName);
    return this.#call();
  }

  /** The attach point is read-only from now on. Not answered. */
  freeze(index: number): void {
    this.#start(OP.freeze).u32(index);
    this.#send();
  }

  /** Files that others change too are in use: it may pay to watch them. */
  shareFiles(): void {
    if (this.requests < this.#watchesDueAt || this.watches.isOn || this.#isClosed) return;
    // Where it cannot be (EMFILE: the user has too many instances), it may be later.
    this.#watchesDueAt = this.requests + 50 * REQUESTS_BEFORE_WATCHES;
    this.#start(OP.watch).u32(1);
    const result = this.#call();
    if (result === EOPNOTSUPP) this.#watchesDueAt = Number.POSITIVE_INFINITY;
    if (isErrno(result)) return;
    const passed = this.#withFd({});
    if (isErrno(passed)) return;
    this.watches.start(passed.fd);
    this.watching?.();
  }

  /** Until they are wanted again. */
  stopWatches(): void {
    this.watches.stop();
    this.#watchesDueAt = this.requests + REQUESTS_BEFORE_WATCHES;
    if (this.#isClosed) return;
    this.#start(OP.watch).u32(0);
    this.#send();
  }

  /** Not answered. */
  forget(id: number): void {
    this.#start(OP.forget).u32(id);
    this.#send();
  }

  #start(operation: number): MessageWriter {
    return this.#request.reset().u32(operation);
  }

  #startAt(operation: number, [id, name, ino]: Place): MessageWriter {
    return this.#start(operation).u32(id).text(name).f64(ino);
  }

  #entry(): Result<HostEntry> {
    const result = this.#call();
    return isErrno(result) ? result : this.#checked(this.#reply.entry());
  }

  #blob(): Result<Uint8Array> {
    const result = this.#call();
    return isErrno(result) ? result : this.#checked(this.#reply.blob(REPLY_BYTES));
  }

  /** Sends the request, waits for the reply, answers its result; the reply's fields come next. */
  #call(): SysResult {
    if (this.#isClosed) return this.#failed();
    this.requests += 1;
    this.#dropFd();
    const sent = this.#send();
    if (isErrno(sent)) return this.#lost(errnoName(sent));
    for (;;) {
      const length = native.recvMessage(this.#socketFd, this.#reply.bytes, this.#fds, 0);
      if (length === EINTR) continue;
      if (length === 0) return this.#lost('it closed its socket');
      if (isErrno(length)) return this.#lost(errnoName(length));
      const result = this.#reply.start(length).i32();
      return this.#reply.bad || result > 0 || result < -4095 ? this.#lost(MALFORMED) : result;
    }
  }

  #lost(reason: string): Errno {
    const { died } = this;
    if (died === undefined) throw new GoferDied(reason);
    this.close();
    died();
    return this.#failed();
  }

  /** As a reply with nothing but this errno. */
  #failed(): Errno {
    this.#reply.start(0);
    return EIO;
  }

  /** Where it is closed the descriptor's number is another's by now. */
  #send(): SysResult {
    if (this.#isClosed) return EIO;
    for (;;) {
      const sent = native.sendMessage(
        this.#socketFd,
        this.#request.bytes,
        this.#request.length,
        undefined,
        0,
        0,
      );
      if (sent !== EINTR) return sent;
    }
  }

  /** What came with the descriptor of this reply, which is the caller's from here on. */
  #withFd<T extends object>(value: T): Result<T & { readonly fd: number }> {
    if (!this.#reply.isComplete || this.#fds[0] !== 1)
      return this.#lost('a reply without its descriptor');
    this.#fds[0] = 0;
    return { ...value, fd: this.#fds[1] as number };
  }

  /** One that came with a reply and was not asked for. */
  #dropFd(): void {
    if (this.#fds[0] === 1) native.close(this.#fds[1] as number);
    this.#fds[0] = 0;
  }

  #checked<T extends object>(value: T): Result<T> {
    return this.#reply.isComplete ? value : this.#lost(MALFORMED);
  }
}
