// SPDX-License-Identifier: Apache-2.0
// A host descriptor that the guest was given (standard input, output, error), shared by all open
// files made from it. The Sentry never waits on one: it asks first, and watches while somebody waits.
// Descriptors keep their O_NONBLOCK as it is: they are shared with other host processes.
import { EAGAIN, EPERM, EPIPE, isErrno, type SysResult } from '../../../abi/errno.ts';
import { AT_EMPTY_PATH, O_ACCMODE, O_APPEND } from '../../../abi/fcntl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import { S_IFBLK, S_IFMT, S_IFREG, statxLayout } from '../../../abi/stat.ts';
import { native } from '../../../native/addon.ts';
import { WaitQueue, type Waker } from '../../base/wait.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import type { Sink, Source } from '../../vfs/io.ts';

/** Writes up to this size do not wait where poll says that a pipe is writable. */
const PIPE_BUF = 4096;
/** Staging for one transfer: nothing else runs while it is in use. */
const staging = new Uint8Array(65536);
const pollable = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;

export class GivenDescriptor {
  readonly hostFd: number;
  /** S_IFMT bits. */
  readonly kind: number;
  readonly mode: number;
  /** O_RDONLY, O_WRONLY or O_RDWR. */
  readonly access: number;
  /** O_APPEND or 0. */
  readonly append: number;
  readonly queue: GivenQueue;
  /** Bytes that the guest believes written and the host did not take yet. */
  #held: Uint8Array | undefined;
  readonly #isOwned: boolean;
  #openFiles = 0;

  /**
   * `isOwned`: the host descriptor is closed with the last open file of it, so that who reads it
   * sees the end.
   */
  constructor(hostFd: number, platform: Platform, isOwned: boolean) {
    this.hostFd = hostFd;
    this.#isOwned = isOwned;
    this.mode = this.#statx().getUint16(statxLayout.at.mode, true);
    this.kind = this.mode & S_IFMT;
    const flags = Math.max(0, native.statusFlags(hostFd));
    this.access = flags & O_ACCMODE;
    this.append = flags & O_APPEND;
    this.queue = new GivenQueue(hostFd, platform);
  }

  /** One more open file is made of it. */
  opened(): void {
    this.#openFiles += 1;
  }

  closed(): void {
    this.#openFiles -= 1;
    if (this.#openFiles > 0 || !this.#isOwned) return;
    this.queue.stop();
    native.close(this.hostFd);
  }

  /** Regular files and disks have positions and are always ready. */
  get isSeekable(): boolean {
    return this.kind === S_IFREG || this.kind === S_IFBLK;
  }

  sizeBytes(): number {
    const view = this.#statx();
    return (
      view.getUint32(statxLayout.at.size, true) +
      view.getUint32(statxLayout.at.size + 4, true) * 0x1_0000_0000
    );
  }

  poll(): number {
    if (this.isSeekable) return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    const ready = Math.max(0, native.pollNow(this.hostFd, pollable | POLLRDNORM | POLLWRNORM));
    this.queue.rearm();
    return ready;
  }

  read(sink: Sink): SysResult {
    if (sink.remaining === 0) return 0;
    if (this.isSeekable) return this.#readSeekable(sink);
    const count = native.readNow(this.hostFd, staging, 0, Math.min(staging.length, sink.remaining));
    this.queue.rearm();
    return count <= 0 ? count : sink.put(staging.subarray(0, count));
  }

  pread(sink: Sink, position: number): SysResult {
    return this.#readSeekable(sink, position);
  }

  /**
   * Reads at `position`, or with none at the offset that the descriptor shares with host processes,
   * which moves on.
   */
  #readSeekable(sink: Sink, position = -1): SysResult {
    let total = 0;
    while (sink.remaining > 0) {
      const wanted = Math.min(staging.length, sink.remaining);
      const count =
        position < 0
          ? native.read(this.hostFd, staging, 0, wanted)
          : native.pread(this.hostFd, staging, 0, wanted, position + total);
      if (isErrno(count) || count === 0) return total === 0 ? count : total;
      const put = sink.put(staging.subarray(0, count));
      if (isErrno(put)) return total === 0 ? put : total;
      total += put;
      if (count < wanted || put < count) break;
    }
    return total;
  }

