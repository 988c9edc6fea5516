// The Gofer's main loop: takes a request, does it on the host tree, answers. One request at a time, blocking;
// ends when the Sentry closes its side.
import {
  EACCES,
  EAGAIN,
  EBADF,
  ECONNRESET,
  EINTR,
  EINVAL,
  EISDIR,
  ENOENT,
  EPIPE,
  EROFS,
  isErrno,
  type Result,
  type SysResult,
} from '../abi/errno.ts';
import {
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from '../abi/fcntl.ts';
import { dirent64Layout } from '../abi/fs.ts';
import { MSG_DONTWAIT } from '../abi/socket.ts';
import { S_IFMT, S_IFREG } from '../abi/stat.ts';
import { native } from '../native/addon.ts';
import type { MemoryTrim } from '../native/memory-trim.ts';
import { type AttachPoint, type HostDirectory, HostTree, type TreeOptions } from './host-tree.ts';
import { MAY_EXECUTE, MAY_READ, MAY_WRITE, mayMake, mayUse, rightsTo } from './owners.ts';
import {
  ATTRIBUTES_BYTES,
  FIRST_HELD,
  type HostEntry,
  isEntryName,
  MessageReader,
  MessageWriter,
  OP,
  REPLY_BYTES,
  REQUEST_BYTES,
  WALK_MAX,
} from './protocol.ts';
import {
  changeAttributes,
  linkEntry,
  makeDirectory,
  makeNode,
  makeSymlink,
  removeEntry,
  renameEntry,
} from './server-changes.ts';
import {
  entryOf,
  firstMode,
  type GoferContext,
  madeFor,
  openTarget,
  type Target,
} from './server-context.ts';
import { createUnnamed, hold, linkHeld } from './server-held.ts';
import { getXattr, listXattr, removeXattr, setXattr } from './server-xattr.ts';

export interface GoferOptions extends TreeOptions {
  /** SEQPACKET socket to the Sentry. */
  readonly socketFd: number;
  readonly attachPoints: readonly AttachPoint[];
  /** What it does when nothing has been asked for a while. */
  readonly memoryTrim?: MemoryTrim;
}

type Operation = (context: GoferContext) => SysResult;

const operations = new Map<number, Operation>([
  [OP.walk, walk],
  [OP.list, list],
  [OP.open, open],
  [OP.statfs, statfs],
  [OP.getAttributes, getAttributes],
  [OP.create, create],
  [OP.makeDirectory, makeDirectory],
  [OP.remove, removeEntry],
  [OP.rename, renameEntry],
  [OP.link, linkEntry],
  [OP.symlink, makeSymlink],
  [OP.makeNode, makeNode],
  [OP.setAttributes, changeAttributes],
  [OP.hold, hold],
  [OP.createUnnamed, createUnnamed],
  [OP.linkHeld, linkHeld],
  [OP.getXattr, getXattr],
  [OP.listXattr, listXattr],
  [OP.setXattr, setXattr],
  [OP.removeXattr, removeXattr],
]);

/** Serves until the socket is closed. Answers 0, or the errno that ended it. */
export function runGofer(options: GoferOptions): number {
  return new GoferServer(options).run();
}

class GoferServer implements GoferContext {
  readonly tree: HostTree;
  readonly request = new MessageReader(REQUEST_BYTES);
  readonly reply = new MessageWriter(REPLY_BYTES);
  readonly #options: GoferOptions;
  readonly #fds = new Int32Array(1);
  #passed = -1;

  constructor(options: GoferOptions) {
    this.#options = options;
    this.tree = new HostTree(options);
  }

  run(): number {
    const { socketFd } = this.#options;
    for (;;) {
      const length = native.recvMessage(socketFd, this.request.bytes, undefined, MSG_DONTWAIT);
      if (length === EAGAIN) {
        this.#awaitRequest();
        continue;
      }
      if (length === 0 || length === ECONNRESET) return 0;
      if (length === EINTR) continue;
      if (isErrno(length)) return length;
      const answered = this.#answer(length);
      if (isErrno(answered)) return answered === EPIPE || answered === ECONNRESET ? 0 : answered;
    }
  }

  #awaitRequest(): void {
    const { socketFd, memoryTrim } = this.#options;
    const quietNs = memoryTrim?.quietNs ?? Number.POSITIVE_INFINITY;
    const milliseconds = quietNs === Number.POSITIVE_INFINITY ? -1 : quietNs / 1e6;
    if (native.awaitInput(socketFd, milliseconds) === 0) memoryTrim?.trim();
    else memoryTrim?.disturb();
  }

  passFd(fd: number): void {
    this.#passed = fd;
  }

  directory(): HostDirectory | undefined {
    return this.tree.get(this.request.u32());
  }

  target(): Target {
    const id = this.request.u32();
    const name = this.request.text();
    const ino = this.request.f64();
    const held = id > FIRST_HELD && name === '' ? this.tree.heldFile(id) : undefined;
    return { directory: this.tree.get(id), held, name, ino };
  }

  #answer(length: number): SysResult {
    const operation = this.request.start(length).u32();
    // Nobody waits for the answer to this one.
    if (operation === OP.forget) {
      this.tree.forget(this.request.u32());
      return 0;
    }
    if (operation === OP.freeze) {
      this.tree.freeze(this.request.u32());
      return 0;
    }
    if (operation === OP.watch && this.request.u32() === 0) {
      this.tree.watches.stop();
      return 0;
    }
    this.#passed = -1;
    this.reply.reset().i32(0);
    const result = this.#operate(operation);
    this.reply.i32At(0, result);
    const count = this.#passed >= 0 ? 1 : 0;
    this.#fds[0] = this.#passed;
    const sent = native.sendMessage(
      this.#options.socketFd,
      this.reply.bytes,
      this.reply.length,
      this.#fds,
      count,
      0,
    );
    if (this.#passed >= 0) native.close(this.#passed);
    this.tree.requestEnds();
    return Math.min(sent, 0);
  }

  #operate(operation: number): SysResult {
    if (operation === OP.attach) return this.#attach();
    if (operation === OP.watch) return this.#startWatching();
    return operations.get(operation)?.(this) ?? EINVAL;
  }

  #startWatching(): SysResult {
    if (!this.request.isComplete) return EINVAL;
    const fd = this.tree.watches.start();
    if (isErrno(fd)) return fd;
    const passed = native.dup(fd);
    if (isErrno(passed)) return passed;
    this.passFd(passed);
    return 0;
  }

  #attach(): SysResult {
    const index = this.request.u32();
    const point = this.#options.attachPoints[index];
    if (!this.request.isComplete || point === undefined) return EINVAL;
    const directory = this.tree.attach(point, index);
    if (isErrno(directory)) return directory;
    const attributes = this.tree.statFd(point.fd);
    if (isErrno(attributes)) return attributes;
    this.reply
      .u32(directory.id)
      .u32(point.readOnly ? 1 : 0)
      .attributes(attributes);
    return 0;
  }
}

