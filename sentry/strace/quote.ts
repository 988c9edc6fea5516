// SPDX-License-Identifier: Apache-2.0
// Guest bytes as strace(1) prints them: quoted, with C escapes, cut after 32 bytes.
export const MAX_QUOTED = 32;

const escapes: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

/** `bytes` is a byte string (latin1); `cut` says that there was more than is shown. */
export function quoteString(bytes: string, cut = false): string {
  let text = '';
  for (let index = 0; index < bytes.length; index++) {
    const code = bytes.charCodeAt(index);
    text += escapes.get(code) ?? quoteByte(code, bytes.charCodeAt(index + 1));
  }
  return `"${text}"${cut ? '...' : ''}`;
}

export function quoteBytes(bytes: Uint8Array, cut = false): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return quoteString(text, cut);
}

function quoteByte(code: number, next: number): string {
  if (code >= 0x20 && code < 0x7f) return String.fromCharCode(code);
  // Three octal digits are needed only where a digit follows.
  const digits = next >= 0x30 && next <= 0x37 ? 3 : 1;
  return `\\${code.toString(8).padStart(digits, '0')}`;
}

/** Prints every byte in hexadecimal, as strace prints random ones. */
export function quoteHex(bytes: Uint8Array, cut = false): string {
  let text = '';
  for (const byte of bytes) text += `\\x${byte.toString(16).padStart(2, '0')}`;
  return `"${text}"${cut ? '...' : ''}`;
}

export function hexNumber(value: number): string {
  return value === 0 ? '0' : `0x${value.toString(16)}`;
}

export function pointer(at: number): string {
  return at === 0 ? 'NULL' : `0x${at.toString(16)}`;
}
