// SPDX-License-Identifier: Apache-2.0
// VERASE, VWERASE and VKILL: taking back what was typed and is not yet a line, on the screen too.
import {
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHOPRT,
  IUTF8,
  VERASE,
  VKILL,
  VWERASE,
} from '../../../abi/termios.ts';
import { isContinuation, isControl, isWordByte } from './characters.ts';
import type { Echo } from './echo.ts';
import type { ReadBuffer } from './read-buffer.ts';
import type { Termios } from './termios.ts';

const tab = 0x09;
const newline = 0x0a;
const backslash = 0x5c;

/** `command` is VERASE's, VWERASE's or VKILL's character. */
export function erase(command: number, termios: Termios, buffer: ReadBuffer, echo: Echo): void {
  if (!buffer.hasOpenLine) return;
  const { cc, lflag } = termios;
  const one = command === cc[VERASE];
  const line = !one && command !== cc[VWERASE] && command === cc[VKILL];
  const visibly = (lflag & ECHO) !== 0;
  if (line && (lflag & (ECHO | ECHOK | ECHOKE | ECHOE)) !== (ECHO | ECHOK | ECHOKE | ECHOE)) {
    killLine(command, termios, buffer, echo);
    return;
  }
  let seenWord = false;
  while (buffer.hasOpenLine) {
    const start = lastCharacter(termios, buffer);
    if (start < 0) break;
    const byte = buffer.at(start);
    if (!one && !line) {
      if (isWordByte(byte)) seenWord = true;
      else if (seenWord) break;
    }
    const end = buffer.head;
    buffer.head = start;
    if (visibly) showErased(byte, start, end, { one, command, termios, buffer, echo });
    if (one) break;
  }
  if (visibly && !buffer.hasOpenLine) echo.finishErasing();
}

/** VKILL where the terminal cannot rub out: the character, and a new line where ECHOK says so. */
function killLine(command: number, termios: Termios, buffer: ReadBuffer, echo: Echo): void {
  buffer.head = buffer.canonHead;
  if ((termios.lflag & ECHO) === 0) return;
  echo.finishErasing();
  echo.put(command, termios);
  if ((termios.lflag & ECHOK) !== 0) echo.putRaw(newline);
}

/** Where the last character of the open line begins; -1 where its first byte is missing. */
function lastCharacter(termios: Termios, buffer: ReadBuffer): number {
  const utf8 = (termios.iflag & IUTF8) !== 0;
  let position = buffer.head - 1;
  while (utf8 && isContinuation(buffer.at(position)) && position > buffer.canonHead) position -= 1;
  return utf8 && isContinuation(buffer.at(position)) ? -1 : position;
}

interface Erasure {
  readonly one: boolean;
  readonly command: number;
  readonly termios: Termios;
  readonly buffer: ReadBuffer;
  readonly echo: Echo;
}

/** Shows that the character at start..end, which begins with `byte`, is gone. */
function showErased(byte: number, start: number, end: number, erasure: Erasure): void {
  const { termios, buffer, echo } = erasure;
  const { lflag } = termios;
  if ((lflag & ECHOPRT) !== 0) {
    if (!echo.erasing) echo.putRaw(backslash);
    echo.erasing = true;
    echo.put(byte, termios);
    for (let position = start + 1; position < end; position += 1) {
      echo.putRaw(buffer.at(position));
      echo.moveBack();
    }
  } else if (erasure.one && (lflag & ECHOE) === 0) {
    echo.put(erasure.command, termios);
  } else if (byte === tab) {
    showErasedTab(termios, buffer, echo);
  } else {
    const control = isControl(byte);
    const asCaret = (lflag & ECHOCTL) !== 0;
    if (control && asCaret) echo.rubOut();
    if (!control || asCaret) echo.rubOut();
  }
}

function showErasedTab(termios: Termios, buffer: ReadBuffer, echo: Echo): void {
  let columns = 0;
  let position = buffer.head;
  while (position > buffer.canonHead) {
    position -= 1;
    const byte = buffer.at(position);
    if (byte === tab) {
      echo.rubOutTab(columns, true);
      return;
    }
    if (isControl(byte)) columns += (termios.lflag & ECHOCTL) !== 0 ? 2 : 0;
    else if ((termios.iflag & IUTF8) === 0 || !isContinuation(byte)) columns += 1;
  }
  echo.rubOutTab(columns, false);
}
