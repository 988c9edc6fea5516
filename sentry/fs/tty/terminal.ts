// SPDX-License-Identifier: Apache-2.0
// A pseudoterminal (pty(7)): the state that its master and its slave side share. The line discipline
// sits on the slave's side; what it sends waits in `output` for the master, what the master writes
// waits in #input for room in the discipline.

import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { UNIX98_PTY_SLAVE_MAJOR } from '../../../abi/dev.ts';
import { EAGAIN, EBUSY, EIO, type Result, type SysResult } from '../../../abi/errno.ts';
import { O_ACCMODE, O_NOCTTY, O_WRONLY } from '../../../abi/fcntl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDNORM,
  POLLWRNORM,
} from '../../../abi/poll.ts';
import { SIGWINCH } from '../../../abi/signal.ts';
import { makeDevice } from '../../../abi/stat.ts';
import {
  EXTPROC,
  IXON,
  TIOCPKT_DOSTOP,
  TIOCPKT_FLUSHREAD,
  TIOCPKT_FLUSHWRITE,
  TIOCPKT_IOCTL,
  TIOCPKT_NOSTOP,
  TIOCPKT_START,
  TIOCPKT_STOP,
  VSTART,
  VSTOP,
} from '../../../abi/termios.ts';
import type { Session } from '../../kernel/session.ts';
import type { Task } from '../../kernel/task.ts';
import type { ControllingTerminal } from '../../kernel/terminal.ts';
import { ByteRing } from '../../vfs/byte-ring.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { BufferSink, BufferSource, type Source } from '../../vfs/io.ts';
import type { Node } from '../../vfs/node.ts';
import {
  controllingTerminalOf,
  disassociate,
  hangUpSession,
  isSessionLeader,
  signalProcessGroup,
  type TerminalKernel,
  takeTerminal,
} from './job-control.ts';
import { LineDiscipline, type LineDriver } from './line-discipline.ts';
import { PtySlave } from './pty-slave.ts';
import type { Termios } from './termios.ts';

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
  readonly xPixels: number;
  readonly yPixels: number;
}

/** Bytes on their way that each direction holds before writers wait. */
const bufferedBytes = 12288;
/**
 * Output that a flush cannot take back: what would already be in the queue of the master's own line
 * discipline.
 */
const deliveredBytes = 4095;
const readableEvents = POLLIN | POLLRDNORM;
const writableEvents = POLLOUT | POLLWRNORM;
const everyEvent = readableEvents | writableEvents | POLLHUP | POLLERR | POLLPRI;

const scratch = new Uint8Array(4096);

/** The calls by which a terminal tells its master's side of events. */
export interface MasterSide {
  notify(events: number): void;
}

export class Terminal implements ControllingTerminal, LineDriver {
  readonly kernel: TerminalKernel;
  readonly index: number;
  readonly rdev: number;
  session: Session | undefined = undefined;
  readonly discipline: LineDiscipline = new LineDiscipline(this);
  readonly output: ByteRing = new ByteRing();
  readonly #input = new ByteRing();
  readonly #slaves = new Set<PtySlave>();
  /** End of the output that was there when the input now being processed came. */
  #deliveredEnd = 0;
  master: MasterSide | undefined = undefined;
  windowSize: WindowSize = { rows: 0, columns: 0, xPixels: 0, yPixels: 0 };
  /** TIOCSPTLCK: the slave cannot be opened yet. */
  locked = true;
  /** TIOCEXCL. */
  exclusive = false;
  /** tcflow on the master's side. */
  masterStopped = false;
  packetMode = false;
  /** TIOCPKT_* bits that the master has not seen. */
  packetStatus = 0;
  /** The last slave was closed (and none has been opened since): the master reads EIO. */
  slaveClosed = false;

  constructor(kernel: TerminalKernel, index: number) {
    this.kernel = kernel;
    this.index = index;
    this.rdev = makeDevice(UNIX98_PTY_SLAVE_MAJOR, index);
  }

