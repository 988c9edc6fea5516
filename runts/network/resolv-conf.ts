// SPDX-License-Identifier: Apache-2.0
// resolv.conf(5): which servers the host asks, and what the guest finds there instead.
import { readFileSync } from 'node:fs';
import { PROXY_MOST_SERVERS, PROXY_NAMES_V4 } from '../../protocol/proxy.ts';
import { parseAddress } from './addresses.ts';

const NAME_SERVICE_PORT = 53;

export interface Resolver {
  readonly servers: readonly { readonly address: Uint8Array; readonly port: number }[];
  /** The guest's file. */
  readonly text: string;
}

export function readResolver(path = '/etc/resolv.conf'): Resolver {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    text = '';
  }
  return parseResolver(text);
}

export function parseResolver(text: string): Resolver {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const servers = lines.flatMap(([word, server = '']) => {
    const address = word === 'nameserver' ? parseAddress(server) : undefined;
    return address === undefined ? [] : [{ address, port: NAME_SERVICE_PORT }];
  });
  const others = lines.filter(([word = '']) => ['search', 'domain', 'options'].includes(word));
  const own = [`nameserver ${PROXY_NAMES_V4}`, ...others.map((words) => words.join(' '))];
  // As the C library does where none is named.
  const local = { address: Uint8Array.of(127, 0, 0, 1), port: NAME_SERVICE_PORT };
  return {
    servers: servers.length === 0 ? [local] : servers.slice(0, PROXY_MOST_SERVERS),
    text: `${own.join('\n')}\n`,
  };
}