/** Stops at the first entry that is missing, no directory, or a link: the Sentry follows links itself. */
function walk(context: GoferContext): SysResult {
  const { request, reply } = context;
  const start = context.directory();
  const names = request.text().split('/');
  if (!request.isComplete || names.length > WALK_MAX || !names.every(isEntryName)) return EINVAL;
  if (start === undefined) return EBADF;
  context.tree.watch(start);
  reply.u32(start.watch);
  const countAt = reply.length;
  reply.u32(0);
  let at = start;
  let count = 0;
  let result = mayUse(context.tree, start, MAY_EXECUTE);
  for (const name of isErrno(result) ? [] : names) {
    const entry = step(context.tree, at, name);
    if (isErrno(entry)) {
      result = entry;
      break;
    }
    if (reply.room < ATTRIBUTES_BYTES + 10 + entry.target.length) break;
    reply.entry(entry);
    count += 1;
    const next = entry.id === 0 ? undefined : context.tree.get(entry.id);
    if (next === undefined) break;
    if ((rightsTo(next, entry.attributes) & MAY_EXECUTE) === 0) {
      result = count < names.length ? EACCES : 0;
      break;
    }
    at = next;
  }
  reply.i32At(countAt, count);
  return result;
}

function step(tree: HostTree, directory: HostDirectory, name: string): Result<HostEntry> {
  if (directory.sealed) return ENOENT;
  const attributes = tree.stat(directory, name);
  return isErrno(attributes) ? attributes : entryOf(tree, directory, name, attributes);
}

