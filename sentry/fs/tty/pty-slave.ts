// SPDX-License-Identifier: Apache-2.0
// The slave side of a pseudoterminal as programs open it: /dev/pts/N, /dev/tty.
import { EAGAIN, EIO, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { SIGTTIN, SIGTTOU } from '../../../abi/signal.ts';
import { TOSTOP, VMIN, VTIME } from '../../../abi/termios.ts';
import type { Timer } from '../../base/timer-queue.ts';
import type { MaybeBlocking } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import { checkForeground } from './job-control.ts';
import type { Terminal } from './terminal.ts';
import { slaveIoctl } from './tty-ioctl.ts';

const tenthOfSecondNs = 100_000_000;

export class PtySlave extends OpenFile {
  readonly node: Node;
  readonly terminal: Terminal;
  hungUp = false;
  /** VTIME: the timer of the read that waits now, and the bytes that were there when it was set. */
  #readTimer: Timer | undefined = undefined;
  #bytesAtTimer = 0;
  #readExpired = false;

  constructor(terminal: Terminal, node: Node, flags: number) {
    super(flags);
    this.terminal = terminal;
    this.node = node;
  }

  override get canSpliceFrom(): boolean {
    return true;
  }

  override get canSpliceTo(): boolean {
    return true;
  }

  override get canSignal(): boolean {
    return true;
  }

  override get description(): string {
    return `/dev/pts/${this.terminal.index}`;
  }

  override get isByteStream(): boolean {
    return true;
  }

  override close(): void {
    this.#endTimer();
    if (!this.hungUp) this.terminal.slaveFileClosed(this);
  }

  override read(sink: Sink): SysResult {
    if (this.hungUp || sink.remaining === 0) return 0;
    const terminal = this.terminal;
    const allowed = checkForeground(terminal.kernel.scheduler.current, terminal, SIGTTIN);
    if (isErrno(allowed)) return allowed;
    const ready = terminal.discipline.canonical
      ? this.#lineReady()
      : this.#rawReady(sink.remaining);
    if (isErrno(ready)) return ready;
    this.#endTimer();
    if (!terminal.discipline.inputAvailable(false)) return 0;
    const count = terminal.discipline.read(sink);
    terminal.inputTaken();
    return count;
  }

  override write(source: Source): SysResult {
    if (this.hungUp || this.terminal.master === undefined) return EIO;
    if ((this.terminal.termios.lflag & TOSTOP) !== 0) {
      const allowed = checkForeground(
        this.terminal.kernel.scheduler.current,
        this.terminal,
        SIGTTOU,
      );
      if (isErrno(allowed)) return allowed;
    }
    return this.terminal.writeOutput(source);
  }

  override poll(): number {
    if (this.hungUp) return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    const terminal = this.terminal;
    const readable = terminal.discipline.inputAvailable(true) ? POLLIN | POLLRDNORM : 0;
    return readable | (terminal.outputRoom > 0 ? POLLOUT | POLLWRNORM : 0);
  }

  override ioctl(command: number, argument: number, caller: Caller): MaybeBlocking {
    return slaveIoctl(this, command, argument, caller);
  }

  #lineReady(): SysResult {
    return this.terminal.discipline.inputAvailable(false) ? 0 : EAGAIN;
  }

  /** The four ways of a non-canonical read (termios(3), MIN and TIME). 0: it ends with what is there. */
  #rawReady(wanted: number): SysResult {
    const { cc } = this.terminal.termios;
    const least = cc[VMIN] as number;
    const time = cc[VTIME] as number;
    const available = this.terminal.discipline.buffer.length;
    if (available >= Math.max(1, Math.min(least, wanted))) return 0;
    if (least === 0 && time === 0) return 0;
    if ((this.flags & O_NONBLOCK) !== 0) return available > 0 ? 0 : EAGAIN;
    // TIME alone counts from the start of the read; with MIN it counts between bytes, from the first.
    if (time === 0 || (least > 0 && available === 0)) return EAGAIN;
    return this.#timeUp(time, available) ? 0 : EAGAIN;
  }

  #timeUp(time: number, available: number): boolean {
    if (this.#readExpired) return true;
    if (this.#readTimer !== undefined && this.#bytesAtTimer === available) return false;
    this.#readTimer?.cancel();
    this.#bytesAtTimer = available;
    const kernel = this.terminal.kernel;
    this.#readTimer = kernel.timers.add(kernel.clock.monotonicNs() + time * tenthOfSecondNs, () => {
      this.#readTimer = undefined;
      // A reader that a signal took away does not pass its deadline on to the next one.
      if (this.queue.isEmpty) return;
      this.#readExpired = true;
      this.queue.notify(POLLIN);
    });
    return false;
  }

  #endTimer(): void {
    this.#readTimer?.cancel();
    this.#readTimer = undefined;
    this.#readExpired = false;
  }
}