  /** Writes at the host's offset, or at `position` where one is given (seekable files only). */
  write(source: Source, position = -1): SysResult {
    let total = 0;
    const pieceBytes = this.isSeekable ? staging.length : PIPE_BUF;
    while (source.remaining > 0) {
      const ready = this.isSeekable ? 0 : this.#readyToWrite();
      if (isErrno(ready)) return total === 0 ? ready : total;
      const taken = source.take(staging.subarray(0, Math.min(pieceBytes, source.remaining)));
      if (taken <= 0) return total === 0 ? taken : total;
      const count =
        position < 0
          ? native.write(this.hostFd, staging, 0, taken)
          : native.pwrite(this.hostFd, staging, 0, taken, position + total);
      if (isErrno(count) && count !== EAGAIN) return total === 0 ? count : total;
      if (count < taken) {
        if (this.isSeekable) return total + Math.max(0, count);
        this.#held = staging.slice(Math.max(0, count), taken);
      }
      total += taken;
    }
    return total;
  }

  #readyToWrite(): SysResult {
    const ready = native.pollNow(this.hostFd, POLLOUT);
    this.queue.rearm();
    if ((ready & POLLERR) !== 0 && (ready & POLLOUT) === 0) return EPIPE;
    if ((ready & (POLLOUT | POLLERR | POLLHUP)) === 0) return EAGAIN;
    return this.#flushHeld();
  }

  /** Only a descriptor whose O_NONBLOCK somebody else set ever leaves bytes here. */
  #flushHeld(): SysResult {
    const held = this.#held;
    if (held === undefined) return 0;
    const count = native.write(this.hostFd, held, 0, held.length);
    if (isErrno(count)) {
      if (count !== EAGAIN) this.#held = undefined;
      return count;
    }
    this.#held = count === held.length ? undefined : held.subarray(count);
    return this.#held === undefined ? 0 : EAGAIN;
  }

  #statx(): DataView {
    const out = new Uint8Array(statxLayout.size);
    native.statx(this.hostFd, '', AT_EMPTY_PATH, out, 0);
    return new DataView(out.buffer);
  }
}

/**
 * Watches the host descriptor while somebody has joined. A watch fires once and rests until the guest
 * has looked at the file again, so a ready descriptor that nobody reads costs nothing.
 */
export class GivenQueue extends WaitQueue implements HostFdWatcher {
  readonly #hostFd: number;
  readonly #platform: Platform;
  readonly #wanted = new Map<Waker, number>();
  #watched = 0;
  #alwaysReady = false;

  constructor(hostFd: number, platform: Platform) {
    super();
    this.#hostFd = hostFd;
    this.#platform = platform;
  }

  override join(waker: Waker, mask: number): void {
    super.join(waker, mask);
    this.#wanted.set(waker, mask);
    this.rearm();
  }

  override leave(waker: Waker): void {
    super.leave(waker);
    if (this.#wanted.delete(waker)) this.rearm();
  }

  /** Brings the host watch in line with what is waited for. */
  rearm(): void {
    if (this.#wanted.size === 0 && this.#watched === 0) return;
    let mask = 0;
    for (const wanted of this.#wanted.values()) mask |= wanted;
    if ((mask & POLLRDNORM) !== 0) mask |= POLLIN;
    if ((mask & POLLWRNORM) !== 0) mask |= POLLOUT;
    // Never empty while somebody waits: hang-ups and errors are reported without being asked for.
    this.#watch(this.#wanted.size === 0 ? 0 : (mask & pollable) | POLLERR);
  }

  /** HostFdWatcher. */
  ready(events: number): void {
    this.#watch(0);
    let told = events;
    if ((events & POLLIN) !== 0) told |= POLLRDNORM;
    if ((events & POLLOUT) !== 0) told |= POLLWRNORM;
    this.notify(told);
  }

  /** The host descriptor is about to be closed. */
  stop(): void {
    this.#watch(0);
    this.#alwaysReady = true;
  }

  #watch(events: number): void {
    if (events === this.#watched || this.#alwaysReady) return;
    if (events === 0) this.#platform.unwatch(this.#hostFd);
    else if (this.#watched !== 0) this.#platform.rewatch(this.#hostFd, events);
    else if (this.#platform.watch(this.#hostFd, events, this) === EPERM) {
      // Regular files and the like: epoll refuses them because they never wait.
      this.#alwaysReady = true;
      return;
    }
    this.#watched = events;
  }
}
