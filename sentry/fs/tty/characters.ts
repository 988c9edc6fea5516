// SPDX-License-Identifier: Apache-2.0
// Classes of bytes as the kernel's terminal code sees them: ASCII and Latin-1 (lib/ctype.c's classes).

export function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f;
}

/** A byte inside a UTF-8 sequence. */
export function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Letters (Latin-1's included), digits and '_': what a word is to VWERASE. */
export function isWordByte(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  const upper = byte & ~0x20;
  if (upper >= 0x41 && upper <= 0x5a && byte < 0x80) return true;
  if (byte >= 0xc0) return byte !== 0xd7 && byte !== 0xf7;
  return byte === 0x5f;
}

export function toLower(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte + 0x20;
  return byte >= 0xc0 && byte <= 0xde && byte !== 0xd7 ? byte + 0x20 : byte;
}

export function toUpper(byte: number): number {
  if (byte >= 0x61 && byte <= 0x7a) return byte - 0x20;
  return byte >= 0xe0 && byte !== 0xf7 ? byte - 0x20 : byte;
}