const direntBytes = Buffer.alloc(32 * 1024);
const direntView = new DataView(direntBytes.buffer, direntBytes.byteOffset, direntBytes.length);

/** The directory being listed: a listing's parts are asked for one after the other. */
interface Listing {
  readonly id: number;
  readonly fd: number;
  /** What of direntBytes was not answered yet. */
  at: number;
  filled: number;
}
let listing: Listing | undefined;

/** Entries with their attributes, as many as fit. */
function list(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const goesOn = request.u32() !== 0;
  if (!request.isComplete) return EINVAL;
  if (directory === undefined) return EBADF;
  const listed = mayUse(tree, directory, MAY_READ);
  if (isErrno(listed)) return listed;
  tree.watch(directory);
  reply.u32(directory.watch);
  const headAt = reply.length;
  reply.u32(0).u32(0);
  if (directory.sealed) return 0;
  const current = goesOn ? listing : startListing(tree, directory);
  if (isErrno(current)) return current;
  if (current === undefined || current.id !== directory.id) return EINVAL;
  const { count, more } = listInto(context, current);
  if (!more) endListing();
  reply.i32At(headAt, more ? 1 : 0);
  reply.i32At(headAt + 4, count);
  return 0;
}

function startListing(tree: HostTree, directory: HostDirectory): Result<Listing> {
  endListing();
  const parentFd = tree.fdOf(directory);
  const fd = isErrno(parentFd)
    ? parentFd
    : native.openat2(parentFd, '.', O_RDONLY | O_DIRECTORY, 0, 0);
  if (isErrno(fd)) return fd;
  listing = { id: directory.id, fd, at: 0, filled: 0 };
  return listing;
}

function endListing(): void {
  if (listing !== undefined) native.close(listing.fd);
  listing = undefined;
}

function listInto(
  { tree, reply }: GoferContext,
  state: Listing,
): { readonly count: number; readonly more: boolean } {
  let count = 0;
  for (;;) {
    if (state.at >= state.filled) {
      state.at = 0;
      state.filled = native.getdents64(state.fd, direntBytes);
      if (state.filled <= 0) return { count, more: false };
    }
    const name = direntName(state.at);
    if (reply.room < ATTRIBUTES_BYTES + 2 + name.length + 64) return { count, more: true };
    state.at += direntView.getUint16(state.at + dirent64Layout.at.reclen, true);
    if (name === '.' || name === '..') continue;
    const attributes = tree.statAt(state.fd, name);
    if (isErrno(attributes)) continue; // Gone meanwhile, or not ours to see.
    reply.text(name).attributes(attributes);
    count += 1;
  }
}

function direntName(at: number): string {
  const start = at + dirent64Layout.at.name;
  return direntBytes.toString('latin1', start, direntBytes.indexOf(0, start));
}

