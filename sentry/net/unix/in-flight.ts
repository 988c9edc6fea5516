// SPDX-License-Identifier: Apache-2.0
// Files on their way through sockets (SCM_RIGHTS): who holds them, and the collection of sockets that
// only messages hold which in turn only those sockets hold (unix(7); af_unix garbage collector).

import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from '../../../abi/capability.ts';
import { ENOBUFS, ETOOMANYREFS, type Result } from '../../../abi/errno.ts';
import { RLIMIT_NOFILE } from '../../../abi/resource.ts';
import { finishLater } from '../../base/leftovers.ts';
import { currentAccount, type MemoryAccount } from '../../base/memory-account.ts';
import { OBJECT_COST } from '../../base/object-cost.ts';
import { isCapable } from '../../vfs/credentials.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { SocketCaller } from '../socket.ts';

/** A socket as the collector sees it. */
export interface FlyingSocket extends OpenFile {
  /** Messages in flight that hold this socket. */
  inFlight: number;
  /** How often it was put in flight, or came into another queue without that. It only grows. */
  launches: number;
  /** The files of every message that waits at this socket (its unaccepted connections included). */
  bundlesWaiting(): FileBundle[];
  /** Takes the files out of those messages. */
  takeBundles(): FileBundle[];
}

/** The files of one message, from send until they are received or dropped. */
export class FileBundle {
  readonly files: readonly OpenFile[];
  readonly #uid: number;
  readonly #account: MemoryAccount = currentAccount();

  constructor(files: readonly OpenFile[], uid: number) {
    this.files = files;
    this.#uid = uid;
    this.#account.force(files.length * OBJECT_COST.fileInFlight);
  }

