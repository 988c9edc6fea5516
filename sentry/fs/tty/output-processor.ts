// SPDX-License-Identifier: Apache-2.0
// Output processing of the N_TTY line discipline: what OPOST and its companions do to a byte on its
// way to the terminal, and the column that they (and the erasing of tabs) need. termios(3).
import {
  IUTF8,
  OCRNL,
  OLCUC,
  ONLCR,
  ONLRET,
  ONOCR,
  OPOST,
  TABDLY,
  XTABS,
} from '../../../abi/termios.ts';
import type { ByteBuilder } from './byte-builder.ts';
import { isContinuation, isControl, toUpper } from './characters.ts';
import type { Termios } from './termios.ts';

const newline = 0x0a;
const carriageReturn = 0x0d;
const tab = 0x09;
const backspace = 0x08;
const space = 0x20;

export class OutputProcessor {
  column = 0;
  /** Column where the line now being typed began. */
  canonColumn = 0;

  /** One byte, processed as OPOST says. */
  put(byte: number, termios: Termios, out: ByteBuilder): void {
    if ((termios.oflag & OPOST) === 0) {
      out.push(byte);
      return;
    }
    switch (byte) {
      case newline:
        this.#newline(termios, out);
        return;
      case carriageReturn:
        this.#carriageReturn(termios, out);
        return;
      case tab:
        this.#tab(termios, out);
        return;
      case backspace:
        if (this.column > 0) this.column -= 1;
        out.push(byte);
        return;
      default:
        this.#ordinary(byte, termios, out);
    }
  }

  /** Linux echoes 0xff untouched: its echo buffer uses that byte as an escape. */
  putUnprocessed(byte: number, out: ByteBuilder): void {
    out.push(byte);
    this.column += 1;
  }

  /** '^X' for a control character. */
  putCaret(byte: number, out: ByteBuilder): void {
    out.push(0x5e);
    out.push(byte ^ 0x40);
    this.column += 2;
  }

  moveBack(): void {
    if (this.column > 0) this.column -= 1;
  }

  #newline(termios: Termios, out: ByteBuilder): void {
    if ((termios.oflag & ONLRET) !== 0) this.column = 0;
    if ((termios.oflag & ONLCR) !== 0) {
      this.column = 0;
      this.canonColumn = 0;
      out.push(carriageReturn);
    } else {
      this.canonColumn = this.column;
    }
    out.push(newline);
  }

  #carriageReturn(termios: Termios, out: ByteBuilder): void {
    if ((termios.oflag & ONOCR) !== 0 && this.column === 0) return;
    const asNewline = (termios.oflag & OCRNL) !== 0;
    if (!asNewline || (termios.oflag & ONLRET) !== 0) {
      this.column = 0;
      this.canonColumn = 0;
    }
    out.push(asNewline ? newline : carriageReturn);
  }

  #tab(termios: Termios, out: ByteBuilder): void {
    const count = 8 - (this.column & 7);
    this.column += count;
    if ((termios.oflag & TABDLY) !== XTABS) {
      out.push(tab);
      return;
    }
    for (let index = 0; index < count; index += 1) out.push(space);
  }

  #ordinary(byte: number, termios: Termios, out: ByteBuilder): void {
    let shown = byte;
    if (!isControl(byte)) {
      if ((termios.oflag & OLCUC) !== 0) shown = toUpper(byte);
      if ((termios.iflag & IUTF8) === 0 || !isContinuation(byte)) this.column += 1;
    }
    out.push(shown);
  }
}