/** Regular files and directories only, and never by their name: a device must not even be opened. */
function open(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const target = context.target();
  const { directory, name } = target;
  const mode = request.u32();
  if (
    !request.isComplete ||
    (name !== '' && !isEntryName(name)) ||
    (mode !== O_RDONLY && mode !== O_RDWR)
  )
    return EINVAL;
  const place = target.held ?? directory;
  if (place === undefined) return EBADF;
  if (place.readOnly && (mode & O_ACCMODE) !== O_RDONLY) return EROFS;
  if (directory?.sealed === true) return EACCES;
  const fd = openAllowed(tree, target, mode);
  if (isErrno(fd)) return fd;
  const attributes = tree.statFd(fd);
  // A directory's descriptor would be a way past this process: it is never passed.
  if (isErrno(attributes) || (attributes.mode & S_IFMT) !== S_IFREG) {
    native.close(fd);
    return isErrno(attributes) ? attributes : EISDIR;
  }
  reply.attributes(attributes);
  context.passFd(fd);
  return 0;
}

/** What is open for both is open for writing alone where the container may not read it. */
function openAllowed(tree: HostTree, target: Target, mode: number): SysResult {
  const { held, directory } = target;
  const place = held ?? directory;
  if (place?.owners === undefined) return openTarget(tree, target, mode);
  if (held === undefined && directory !== undefined && target.name !== '') {
    const found = mayUse(tree, directory, MAY_EXECUTE);
    if (isErrno(found)) return found;
  }
  const fd = openTarget(tree, target, O_RDONLY);
  if (isErrno(fd)) return fd;
  const attributes = tree.statFd(fd);
  if (isErrno(attributes)) {
    native.close(fd);
    return attributes;
  }
  const rights = rightsTo(place, attributes);
  // A program that may be executed has to be read for it.
  const reads = (rights & (MAY_READ | MAY_EXECUTE)) !== 0;
  let opened: SysResult = fd;
  if (mode === O_RDONLY) opened = reads ? fd : EACCES;
  else if ((rights & MAY_WRITE) === 0) opened = EACCES;
  else opened = native.reopen(fd, ((rights & MAY_READ) === 0 ? O_WRONLY : mode) | O_NONBLOCK);
  if (opened !== fd) native.close(fd);
  return opened;
}

const statfsValues = new Float64Array(8);

function statfs(context: GoferContext): SysResult {
  const directory = context.directory();
  if (!context.request.isComplete) return EINVAL;
  if (directory === undefined) return EBADF;
  const fd = context.tree.fdOf(directory);
  if (isErrno(fd)) return fd;
  const done = native.fstatfs(fd, statfsValues);
  if (isErrno(done)) return done;
  for (const value of statfsValues)
    context.reply.f64(Number.isSafeInteger(value) ? value : Number.MAX_SAFE_INTEGER);
  return 0;
}

function getAttributes(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const name = request.text();
  if (!request.isComplete || (name !== '' && !isEntryName(name))) return EINVAL;
  if (directory === undefined) return EBADF;
  if (directory.sealed) return name === '' ? EACCES : ENOENT;
  const found = name === '' ? 0 : mayUse(tree, directory, MAY_EXECUTE);
  if (isErrno(found)) return found;
  const attributes = tree.stat(directory, name);
  if (isErrno(attributes)) return attributes;
  reply.attributes(attributes);
  return 0;
}

function create(context: GoferContext): SysResult {
  const { tree, request, reply } = context;
  const directory = context.directory();
  const name = request.text();
  const [mode, uid, gid] = [request.u32(), request.u32(), request.u32()];
  if (!request.isComplete || !isEntryName(name)) return EINVAL;
  if (directory === undefined) return EBADF;
  if (directory.readOnly || directory.sealed) return EROFS;
  const allowed = mayMake(tree, directory, uid, gid);
  if (isErrno(allowed)) return allowed;
  // Set-id bits only once the owner is right.
  const first = firstMode(uid, mode, 0o600);
  const fd = tree.openEntry(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, first);
  if (isErrno(fd)) return fd;
  const attributes = madeFor(tree, fd, uid, gid, mode);
  if (isErrno(attributes)) {
    native.close(fd);
    return attributes;
  }
  reply.entry({ attributes, id: 0, watch: 0, target: '' });
  context.passFd(fd);
  return 0;
}
