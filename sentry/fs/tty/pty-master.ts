// SPDX-License-Identifier: Apache-2.0
// The master side of a pseudoterminal: what an open of /dev/ptmx gives (pty(7)).
import { EAGAIN, EIO, isErrno, type SysResult } from '../../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { TIOCPKT_DATA } from '../../../abi/termios.ts';
import type { MaybeBlocking } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import { OpenFile } from '../../vfs/open-file.ts';
import type { MasterSide, Terminal } from './terminal.ts';
import { masterIoctl } from './tty-ioctl.ts';

const packetByte = new Uint8Array(1);

/** Where slaves are found: the devpts instance that made the pair. */
export interface PtyOwner {
  /** The slave's node, for TIOCGPTPEER; undefined once it is gone. */
  slaveNode(index: number): Node | undefined;
  /** The master is closed: the slave's name goes. */
  masterClosed(index: number): void;
}

export class PtyMaster extends OpenFile implements MasterSide {
  readonly node: Node;
  readonly terminal: Terminal;
  readonly owner: PtyOwner;

  constructor(terminal: Terminal, owner: PtyOwner, node: Node, flags: number) {
    super(flags);
    this.terminal = terminal;
    this.owner = owner;
    this.node = node;
    terminal.master = this;
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
    return '/dev/ptmx';
  }

  override information(): string {
    return `tty-index:\t${this.terminal.index}\n`;
  }

  notify(events: number): void {
    this.queue.notify(events);
  }

  override get isByteStream(): boolean {
    return true;
  }

  override close(): void {
    this.terminal.masterClosed();
    this.owner.masterClosed(this.terminal.index);
  }

  override read(sink: Sink): SysResult {
    if (sink.remaining === 0) return 0;
    const terminal = this.terminal;
    if (terminal.packetMode && terminal.packetStatus !== 0) {
      packetByte[0] = terminal.packetStatus;
      terminal.packetStatus = 0;
      return sink.put(packetByte);
    }
    if (terminal.output.length === 0) return terminal.slaveClosed ? EIO : EAGAIN;
    if (!terminal.packetMode) return this.#drain(sink);
    packetByte[0] = TIOCPKT_DATA;
    const marked = sink.put(packetByte);
    if (isErrno(marked) || sink.remaining === 0) return marked;
    const count = this.#drain(sink);
    return isErrno(count) ? marked : marked + count;
  }

  override write(source: Source): SysResult {
    return this.terminal.writeInput(source);
  }

  override poll(): number {
    const terminal = this.terminal;
    let events = terminal.output.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (terminal.packetMode && terminal.packetStatus !== 0) events |= POLLPRI | POLLIN | POLLRDNORM;
    if (terminal.slaveClosed) events |= POLLHUP;
    if (!terminal.masterStopped && terminal.inputRoom > 0) events |= POLLOUT | POLLWRNORM;
    return events;
  }

  override ioctl(command: number, argument: number, caller: Caller): MaybeBlocking {
    return masterIoctl(this, command, argument, caller);
  }

  #drain(sink: Sink): SysResult {
    const count = this.terminal.output.drain(sink, sink.remaining);
    if (count > 0) this.terminal.outputTaken();
    return count;
  }
}
