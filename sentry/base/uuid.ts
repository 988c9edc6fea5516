// SPDX-License-Identifier: Apache-2.0
// Universally unique identifiers (RFC 9562).

/** A random UUID of version 4. */
export function uuid(randomFill: (bytes: Uint8Array) => void): string {
  const bytes = new Uint8Array(16);
  randomFill(bytes);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
