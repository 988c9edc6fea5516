// The channel to the command line: lines over a stream socket. Reading the configuration blocks (the
// kernel does not run yet); after that nothing does.

import { POLLIN } from '../../abi/poll.ts';
import { native } from '../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../platform/platform.ts';

/** MSG_DONTWAIT. */
const DONT_WAIT = 0x40;
/** A configuration holds the environment and arguments of a program: Linux allows 6 MiB of them. */
const MAX_LINE_BYTES = 64 << 20;

export interface ChannelListener {
  line(text: string): void;
  /** The other side is gone. */
  hangUp(): void;
}

export class ControlChannel implements HostFdWatcher {
  readonly #fd: number;
  readonly #bytes: Uint8Array = new Uint8Array(65_536);
  #partial = '';
  #platform: Platform | undefined = undefined;
  #listener: ChannelListener | undefined = undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The next line; sleeps until it is there. Undefined when the other side hung up. */
  readLine(): string | undefined {
    for (;;) {
      const end = this.#partial.indexOf('\n');
      if (end >= 0) {
        const line = this.#partial.slice(0, end);
        this.#partial = this.#partial.slice(end + 1);
        return line;
      }
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

  ready(_events: number): void {
    const alive = this.#receive(DONT_WAIT);
    this.#deliver();
    if (alive) return;
    this.#platform?.unwatch(this.#fd);
    this.#listener?.hangUp();
  }

  /** Dropped where the other side does not read: the Sentry never waits for it. */
  send(text: string): void {
    const line = Buffer.from(text, 'latin1');
    native.sendMessage(this.#fd, line, line.length, undefined, 0, DONT_WAIT);
  }

  #deliver(): void {
    const lines = this.#partial.split('\n');
    this.#partial = lines.pop() as string;
    for (const line of lines) this.#listener?.line(line);
  }

  /** False at the end of the stream. */
  #receive(flags: number): boolean {
    const got = native.recvMessage(this.#fd, this.#bytes, undefined, flags);
    if (got === -11 || got === -4) return true;
    if (got <= 0 || this.#partial.length > MAX_LINE_BYTES) return false;
    this.#partial += Buffer.from(this.#bytes.buffer, 0, got).toString('latin1');
    return true;
  }
}
