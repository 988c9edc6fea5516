// SPDX-License-Identifier: Apache-2.0
// The N_TTY line discipline (termios(3)): input as a person types it becomes lines, signals, flow
// control and echo; output goes through OPOST. It knows no files and no processes: a LineDriver
// stands for the wire to the terminal and for the foreground process group.
import type { SysResult } from '../../../abi/errno.ts';
import { SIGINT, SIGQUIT, SIGTSTP } from '../../../abi/signal.ts';
import {
  ECHO,
  ECHOCTL,
  ECHONL,
  EXTPROC,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IUCLC,
  IXANY,
  IXON,
  NOFLSH,
  PARMRK,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VMIN,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VTIME,
  VWERASE,
} from '../../../abi/termios.ts';
import type { Sink } from '../../vfs/io.ts';
import { toLower } from './characters.ts';
import { Echo } from './echo.ts';
import { erase } from './line-editing.ts';
import { endOfFileByte, ReadBuffer, readBufferBytes } from './read-buffer.ts';
import { standardTermios, type Termios } from './termios.ts';

/** The two sides of a line discipline. Nothing here sleeps. */
export interface LineDriver {
  /** Room for more bytes: echo waits for it (programs' output is held back by the owner). */
  readonly hasRoom: boolean;
  /** Bytes for the terminal: echo and processed output. The driver copies them. */
  transmit(bytes: Uint8Array): void;
  /** A signal for the foreground process group. */
  signal(signal: number): void;
  /**
   * An interrupt character: output still on its way is to be dropped, and both flushes told (packet
   * mode).
   */
  interrupted(): void;
  /** Output was stopped or started (IXON, tcflow). */
  flowChanged(stopped: boolean): void;
  /** There is something to read. */
  inputArrived(): void;
}

const newline = 0x0a;
const carriageReturn = 0x0d;
const disabled = 0;

export class LineDiscipline {
  readonly buffer: ReadBuffer = new ReadBuffer();
  readonly echo: Echo;
  readonly #driver: LineDriver;
  #termios: Termios = standardTermios;
  /** VLNEXT was typed: the next byte is taken as it is. */
  #literalNext = false;
  /** Stopped by VSTOP or by tcflow. */
  #stopped = false;
  /** tcflow(TCOOFF): only tcflow(TCOON) starts it again. */
  #stoppedByCall = false;

  constructor(driver: LineDriver) {
    this.#driver = driver;
    this.echo = new Echo(driver);
  }

