// SPDX-License-Identifier: Apache-2.0
// Echo of the N_TTY line discipline. What to show is queued as operations and becomes bytes when it is sent:
// echo may wait for room, and what an interrupt character drops must not have moved the cursor.
import { ECHOCTL } from '../../../abi/termios.ts';
import { ByteBuilder } from './byte-builder.ts';
import { isControl } from './characters.ts';
import { OutputProcessor } from './output-processor.ts';
import type { Termios } from './termios.ts';

/** Where processed bytes go. */
interface Transmitter {
  transmit(bytes: Uint8Array): void;
}

/** Echo held back beyond this is dropped. */
const heldOperations = 4096;
const tab = 0x09;
const backspace = 0x08;
const space = 0x20;

/** Operations: a byte as it is, or one of these (with a byte or a count in the low 8 bits). */
const opCaret = 0x100;
const opMoveBack = 0x200;
const opMarkLineStart = 0x300;
const opEraseTabFromLine = 0x400;
const opEraseTabFromTab = 0x500;

export class Echo {
  readonly #processor = new OutputProcessor();
  readonly #pending: number[] = [];
  readonly #output = new ByteBuilder();
  readonly #transmitter: Transmitter;
  /** Between the '\' and the '/' of ECHOPRT. */
  erasing = false;

  constructor(transmitter: Transmitter) {
    this.#transmitter = transmitter;
  }

  /** A typed character, as ECHO shows it. */
  put(byte: number, termios: Termios): void {
    const asCaret = (termios.lflag & ECHOCTL) !== 0 && isControl(byte) && byte !== tab;
    this.#queue(asCaret ? opCaret | byte : byte);
  }

  /** A byte that is no typed character. */
  putRaw(byte: number): void {
    this.#queue(byte);
  }

  /** Backs over one column and blanks it. */
  rubOut(): void {
    this.#queue(backspace);
    this.#queue(space);
    this.#queue(backspace);
  }

  /**
   * Backs over a tab that followed `columns` columns of text, counted from a tab or from the line's
   * start.
   */
  rubOutTab(columns: number, afterTab: boolean): void {
    this.#queue((afterTab ? opEraseTabFromTab : opEraseTabFromLine) | (columns & 7));
  }

  /** The cursor's column is one less than bytes sent would have it. */
  moveBack(): void {
    this.#queue(opMoveBack);
  }

  /** The line now being typed begins at this column. */
  markLineStart(): void {
    this.#queue(opMarkLineStart);
  }

  finishErasing(): void {
    if (!this.erasing) return;
    this.putRaw(0x2f);
    this.erasing = false;
  }

  /** Forgets echo not yet sent. */
  drop(): void {
    this.#pending.length = 0;
  }

  /** Sends what is there. */
  flush(termios: Termios): void {
    if (this.#pending.length === 0) return;
    for (const operation of this.#pending) this.#perform(operation, termios);
    this.#pending.length = 0;
    this.#send();
  }

  /** Output of a program. */
  output(bytes: Uint8Array, termios: Termios): void {
    for (let index = 0; index < bytes.length; index += 1) {
      this.#processor.put(bytes[index] as number, termios, this.#output);
    }
    this.#send();
  }

  #queue(operation: number): void {
    if (this.#pending.length < heldOperations) this.#pending.push(operation);
  }

  #perform(operation: number, termios: Termios): void {
    const value = operation & 0xff;
    switch (operation & ~0xff) {
      case 0:
        if (value === 0xff) this.#processor.putUnprocessed(value, this.#output);
        else this.#processor.put(value, termios, this.#output);
        return;
      case opCaret:
        this.#processor.putCaret(value, this.#output);
        return;
      case opMoveBack:
        this.#processor.moveBack();
        return;
      case opMarkLineStart:
        this.#processor.canonColumn = this.#processor.column;
        return;
      default:
        this.#eraseTab(operation & ~0xff, value);
    }
  }

  #eraseTab(from: number, columns: number): void {
    const before = from === opEraseTabFromTab ? columns : columns + this.#processor.canonColumn;
    for (let steps = 8 - (before & 7); steps > 0; steps -= 1) {
      this.#output.push(backspace);
      this.#processor.moveBack();
    }
  }

  #send(): void {
    this.#transmitter.transmit(this.#output.bytes());
    this.#output.clear();
  }
}
