// SPDX-License-Identifier: Apache-2.0
// Host calls that may take long, made by threads of their own (native/addon/host-work.c): the guest
// thread that asked sleeps, and the Sentry goes on with all others.
import { EAGAIN, EINTR, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { HOST_WORK, HOST_WORK_SLOTS } from '../../../native/addon/host-work.ts';
import { native } from '../../../native/addon.ts';
import { type Blocking, type Sleep, type Waitable, WaitQueue } from '../../base/wait.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import type { Sink, Source } from '../../vfs/io.ts';

/** One read or write. It bounds what those under way hold: 16 times this. */
const PIECE_BYTES = 256 * 1024;

/** The file whose descriptor a call is about: it stays open until the call is done. */
export interface HeldOpen {
  acquire(): void;
  release(): void;
}

/** A descriptor of it, and whether calls may hang for ever, as those of network file systems do. */
export interface HostDescriptor {
  readonly fd: number;
  readonly file: HeldOpen;
  readonly mayHang: boolean;
}

/** A guest thread that sleeps until one thing has happened. Only its death ends the sleep early. */
class Sleeper implements Waitable {
  readonly queue = new WaitQueue();
  isOver = false;

  over(): void {
    this.isOver = true;
    this.queue.notify(POLLIN);
  }

  /** Returns whether it happened. */
  *wait(): Blocking<boolean> {
    const sleep: Sleep = {
      join: (waker) => this.queue.join(waker, POLLIN),
      leave: (waker) => this.queue.leave(waker),
      deadlineNs: Number.POSITIVE_INFINITY,
      killable: true,
    };
    while (!this.isOver) if ((yield sleep) === 'signal') return this.isOver;
    return true;
  }
}

/** Half of the slots: calls that hang take none from those that do not. */
class Lane {
  #free = HOST_WORK_SLOTS / 2;
  readonly #waiting = new Set<Sleeper>();

  /** Returns false where the guest thread died meanwhile. */
  *enter(): Blocking<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    const sleeper = new Sleeper();
    this.#waiting.add(sleeper);
    let mine = false;
    try {
      mine = yield* sleeper.wait();
      return mine;
    } finally {
      this.#waiting.delete(sleeper);
      if (!mine && sleeper.isOver) this.leave();
    }
  }

  leave(): void {
    for (const first of this.#waiting) {
      this.#waiting.delete(first);
      first.over();
      return;
    }
    this.#free += 1;
  }
}

class Job extends Sleeper {
  result: SysResult = EINTR;
  readonly file: HeldOpen;
  readonly lane: Lane;
  /** Read into or written from by the host: kept from the garbage collector until then. */
  readonly bytes: Uint8Array | undefined;

  constructor(file: HeldOpen, lane: Lane, bytes: Uint8Array | undefined) {
    super();
    this.file = file;
    this.lane = lane;
    this.bytes = bytes;
  }
}

export class HostWork implements HostFdWatcher {
  readonly #eventFd: number;
  readonly #fast = new Lane();
  readonly #slow = new Lane();
  readonly #running = new Map<number, Job>();
  readonly #done = new Float64Array(2 * HOST_WORK_SLOTS);

  private constructor(eventFd: number) {
    this.#eventFd = eventFd;
  }

  /** Makes the threads: once in a process, and before it is confined. */
  static start(threads: number): Result<HostWork> {
    const eventFd = native.eventfd();
    if (isErrno(eventFd)) return eventFd;
    const started = native.startHostWork(threads, eventFd);
    return isErrno(started) ? started : new HostWork(eventFd);
  }

  /** Has the platform's one wait tell of calls that are done. */
  watch(platform: Pick<Platform, 'watch'>): void {
    platform.watch(this.#eventFd, POLLIN, this);
  }

  ready(): void {
    native.drainEvent(this.#eventFd);
    const count = native.takeHostWork(this.#done);
    for (let at = 0; at < 2 * count; at += 2) {
      const slot = this.#done[at] as number;
      const job = this.#running.get(slot);
      if (job === undefined) continue;
      this.#running.delete(slot);
      job.result = this.#done[at + 1] as number;
      job.lane.leave();
      job.file.release();
      job.over();
    }
  }

  /** fsync(2). */
  sync(of: HostDescriptor): Blocking<SysResult> {
    return this.#inTurn(of, HOST_WORK.sync, () => undefined, 0);
  }

  /** Reads one piece at `position`. */
  *read(of: HostDescriptor, sink: Sink, position: number): Blocking<SysResult> {
    let bytes: Uint8Array | undefined;
    const count = yield* this.#inTurn(
      of,
      HOST_WORK.read,
      () => {
        bytes = new Uint8Array(Math.min(sink.remaining, PIECE_BYTES));
        return bytes;
      },
      position,
    );
    return count > 0 && bytes !== undefined ? sink.put(bytes.subarray(0, count)) : count;
  }

  /** Writes one piece at `position`. */
  *write(of: HostDescriptor, source: Source, position: number): Blocking<SysResult> {
    let taken: SysResult = 0;
    const take = (): Result<Uint8Array> => {
      const bytes = new Uint8Array(Math.min(source.remaining, PIECE_BYTES));
      taken = source.take(bytes);
      return isErrno(taken) ? taken : bytes.subarray(0, taken);
    };
    const count = yield* this.#inTurn(of, HOST_WORK.write, take, position);
    if (!isErrno(taken) && taken > Math.max(count, 0)) source.giveBack(taken - Math.max(count, 0));
    return count;
  }

  *#inTurn(
    { fd, file, mayHang }: HostDescriptor,
    kind: number,
    bytesOf: () => Result<Uint8Array> | undefined,
    position: number,
  ): Blocking<SysResult> {
    const lane = mayHang ? this.#slow : this.#fast;
    if (!(yield* lane.enter())) return EINTR;
    const bytes = bytesOf();
    if (bytes !== undefined && isErrno(bytes)) {
      lane.leave();
      return bytes;
    }
    const length = bytes?.length ?? 0;
    const slot = native.submitHostWork(kind, fd, bytes, length, position, mayHang ? 1 : 0);
    if (isErrno(slot)) {
      lane.leave();
      // Never EAGAIN: lanes have no more places than there are slots.
      return slot === EAGAIN ? EINTR : slot;
    }
    const job = new Job(file, lane, bytes);
    file.acquire();
    this.#running.set(slot, job);
    yield* job.wait();
    return job.result;
  }
}
