// SPDX-License-Identifier: Apache-2.0
// Addresses as text (inet_pton(3)), for what the Sentry itself says of them.
import { type Endpoint, type IpAddress, isV4 } from './address.ts';

/** The address that `text` is, which must be one. */
export function ipOf(text: string): IpAddress {
  if (!text.includes(':')) return String.fromCharCode(...text.split('.').map(Number));
  const [head = '', tail] = text.split('::');
  const first = groups(head);
  const last = groups(tail ?? '');
  const middle =
    tail === undefined ? [] : new Array<number>(8 - first.length - last.length).fill(0);
  return [...first, ...middle, ...last]
    .map((group) => String.fromCharCode(group >> 8, group & 0xff))
    .join('');
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** ADDRESS:PORT, without a port where it is 0. IPv6 addresses are in brackets then. */
export function formatEndpoint({ ip, port }: Endpoint): string {
  const address = formatIp(ip);
  if (port === 0) return address;
  return isV4(ip) ? `${address}:${port}` : `[${address}]:${port}`;
}

function formatIp(ip: IpAddress): string {
  if (isV4(ip)) return Array.from(ip, (char) => char.charCodeAt(0)).join('.');
  const words: string[] = [];
  for (let at = 0; at < ip.length; at += 2)
    words.push(((ip.charCodeAt(at) << 8) | ip.charCodeAt(at + 1)).toString(16));
  // The longest row of zeros is left out.
  const zeros = words
    .join(':')
    .match(/\b0(:0)+\b/g)
    ?.sort((a, b) => b.length - a.length)[0];
  if (zeros === undefined) return words.join(':');
  return words.join(':').replace(new RegExp(`(^|:)${zeros}(:|$)`), '::');
}
