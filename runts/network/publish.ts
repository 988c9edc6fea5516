// SPDX-License-Identifier: Apache-2.0
// --publish [HOST:]PORT:PORT[/udp]: a port of the host that leads to one of the guest. The sockets are
// made here, where the caller's rights count and a failure is told before anything starts.
import { getSystemErrorMap } from 'node:util';
import { isErrno, type SysResult } from '../../abi/errno.ts';
import {
  AF_INET,
  AF_INET6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOCKADDR_IN_BYTES,
  SOCKADDR_IN6_BYTES,
  SOL_IPV6,
  SOL_SOCKET,
} from '../../abi/socket.ts';
import { native } from '../../native/addon.ts';
import { PROXY_MOST_PUBLISHED } from '../../protocol/proxy.ts';
import { Failure } from '../failure.ts';
import { parseAddress, parsePort } from './addresses.ts';

const BACKLOG = 128;
const one = new Uint8Array(Int32Array.of(1).buffer);

export interface Publication {
  readonly text: string;
  readonly address: Uint8Array;
  readonly hostPort: number;
  readonly port: number;
  readonly udp: boolean;
}

export function parsePublications(texts: readonly string[]): Publication[] {
  if (texts.length > PROXY_MOST_PUBLISHED)
    throw new Failure('RUNTS_E_OPTION_VALUE', `--publish: more than ${PROXY_MOST_PUBLISHED} ports`);
  return texts.map(parsePublication);
}

function parsePublication(text: string): Publication {
  const parts = /^(?:(\[[^\]]+\]|[^:[\]]+):)?(\d+):(\d+)(?:\/(tcp|udp))?$/.exec(text);
  const address = parseAddress((parts?.[1] ?? '127.0.0.1').replaceAll(/[[\]]/g, ''));
  const [hostPort, port] = [parsePort(parts?.[2] ?? ''), parsePort(parts?.[3] ?? '')];
  if (address === undefined || hostPort === undefined || port === undefined)
    throw new Failure(
      'RUNTS_E_OPTION_VALUE',
      `--publish: '${text}' is not [ADDRESS:]PORT:PORT, with /tcp or /udp after it or not`,
    );
  return { text, address, hostPort, port, udp: parts?.[4] === 'udp' };
}

/** A listening socket (UDP: a bound one). */
export function openPublished({ text, address, hostPort, udp }: Publication): number {
  const isV4 = address.length === 4;
  const fd = native.hostSocket(isV4 ? AF_INET : AF_INET6, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
  const opened = isErrno(fd) ? fd : prepare(fd, address, hostPort, udp);
  if (!isErrno(opened)) return fd;
  if (!isErrno(fd)) native.close(fd);
  const why = getSystemErrorMap().get(opened)?.[1] ?? `errno ${-opened}`;
  throw new Failure('RUNTS_E_PUBLISH', `--publish ${text}: ${why}`);
}

function prepare(fd: number, address: Uint8Array, port: number, udp: boolean): SysResult {
  const isV4 = address.length === 4;
  if (!udp) native.setSocketOption(fd, SOL_SOCKET, SO_REUSEADDR, one);
  if (!isV4) native.setSocketOption(fd, SOL_IPV6, IPV6_V6ONLY, one);
  const name = new Uint8Array(isV4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  name[0] = isV4 ? AF_INET : AF_INET6;
  name.set([port >> 8, port & 255], 2);
  name.set(address, isV4 ? 4 : 8);
  const bound = native.bindSocket(fd, name);
  return isErrno(bound) || udp ? bound : native.listenSocket(fd, BACKLOG);
}