  get termios(): Termios {
    return this.#termios;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Stopped by tcflow(TCOOFF), so that VSTART cannot start it. */
  get stoppedByCall(): boolean {
    return this.#stoppedByCall;
  }

  get canonical(): boolean {
    return (this.#termios.lflag & ICANON) !== 0 && (this.#termios.lflag & EXTPROC) === 0;
  }

  setTermios(termios: Termios): void {
    const old = this.#termios;
    this.#termios = termios;
    if (((old.lflag ^ termios.lflag) & (ICANON | EXTPROC)) !== 0) {
      this.buffer.canonicalChanged((termios.lflag & ICANON) !== 0);
      this.echo.erasing = false;
      this.#literalNext = false;
    }
    // A terminal stopped by VSTOP would hang for good once VSTART means nothing any more.
    if ((old.iflag & IXON) !== 0 && (termios.iflag & IXON) === 0) this.#startWithEcho();
  }

  /** Bytes from the terminal. Answers how many were taken: fewer where the input queue is full. */
  receive(bytes: Uint8Array): number {
    let taken = 0;
    while (taken < bytes.length && this.#makeRoom()) {
      this.#receiveByte(bytes[taken] as number);
      taken += 1;
    }
    this.flushEcho();
    if (taken > 0 && this.buffer.length > 0) this.#driver.inputArrived();
    return taken;
  }

  /** Processes output into the terminal: the caller has checked `stopped` and its room. */
  transmit(bytes: Uint8Array): void {
    this.flushEcho();
    this.echo.output(bytes, this.#termios);
  }

  /** Sends echo that waited for room. */
  flushEcho(): void {
    if (!this.#stopped && this.#driver.hasRoom) this.echo.flush(this.#termios);
  }

  /** TIOCSTI: as if typed. */
  simulate(byte: number): void {
    this.receive(Uint8Array.of(byte));
  }

  /** True where a read gets something (`forPoll`: where poll says so, which minds VMIN). */
  inputAvailable(forPoll: boolean): boolean {
    if (this.canonical) return this.buffer.hasLine;
    const cc = this.#termios.cc;
    const least = forPoll && cc[VTIME] === 0 && cc[VMIN] !== 0 ? (cc[VMIN] as number) : 1;
    return this.buffer.length >= least;
  }

  /** Reads what is there, a line at most in canonical mode. */
  read(sink: Sink): SysResult {
    if (this.canonical) return this.buffer.readLine(sink, sink.remaining);
    return this.buffer.readRaw(sink, sink.remaining);
  }

  /** FIONREAD. */
  inputBytes(): number {
    return this.canonical ? this.buffer.lineBytes() : this.buffer.length;
  }

  /** TCIFLUSH. */
  flushInput(): void {
    this.buffer.clear();
    this.echo.erasing = false;
  }

  /** tcflow(TCOOFF). */
  stopByCall(): void {
    if (this.#stoppedByCall) return;
    this.#stoppedByCall = true;
    this.#stop();
  }

  /** tcflow(TCOON). */
  startByCall(): void {
    if (!this.#stoppedByCall) return;
    this.#stoppedByCall = false;
    this.#start();
  }

  #start(): void {
    if (!this.#stopped || this.#stoppedByCall) return;
    this.#stopped = false;
    this.#driver.flowChanged(false);
  }

  /** Echo that was held back goes out at once; tcflow and signals leave it to the next input or output. */
  #startWithEcho(): void {
    this.#start();
    this.flushEcho();
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#driver.flowChanged(true);
  }

  /**
   * Room for one more byte, in the worst case (PARMRK doubles one). A canonical line that fills the
   * queue must still be able to end: then the newest byte gives way to each that follows.
   */
  #makeRoom(): boolean {
    const buffer = this.buffer;
    let room = readBufferBytes - buffer.length;
    if ((this.#termios.iflag & PARMRK) !== 0) room = Math.ceil(room / 3);
    room -= 1;
    if (room > 0) return true;
    const overflow = (this.#termios.lflag & ICANON) !== 0 && buffer.canonHead === buffer.tail;
    if (overflow && room < 0) buffer.head -= 1;
    return overflow;
  }

  #receiveByte(received: number): void {
    const { iflag, lflag } = this.#termios;
    let byte = received;
    if ((iflag & ISTRIP) !== 0) byte &= 0x7f;
    if ((iflag & IUCLC) !== 0 && (lflag & IEXTEN) !== 0) byte = toLower(byte);
    if (this.#literalNext) {
      this.#literalNext = false;
      this.#storeEchoed(byte);
    } else if ((lflag & EXTPROC) !== 0) {
      this.buffer.put(byte);
    } else if (!this.#flowControl(byte) && !this.#signalCharacter(byte)) {
      this.#receiveText(byte);
    }
  }

  /** True where `byte` was VSTART or VSTOP. */
  #flowControl(byte: number): boolean {
    if ((this.#termios.iflag & IXON) === 0 || byte === disabled) return false;
    const cc = this.#termios.cc;
    if (byte === cc[VSTART]) this.#startWithEcho();
    else if (byte === cc[VSTOP]) this.#stop();
    else return false;
    return true;
  }

  /** True where `byte` was VINTR, VQUIT or VSUSP. */
  #signalCharacter(byte: number): boolean {
    const { cc, lflag, iflag } = this.#termios;
    if ((lflag & ISIG) === 0 || byte === disabled) return false;
    const signal =
      byte === cc[VINTR] ? SIGINT : byte === cc[VQUIT] ? SIGQUIT : byte === cc[VSUSP] ? SIGTSTP : 0;
    if (signal === 0) return false;
    this.#driver.signal(signal);
    if ((lflag & NOFLSH) === 0) {
      this.echo.drop();
      this.flushInput();
      this.#literalNext = false;
      this.#driver.interrupted();
    }
    if ((iflag & IXON) !== 0) this.#start();
    if ((lflag & ECHO) !== 0) this.echo.put(byte, this.#termios);
    else this.flushEcho();
    return true;
  }

  #receiveText(received: number): void {
    const { iflag, lflag } = this.#termios;
    if (this.#stopped && (iflag & IXON) !== 0 && (iflag & IXANY) !== 0) this.#startWithEcho();
    let byte = received;
    if (byte === carriageReturn) {
      if ((iflag & IGNCR) !== 0) return;
      if ((iflag & ICRNL) !== 0) byte = newline;
    } else if (byte === newline && (iflag & INLCR) !== 0) {
      byte = carriageReturn;
    }
    if ((lflag & ICANON) !== 0 && this.#canonicalCharacter(byte)) return;
    if (byte === newline && received === carriageReturn) this.#storeNewline();
    else this.#storeEchoed(byte);
  }

  /** True where `byte` edits or ends the line. */
  #canonicalCharacter(byte: number): boolean {
    const { cc, lflag } = this.#termios;
    if (byte === newline) {
      if ((lflag & (ECHO | ECHONL)) !== 0) this.echo.putRaw(newline);
      this.buffer.putLineEnd(newline);
      return true;
    }
    if (byte === disabled) return false;
    const extended = (lflag & IEXTEN) !== 0;
    if (byte === cc[VERASE] || byte === cc[VKILL] || (extended && byte === cc[VWERASE])) {
      erase(byte, this.#termios, this.buffer, this.echo);
    } else if (extended && byte === cc[VLNEXT]) {
      this.#quoteNext();
    } else if (extended && byte === cc[VREPRINT] && (lflag & ECHO) !== 0) {
      this.#reprint(byte);
    } else if (byte === cc[VEOF]) {
      this.buffer.putLineEnd(endOfFileByte);
    } else if (byte === cc[VEOL] || (extended && byte === cc[VEOL2])) {
      this.#endLine(byte);
    } else {
      return false;
    }
    return true;
  }

  #quoteNext(): void {
    this.#literalNext = true;
    const { lflag } = this.#termios;
    if ((lflag & ECHO) === 0) return;
    this.echo.finishErasing();
    if ((lflag & ECHOCTL) === 0) return;
    this.echo.putRaw(0x5e);
    this.echo.putRaw(0x08);
  }

  #reprint(byte: number): void {
    this.echo.finishErasing();
    this.echo.put(byte, this.#termios);
    this.echo.putRaw(newline);
    for (let position = this.buffer.canonHead; position !== this.buffer.head; position += 1) {
      this.echo.put(this.buffer.at(position), this.#termios);
    }
  }

  #endLine(byte: number): void {
    if ((this.#termios.lflag & ECHO) !== 0) {
      if (!this.buffer.hasOpenLine) this.echo.markLineStart();
      this.echo.put(byte, this.#termios);
    }
    this.#doubleMark(byte);
    this.buffer.putLineEnd(byte);
  }

  #storeEchoed(byte: number): void {
    if ((this.#termios.lflag & ECHO) !== 0) {
      this.echo.finishErasing();
      if (!this.buffer.hasOpenLine) this.echo.markLineStart();
      this.echo.put(byte, this.#termios);
    }
    this.#doubleMark(byte);
    this.buffer.put(byte);
  }

  /** Outside canonical mode a newline made by ICRNL moves the cursor; one typed as such shows as ^J. */
  #storeNewline(): void {
    if ((this.#termios.lflag & ECHO) !== 0) this.echo.putRaw(newline);
    this.buffer.put(newline);
  }

  /** PARMRK: an 0xff of the data is told from a mark by being doubled. */
  #doubleMark(byte: number): void {
    if (byte === 0xff && (this.#termios.iflag & PARMRK) !== 0) this.buffer.put(byte);
  }
}
