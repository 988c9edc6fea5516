// SPDX-License-Identifier: Apache-2.0
// Terminal settings as values: struct termios, termios2 and termio (termios(3), ioctl_tty(2)).
import {
  B38400,
  BOTHER,
  baudRates,
  CBAUD,
  CIBAUD,
  CREAD,
  CS8,
  CSIZE,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  IBSHIFT,
  ICANON,
  ICRNL,
  IEXTEN,
  ISIG,
  IXON,
  NCCS,
  ONLCR,
  OPOST,
  PARENB,
  termioLayout,
  termios2Layout,
  termiosLayout,
} from '../../../abi/termios.ts';

export interface Termios {
  readonly iflag: number;
  readonly oflag: number;
  readonly cflag: number;
  readonly lflag: number;
  readonly line: number;
  /** c_cc, NCCS long, never changed in place. */
  readonly cc: Uint8Array;
  readonly inputSpeed: number;
  readonly outputSpeed: number;
}

/**
 * The settings of a new pty slave: include/linux/termios_internal.h INIT_C_CC and drivers/tty's
 * tty_std_termios.
 */
export const standardTermios: Termios = {
  iflag: ICRNL | IXON,
  oflag: OPOST | ONLCR,
  cflag: B38400 | CS8 | CREAD,
  lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
  line: 0,
  // INTR QUIT ERASE KILL EOF TIME MIN SWTC START STOP SUSP EOL REPRINT DISCARD WERASE LNEXT EOL2
  cc: Uint8Array.of(
    3,
    0x1c,
    0x7f,
    0x15,
    4,
    0,
    1,
    0,
    0x11,
    0x13,
    0x1a,
    0,
    0x12,
    0x0f,
    0x17,
    0x16,
    0,
    0,
    0,
  ),
  inputSpeed: 38400,
  outputSpeed: 38400,
};

/** struct termios, 36 bytes: TCGETS. */
export function writeTermios(view: DataView, termios: Termios): void {
  const at = termiosLayout;
  view.setUint32(at.iflag, termios.iflag, true);
  view.setUint32(at.oflag, termios.oflag, true);
  view.setUint32(at.cflag, termios.cflag, true);
  view.setUint32(at.lflag, termios.lflag, true);
  view.setUint8(at.line, termios.line);
  for (let index = 0; index < NCCS; index += 1)
    view.setUint8(at.cc + index, termios.cc[index] as number);
}

/** struct termios2, 44 bytes: TCGETS2. */
export function writeTermios2(view: DataView, termios: Termios): void {
  writeTermios(view, termios);
  view.setUint32(termios2Layout.ispeed, termios.inputSpeed, true);
  view.setUint32(termios2Layout.ospeed, termios.outputSpeed, true);
}

/** struct termio, 18 bytes: TCGETA. */
export function writeTermio(view: DataView, termios: Termios): void {
  const at = termioLayout;
  view.setUint16(at.iflag, termios.iflag & 0xffff, true);
  view.setUint16(at.oflag, termios.oflag & 0xffff, true);
  view.setUint16(at.cflag, termios.cflag & 0xffff, true);
  view.setUint16(at.lflag, termios.lflag & 0xffff, true);
  view.setUint8(at.line, termios.line);
  for (let index = 0; index < at.ccCount; index += 1)
    view.setUint8(at.cc + index, termios.cc[index] as number);
}

/** A pty has eight bits, no parity and a receiver that is always on. */
function ptyControlFlags(cflag: number): number {
  return ((cflag & ~(CSIZE | PARENB)) | CS8 | CREAD) >>> 0;
}

export function readTermios(view: DataView): Termios {
  const cflag = view.getUint32(termiosLayout.cflag, true);
  return { ...readCommon(view), ...speeds(cflag, undefined) };
}

export function readTermios2(view: DataView): Termios {
  const cflag = view.getUint32(termiosLayout.cflag, true);
  const explicit = {
    input: view.getUint32(termios2Layout.ispeed, true),
    output: view.getUint32(termios2Layout.ospeed, true),
  };
  return { ...readCommon(view), ...speeds(cflag, explicit) };
}

/** termio has the low halves only: the high ones stay as they are in `old`. */
export function readTermio(view: DataView, old: Termios): Termios {
  const at = termioLayout;
  const high = 0xffff0000;
  const cc = old.cc.slice();
  for (let index = 0; index < at.ccCount; index += 1) cc[index] = view.getUint8(at.cc + index);
  const cflag = ((old.cflag & high) | view.getUint16(at.cflag, true)) >>> 0;
  return {
    iflag: ((old.iflag & high) | view.getUint16(at.iflag, true)) >>> 0,
    oflag: ((old.oflag & high) | view.getUint16(at.oflag, true)) >>> 0,
    cflag: ptyControlFlags(cflag),
    lflag: ((old.lflag & high) | view.getUint16(at.lflag, true)) >>> 0,
    line: view.getUint8(at.line),
    cc,
    ...speeds(cflag, undefined),
  };
}

function readCommon(view: DataView): Omit<Termios, 'inputSpeed' | 'outputSpeed'> {
  const at = termiosLayout;
  const cc = new Uint8Array(NCCS);
  for (let index = 0; index < NCCS; index += 1) cc[index] = view.getUint8(at.cc + index);
  return {
    iflag: view.getUint32(at.iflag, true),
    oflag: view.getUint32(at.oflag, true),
    cflag: ptyControlFlags(view.getUint32(at.cflag, true)),
    lflag: view.getUint32(at.lflag, true),
    line: view.getUint8(at.line),
    cc,
  };
}

/** Speeds mean nothing to a pty, but programs read back what they set. */
function speeds(
  cflag: number,
  explicit: { readonly input: number; readonly output: number } | undefined,
): { inputSpeed: number; outputSpeed: number } {
  const outputSpeed = speedOf(cflag & CBAUD, explicit?.output ?? 38400);
  const inputCode = ((cflag & CIBAUD) >>> IBSHIFT) & CBAUD;
  const inputSpeed =
    inputCode === 0 ? outputSpeed : speedOf(inputCode, explicit?.input ?? outputSpeed);
  return { inputSpeed, outputSpeed };
}

function speedOf(code: number, explicit: number): number {
  if (code === BOTHER) return explicit;
  const index = (code & BOTHER) === 0 ? code : (code & 0xf) + 15;
  return baudRates[index] ?? 38400;
}
