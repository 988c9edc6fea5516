// SPDX-License-Identifier: Apache-2.0
// A channel to the command line or to what stands for a process on the host: lines over a stream
// socket, and descriptors with them. Reading the configuration blocks (the kernel does not run
// yet); after that nothing does.

import { EAGAIN, EINTR, isErrno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { native } from '../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../platform/platform.ts';

/** MSG_DONTWAIT. */
const DONT_WAIT = 0x40;
/** A configuration holds the environment and arguments of a program: Linux allows 6 MiB of them. */
const MAX_LINE_BYTES = 64 << 20;
/** Descriptors that one message may carry. */
const MAX_DESCRIPTORS = 228;

export interface ChannelListener {
  line(text: string): void;
  /** The other side is gone. */
  hangUp(): void;
}

export class ControlChannel implements HostFdWatcher {
  readonly #fd: number;
  readonly #bytes: Uint8Array = new Uint8Array(65_536);
  readonly #received: Int32Array = new Int32Array(1 + MAX_DESCRIPTORS);
  #descriptors: number[] = [];
  /** Whole lines that nobody has taken yet. */
  readonly #lines: string[] = [];
  /** The pieces of the line that is not complete. */
  #pieces: string[] = [];
  #pieceBytes = 0;
  #platform: Platform | undefined = undefined;
  #listener: ChannelListener | undefined = undefined;
  #isClosed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The next line; sleeps until it is there. Undefined when the other side hung up. */
  readLine(): string | undefined {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (!this.#receive(0)) return undefined;
    }
  }

  /** From now on lines are delivered from Platform.wait. */
  watch(platform: Platform, listener: ChannelListener): void {
    this.#platform = platform;
    this.#listener = listener;
    platform.watch(this.#fd, POLLIN, this);
    this.#deliver();
  }

  /** The descriptors that came so far: the caller's from here on. */
  takeDescriptors(): number[] {
    const taken = this.#descriptors;
    this.#descriptors = [];
    return taken;
  }

  /** Another listener takes over. */
  set listener(listener: ChannelListener) {
    this.#listener = listener;
  }

  /** Nothing is delivered any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#platform?.unwatch(this.#fd);
    this.#platform = undefined;
    this.#listener = undefined;
    for (const fd of this.takeDescriptors()) native.close(fd);
    native.close(this.#fd);
  }

  ready(_events: number): void {
    const alive = this.#receive(DONT_WAIT);
    this.#deliver();
    if (alive) return;
    this.#platform?.unwatch(this.#fd);
    this.#listener?.hangUp();
  }

  /** Dropped where the other side does not read: the Sentry never waits for it. */
  send(text: string): void {
    if (this.#isClosed) return; // The number is another's by now.
    const line = Buffer.from(text, 'latin1');
    native.sendMessage(this.#fd, line, line.length, undefined, 0, DONT_WAIT);
  }

  #deliver(): void {
    for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift())
      this.#listener?.line(line);
  }

  /** False at the end of the stream. */
  #receive(flags: number): boolean {
    const got = native.recvMessage(this.#fd, this.#bytes, this.#received, flags);
    if (got === EAGAIN || got === EINTR) return true;
    const count = isErrno(got) ? 0 : (this.#received[0] as number);
    this.#descriptors.push(...this.#received.subarray(1, 1 + count));
    if (got <= 0) return false;
    this.#take(Buffer.from(this.#bytes.buffer, 0, got).toString('latin1'));
    return this.#pieceBytes <= MAX_LINE_BYTES;
  }

  #take(text: string): void {
    const [first = '', ...more] = text.split('\n');
    this.#pieces.push(first);
    this.#pieceBytes += first.length;
    for (const piece of more) {
      this.#lines.push(this.#pieces.join(''));
      this.#pieces = [piece];
      this.#pieceBytes = piece.length;
    }
  }
}