  get termios(): Termios {
    return this.discipline.termios;
  }

  /** Opens the slave as `node` (its devpts node, or /dev/tty). */
  openSlave(node: Node, flags: number, caller: Caller): Result<PtySlave> {
    if (this.master === undefined || this.locked) return EIO;
    if (this.exclusive && this.#slaves.size > 0 && !isCapable(caller.credentials, CAP_SYS_ADMIN))
      return EBUSY;
    const slave = new PtySlave(this, node, flags);
    this.#slaves.add(slave);
    this.slaveClosed = false;
    if ((flags & O_NOCTTY) === 0 && (flags & O_ACCMODE) !== O_WRONLY) this.#offerTo(caller as Task);
    return slave;
  }

  slaveFileClosed(slave: PtySlave): void {
    this.#slaves.delete(slave);
    if (this.#slaves.size > 0 || this.master === undefined) return;
    this.exclusive = false;
    this.slaveClosed = true;
    this.master.notify(readableEvents | POLLHUP);
  }

  masterClosed(): void {
    this.master = undefined;
    this.hangUp();
  }

  /** Every open slave reads end-of-file from now on; the session leader is told (vhangup). */
  hangUp(): void {
    const slaves = [...this.#slaves];
    this.#slaves.clear();
    for (const slave of slaves) slave.hungUp = true;
    hangUpSession(this);
    for (const slave of slaves) slave.queue.notify(everyEvent);
    if (slaves.length > 0) this.slaveClosed = true;
    this.master?.notify(readableEvents | POLLHUP);
  }

  sessionEnded(session: Session): void {
    disassociate(session, this, 'exit');
  }

  setWindowSize(size: WindowSize): void {
    const old = this.windowSize;
    const same =
      old.rows === size.rows &&
      old.columns === size.columns &&
      old.xPixels === size.xPixels &&
      old.yPixels === size.yPixels;
    if (same) return;
    this.windowSize = size;
    signalProcessGroup(this.session?.foreground, SIGWINCH);
  }

  setTermios(termios: Termios): void {
    const old = this.termios;
    this.discipline.setTermios(termios);
    if (this.packetMode) this.#packetTermiosChanged(old, termios);
    this.#pump();
    this.notifySlaves(readableEvents | writableEvents);
  }

  flushInput(): void {
    this.discipline.flushInput();
    this.#input.discard(this.#input.length);
    this.#setPacketStatus(TIOCPKT_FLUSHREAD);
    this.master?.notify(writableEvents);
  }

  /** TCOFLUSH: output not yet at the master is dropped. */
  flushOutput(): void {
    this.#keepOutput(deliveredBytes);
    this.#setPacketStatus(TIOCPKT_FLUSHWRITE);
    this.notifySlaves(writableEvents);
  }

  #keepOutput(count: number): void {
    const output = this.output;
    if (output.length <= count) return;
    const kept = new Uint8Array(count);
    output.drain(new BufferSink(kept), count);
    output.discard(output.length);
    output.fill(new BufferSource(kept), count);
    this.#deliveredEnd = Math.min(this.#deliveredEnd, output.end);
  }

  /** Takes what the master writes. */
  writeInput(source: Source): SysResult {
    if (source.remaining === 0) return 0;
    if (this.masterStopped || this.inputRoom === 0) return EAGAIN;
    const taken = this.#input.fill(source, this.inputRoom);
    this.#pump();
    return taken;
  }

  get inputRoom(): number {
    return Math.max(0, bufferedBytes - this.#input.length);
  }

  /** Room for what slaves write; the output of one write may go past it (tabs to spaces). */
  get outputRoom(): number {
    return this.discipline.stopped ? 0 : Math.max(0, bufferedBytes - this.output.length);
  }

  /** Takes what a slave writes. The caller has checked job control. */
  writeOutput(source: Source): SysResult {
    if (source.remaining === 0) return 0;
    let total = 0;
    for (;;) {
      const room = Math.min(this.outputRoom, scratch.length, source.remaining);
      if (room === 0) return total === 0 ? EAGAIN : total;
      const taken = source.take(scratch.subarray(0, room));
      if (taken <= 0) return total === 0 ? taken : total;
      total += taken;
      this.discipline.transmit(scratch.subarray(0, taken));
      if (taken < room || source.remaining === 0) return total;
    }
  }

  /** The master has taken output: writers and echo that waited for room go on. */
  outputTaken(): void {
    this.discipline.flushEcho();
    this.notifySlaves(writableEvents);
  }

  /** A slave has read: input that waited for room follows. */
  inputTaken(): void {
    if (this.#input.length === 0) return;
    this.#pump();
    this.master?.notify(writableEvents);
  }

  /** tcflow(TCIOFF, TCION): passes what VSTOP holds back, but not what tcflow does. */
  sendFlowCharacter(byte: number): void {
    if (byte !== 0 && !this.discipline.stoppedByCall) this.transmit(Uint8Array.of(byte));
  }

  notifySlaves(events: number): void {
    for (const slave of this.#slaves) slave.queue.notify(events);
  }

  // LineDriver

  get hasRoom(): boolean {
    return this.output.length < bufferedBytes;
  }

  transmit(bytes: Uint8Array): void {
    if (this.master === undefined || bytes.length === 0) return;
    this.output.fill(new BufferSource(bytes), bytes.length);
    this.master.notify(readableEvents);
  }

  signal(signal: number): void {
    signalProcessGroup(this.session?.foreground, signal);
  }

  /** Echo of the same input has not left yet, so it goes too. */
  interrupted(): void {
    this.#keepOutput(Math.max(0, this.#deliveredEnd - this.output.position));
    this.flushOutput();
    this.#setPacketStatus(TIOCPKT_FLUSHREAD);
  }

  flowChanged(stopped: boolean): void {
    this.packetStatus &= ~(stopped ? TIOCPKT_START : TIOCPKT_STOP);
    this.#setPacketStatus(stopped ? TIOCPKT_STOP : TIOCPKT_START);
    if (!stopped) this.notifySlaves(writableEvents);
  }

  inputArrived(): void {
    this.notifySlaves(readableEvents);
  }

  /** A session leader without a terminal gets this one by opening it, if nobody else has it. */
  #offerTo(task: Task): void {
    if (this.session !== undefined || !isSessionLeader(task)) return;
    if (controllingTerminalOf(task) === undefined) takeTerminal(task, this);
  }

  /** Moves input into the discipline as far as it has room. */
  #pump(): void {
    while (this.#input.length > 0) {
      this.#deliveredEnd = this.output.end;
      const piece = new BufferSink(scratch);
      this.#input.peek(piece, scratch.length, 0);
      const taken = this.discipline.receive(scratch.subarray(0, piece.filled));
      this.#input.discard(Math.min(taken, this.#input.length));
      if (taken < piece.filled) return;
    }
  }

  #packetTermiosChanged(old: Termios, termios: Termios): void {
    const extproc = ((old.lflag | termios.lflag) & EXTPROC) !== 0;
    const flow = usesUsualFlowControl(termios);
    let bits = extproc ? TIOCPKT_IOCTL : 0;
    if (usesUsualFlowControl(old) !== flow) {
      this.packetStatus &= ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
      bits |= flow ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
    }
    if (bits !== 0) this.#setPacketStatus(bits);
  }

  #setPacketStatus(bits: number): void {
    if (!this.packetMode) return;
    this.packetStatus |= bits;
    this.master?.notify(readableEvents | POLLPRI);
  }
}

/** The master may do flow control itself: ^S and ^Q mean what they usually mean. */
function usesUsualFlowControl(termios: Termios): boolean {
  return (termios.iflag & IXON) !== 0 && termios.cc[VSTOP] === 0x13 && termios.cc[VSTART] === 0x11;
}
