// SPDX-License-Identifier: Apache-2.0
// The console of an interactive sandbox: the master of a pseudoterminal whose other end is a host
// terminal (in raw mode: the CLI saw to that). The guest has an ordinary slave, with the line
// discipline, the job control and the window size of its own.
import { EAGAIN, EINTR, isErrno, type Result } from '../../../abi/errno.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDWR } from '../../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { IUTF8 } from '../../../abi/termios.ts';
import { native } from '../../../native/addon.ts';
import type { HostFdWatcher, Platform } from '../../platform/platform.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import type { DevptsFileSystem } from '../devpts/devpts-filesystem.ts';
import type { MasterSide, Terminal, WindowSize } from './terminal.ts';

const staging = new Uint8Array(4096);
/**
 * The number of bytes that a terminal which poll calls writable takes without waiting, as far as a
 * pty promises anything.
 */
const blockingPieceBytes = 64;

export interface HostTerminalParts {
  readonly devpts: DevptsFileSystem;
  readonly platform: Platform;
  /** A host descriptor of the terminal, for reading and writing. */
  readonly hostFd: number;
  /** Owner of the slave's node. */
  readonly uid: number;
  /** The host terminal is gone. The guest's session has been hung up. */
  readonly closed?: () => void;
}

/** Makes the terminal. Its slave is /dev/pts/`terminal.index`; called before the Sentry is confined. */
export function connectHostTerminal(parts: HostTerminalParts): Result<HostTerminal> {
  const terminal = parts.devpts.newTerminal(parts.uid, 0);
  if (isErrno(terminal)) return terminal;
  const console = new HostTerminal(parts, terminal);
  console.start();
  return console;
}

export class HostTerminal implements MasterSide, HostFdWatcher {
  readonly terminal: Terminal;
  readonly #parts: HostTerminalParts;
  readonly #fd: number;
  readonly #pieceBytes: number;
  /** Output taken from the terminal that the host has not taken. */
  #held: Uint8Array | undefined = undefined;
  #watched = 0;
  #isClosed = false;
  /** Typed input goes to the guest; false while the user's shell has the terminal. */
  #takesInput = false;
  /** Inside #writeHost: what is written meanwhile waits for its next round. */
  #isWriting = false;

  constructor(parts: HostTerminalParts, terminal: Terminal) {
    this.#parts = parts;
    this.terminal = terminal;
    // A description of our own may be non-blocking; the one we were given is shared with the user's shell.
    const isNonBlocking = (native.statusFlags(parts.hostFd) & O_NONBLOCK) !== 0;
    const own = isNonBlocking ? -1 : native.reopen(parts.hostFd, O_RDWR | O_NONBLOCK | O_NOCTTY);
    this.#fd = !isErrno(own) ? own : parts.hostFd;
    this.#pieceBytes = !isErrno(own) || isNonBlocking ? staging.length : blockingPieceBytes;
  }

  start(): void {
    const { terminal } = this;
    terminal.locked = false;
    terminal.master = this;
    terminal.setTermios({ ...terminal.termios, iflag: terminal.termios.iflag | IUTF8 });
    const size = new Int32Array(2);
    if (!isErrno(native.windowSize(this.#fd, size))) this.setWindowSize(size[0] ?? 0, size[1] ?? 0);
    this.#watch();
  }

  /** The user changed the size of the window. */
  setWindowSize(rows: number, columns: number): void {
    const size: WindowSize = { rows, columns, xPixels: 0, yPixels: 0 };
    this.terminal.setWindowSize(size);
  }

  takeInput(on: boolean): void {
    this.#takesInput = on;
    if (!this.#isClosed) this.#watch();
  }

  /** MasterSide: the guest wrote, or took input. */
  notify(events: number): void {
    if (this.#isClosed) return;
    if ((events & POLLIN) !== 0) this.#writeHost();
    this.#watch();
  }

  /** HostFdWatcher. */
  ready(events: number): void {
    if (this.#isClosed) return;
    if ((events & POLLIN) !== 0) this.#readHost();
    if ((events & POLLOUT) !== 0) this.#writeHost();
    if ((events & (POLLHUP | POLLERR)) !== 0 && (events & POLLIN) === 0) this.#close();
    if (!this.#isClosed) this.#watch();
  }

  /** The process that the terminal was made for has ended: what others still write to it is for nobody. */
  disconnect(): void {
    this.flush();
    if (!this.#isClosed) this.#close();
  }

  /** Sends what the guest has written so far: before the sandbox ends. Gives up where the host would wait. */
  flush(): void {
    if (!this.#isClosed) this.#writeHost();
  }

  #readHost(): void {
    const room = Math.min(staging.length, this.terminal.inputRoom);
    if (room === 0) return;
    const count = native.readNow(this.#fd, staging, 0, room);
    if (count === EAGAIN || count === EINTR) return;
    if (count <= 0) {
      this.#close();
      return;
    }
    this.terminal.writeInput(new BufferSource(staging.slice(0, count)));
  }

  /** Moves output to the host until there is none or the host would wait. */
  #writeHost(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writePieces();
    this.#isWriting = false;
  }

  #writePieces(): void {
    for (;;) {
      const piece = this.#held ?? this.#takeOutput();
      if (piece === undefined) return;
      this.#held = piece;
      if (
        this.#pieceBytes !== staging.length &&
        (native.pollNow(this.#fd, POLLOUT) & POLLOUT) === 0
      )
        return;
      const count = native.write(this.#fd, piece, 0, Math.min(piece.length, this.#pieceBytes));
      if (count === EAGAIN || count === EINTR) return;
      if (isErrno(count)) {
        this.#close();
        return;
      }
      this.#held = count === piece.length ? undefined : piece.subarray(count);
    }
  }

  #takeOutput(): Uint8Array | undefined {
    const { output } = this.terminal;
    if (output.length === 0) return undefined;
    const bytes = new Uint8Array(Math.min(output.length, staging.length));
    output.drain(new BufferSink(bytes), bytes.length);
    this.terminal.outputTaken();
    return bytes;
  }

  /** Watches for input while there is room, and for room while there is output. */
  #watch(): void {
    if (this.#isClosed) return;
    const wanted =
      (this.#takesInput && this.terminal.inputRoom > 0 ? POLLIN : 0) |
      (this.#held === undefined ? 0 : POLLOUT);
    if (wanted === this.#watched) return;
    const { platform } = this.#parts;
    if (this.#watched === 0) platform.watch(this.#fd, wanted, this);
    else if (wanted === 0) platform.unwatch(this.#fd);
    else platform.rewatch(this.#fd, wanted);
    this.#watched = wanted;
  }

  #close(): void {
    this.#isClosed = true;
    this.#held = undefined;
    if (this.#watched !== 0) this.#parts.platform.unwatch(this.#fd);
    if (this.#fd !== this.#parts.hostFd) native.close(this.#fd);
    this.terminal.masterClosed();
    this.#parts.devpts.masterClosed(this.terminal.index);
    this.#parts.closed?.();
  }
}
