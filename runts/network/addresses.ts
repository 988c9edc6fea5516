// SPDX-License-Identifier: Apache-2.0
// Addresses and ports as options have them.
import { isIPv4, isIPv6 } from 'node:net';

/** 4 or 16 bytes; undefined where `text` is no address. Scopes (%eth0) are none of it. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  // The URL parser writes an IPv4 tail as two groups, and zeros shortened in one way.
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const first = groups(head);
  const last = groups(tail ?? '');
  const zeros = new Array<number>(8 - first.length - last.length).fill(0);
  return Uint8Array.from(
    [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 255]),
  );
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** 1 to 65535, or undefined. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
