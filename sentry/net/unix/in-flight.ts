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
  /** Every file in messages that wait at this socket (its unaccepted connections included). */
  filesWaiting(): Iterable<OpenFile>;
  /** Drops those messages' files. */
  dropFilesWaiting(): void;
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

let survivors = 0;
let suspicions = 0;
let collecting = false;

/** A descriptor of `socket` was closed and only messages hold it now: it may be garbage. */
export function suspect(): void {
  // A collection looks at everything in flight; one for each quarter of what lived through the last
  // one keeps the work in proportion to what the guest does.
  suspicions += 1;
  if (collecting || suspicions <= survivors / 4) return;
  suspicions = 0;
  collecting = true;
  collect();
  collecting = false;
  survivors = flying.size;
}

function collect(): void {
  // Candidates are held by messages only. Those held by a message outside of the candidates live, and
  // so does what waits at them.
  const internal = new Map<FlyingSocket, number>();
  for (const socket of flying) if (socket.references === socket.inFlight) internal.set(socket, 0);
  for (const socket of internal.keys()) {
    for (const file of socket.filesWaiting()) {
      const count = internal.get(file as FlyingSocket);
      if (count !== undefined) internal.set(file as FlyingSocket, count + 1);
    }
  }
  const alive = [...internal]
    .filter(([socket, count]) => count < socket.inFlight)
    .map(([socket]) => socket);
  for (const socket of alive) internal.delete(socket);
  for (let socket = alive.pop(); socket !== undefined; socket = alive.pop()) {
    for (const file of socket.filesWaiting()) {
      if (internal.delete(file as FlyingSocket)) alive.push(file as FlyingSocket);
    }
  }
  for (const socket of internal.keys()) socket.dropFilesWaiting();
}