  /** The files leave flight; their references now belong to the caller. */
  land(): readonly OpenFile[] {
    countFor(this.#uid, -this.files.length);
    this.#account.uncharge(this.files.length * OBJECT_COST.fileInFlight);
    for (const file of this.files) if (isFlying(file)) landed(file);
    return this.files;
  }

  /** One more reference of each for MSG_PEEK. */
  peek(): readonly OpenFile[] {
    for (const file of this.files) file.acquire();
    return this.files;
  }

  /** The message is thrown away. */
  drop(): void {
    discard(this.land());
  }
}

const flying = new Set<FlyingSocket>();
const countByUid = new Map<number, number>();

/** Puts files in flight for `caller`: a bundle, or ETOOMANYREFS. */
export function launch(files: readonly OpenFile[], caller: SocketCaller): Result<FileBundle> {
  const { credentials, group } = caller;
  const uid = credentials.uid;
  const privileged =
    isCapable(credentials, CAP_SYS_RESOURCE) || isCapable(credentials, CAP_SYS_ADMIN);
  if (!currentAccount().hasRoom(files.length * OBJECT_COST.fileInFlight)) return ENOBUFS;
  if (!privileged && (countByUid.get(uid) ?? 0) > group.limits.soft(RLIMIT_NOFILE))
    return ETOOMANYREFS;
  countFor(uid, files.length);
  for (const file of files) {
    file.acquire();
    if (isSocketLike(file)) {
      file.inFlight += 1;
      file.launches += 1;
      flying.add(file);
    }
  }
  return new FileBundle(files, uid);
}

function countFor(uid: number, change: number): void {
  const count = (countByUid.get(uid) ?? 0) + change;
  if (count === 0) countByUid.delete(uid);
  else countByUid.set(uid, count);
}

function isSocketLike(file: OpenFile): file is FlyingSocket {
  return 'inFlight' in file;
}

function isFlying(file: OpenFile): file is FlyingSocket {
  return isSocketLike(file) && file.inFlight > 0;
}

function landed(file: FlyingSocket): void {
  file.inFlight -= 1;
  if (file.inFlight === 0) flying.delete(file);
}

const discarded: OpenFile[] = [];
let discarding = false;

/** So many are released in the turn that gives them up, the rest in pieces. */
const RELEASED_AT_ONCE = 256;
const RELEASED_IN_A_STEP = 32;

/**
 * Releases files. A socket that closes drops the files that waited at it, and those may be sockets
 * too: they queue here rather than nest, so a guest cannot exhaust the stack. Nor the time of others:
 * what a long chain of sockets held goes in later turns, as in Linux a worker does it.
 */
export function discard(files: Iterable<OpenFile>): void {
  discarded.push(...files);
  if (discarding) return;
  discarding = true;
  releaseSome(RELEASED_AT_ONCE);
  if (discarded.length === 0) discarding = false;
  else finishLater(releaseRest());
}

function releaseSome(count: number): void {
  for (let left = count; left > 0; left -= 1) {
    const file = discarded.pop();
    if (file === undefined) return;
    file.release();
  }
}

function* releaseRest(): Iterator<undefined> {
  while (discarded.length > 0) {
    releaseSome(RELEASED_IN_A_STEP);
    yield undefined;
  }
  discarding = false;
}

/** Bundles that are dropped in the turn that gives them up. */
const DROPPED_AT_ONCE = 64;

/** Drops what nobody will receive any more, the rest of very many in later turns. */
export function dropBundles(bundles: readonly FileBundle[]): void {
  const dropping = dropInPieces(bundles);
  if (dropping.next().done !== true) finishLater(dropping);
}

function* dropInPieces(bundles: readonly FileBundle[]): Iterator<undefined> {
  for (const [index, bundle] of bundles.entries()) {
    bundle.drop();
    if ((index + 1) % DROPPED_AT_ONCE === 0) yield undefined;
  }
}

/** A queue changed hands with all that waits in it, as at accept(2). */
export function queueMoved(bundles: readonly FileBundle[]): void {
  for (const { files } of bundles)
    for (const file of files) if (isSocketLike(file)) file.launches += 1;
}

let survivors = 0;
let suspicions = 0;
let collecting = false;

/** A descriptor of `socket` was closed and only messages hold it now: it may be garbage. */
export function suspect(): void {
  // A collection looks at everything in flight; one for each quarter of what lived through the last
  // one keeps the work in proportion to what the guest does.
  suspicions += 1;
  if (collecting || suspicions <= survivors / 4) return;
  collecting = true;
  const collection = collectWhileSuspected();
  if (collection.next().done !== true) finishLater(collection);
}

function* collectWhileSuspected(): Iterator<undefined> {
  do {
    suspicions = 0;
    yield* inPieces(collect());
    survivors = flying.size;
  } while (suspicions > survivors / 4);
  collecting = false;
}

/** Sockets and files that a turn looks at. */
const LOOKS_AT_ONCE = 4096;

/** `work` yields what each of its steps has cost, in looks. */
function* inPieces(work: Iterator<number>): Iterator<undefined> & Iterable<undefined> {
  let looks = 0;
  for (let step = work.next(); step.done !== true; step = work.next()) {
    looks += step.value;
    if (looks < LOOKS_AT_ONCE) continue;
    looks = 0;
    yield undefined;
  }
}

/** A socket that only messages held when the collection came by. */
interface Candidate {
  readonly references: number;
  readonly launches: number;
  /** The references by messages at candidates. */
  internal: number;
}

type Candidates = Map<FlyingSocket, Candidate>;

/**
 * Guests run between the pieces. That does no harm: whoever takes a socket out of a message, sends or
 * holds it changes its counts, and one whose counts are the old ones at the end was held by the same
 * messages all the time. All that is garbage then was garbage at one moment, and stays so.
 */
function* collect(): Iterator<number> & Iterable<number> {
  const candidates: Candidates = new Map();
  let left = flying.size;
  for (const socket of flying) {
    // Those that are put in flight meanwhile are the next collection's.
    if (left === 0) break;
    left -= 1;
    const { references, inFlight, launches } = socket;
    if (references === inFlight) candidates.set(socket, { references, launches, internal: 0 });
    yield 1;
  }
  for (const socket of candidates.keys()) {
    for (const { files } of socket.bundlesWaiting()) {
      for (const file of files) {
        const candidate = candidates.get(file as FlyingSocket);
        if (candidate !== undefined) candidate.internal += 1;
      }
      yield files.length;
    }
    yield 1;
  }
  // Candidates that a message outside of the candidates holds live, and so does what waits at them.
  yield* removeReachable(candidates, ({ internal, references }) => internal < references);
  yield* removeReachable(candidates, hasChanged);
  for (const socket of candidates.keys()) {
    const bundles = socket.takeBundles();
    dropBundles(bundles);
    yield bundles.length * RELEASED_IN_A_STEP;
  }
}

function hasChanged(candidate: Candidate, socket: FlyingSocket): boolean {
  return (
    socket.references !== candidate.references ||
    socket.inFlight !== candidate.references ||
    socket.launches !== candidate.launches
  );
}

function* removeReachable(
  candidates: Candidates,
  isAlive: (candidate: Candidate, socket: FlyingSocket) => boolean,
): Iterator<number> & Iterable<number> {
  const alive: FlyingSocket[] = [];
  for (const [socket, candidate] of candidates) {
    if (isAlive(candidate, socket)) alive.push(socket);
    yield 1;
  }
  for (const socket of alive) candidates.delete(socket);
  for (let socket = alive.pop(); socket !== undefined; socket = alive.pop()) {
    for (const { files } of socket.bundlesWaiting()) {
      for (const file of files)
        if (candidates.delete(file as FlyingSocket)) alive.push(file as FlyingSocket);
      yield files.length;
    }
    yield 1;
  }
}
