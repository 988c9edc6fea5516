// SPDX-License-Identifier: Apache-2.0
// Which AF_INET and AF_INET6 sockets socket(2) makes, and for whom (inet_create, inet6_create;
// ip(7), raw(7), icmp(7)): the same in the sandbox's own network and in one of the host's.
import { CAP_NET_RAW } from '../../../abi/capability.ts';
import {
  EACCES,
  EINVAL,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  AF_INET6,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_MAX,
  IPPROTO_TCP,
  IPPROTO_UDP,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
} from '../../../abi/socket.ts';
import type { Settings } from '../../base/settings.ts';
import type { Task } from '../../kernel/task.ts';
import { type Credentials, isCapable } from '../../vfs/credentials.ts';

/** The protocols of the kinds of sockets that need no privilege; 0 means the first. */
const protocolsOf: ReadonlyMap<number, readonly [number, ...number[]]> = new Map([
  [SOCK_STREAM, [IPPROTO_TCP]],
  [SOCK_DGRAM, [IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6]],
]);

/** The protocol of the socket that the caller wants and may have, or the errno. */
export function inetProtocol(
  { credentials, kernel }: Task,
  domain: number,
  type: number,
  protocol: number,
): SysResult {
  if (protocol < 0 || protocol >= IPPROTO_MAX) return EINVAL;
  if (type === SOCK_RAW) return rawProtocol(credentials, protocol);
  const protocols = protocolsOf.get(type);
  if (protocols === undefined) return ESOCKTNOSUPPORT;
  const chosen = protocol === 0 ? protocols[0] : protocol;
  const isForeign = chosen === (domain === AF_INET6 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  if (!protocols.includes(chosen) || isForeign) return EPROTONOSUPPORT;
  return isPing(chosen) && !mayPing(credentials, kernel.settings) ? EACCES : chosen;
}

export function isPing(protocol: number): boolean {
  return protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6;
}

function rawProtocol(credentials: Credentials, protocol: number): SysResult {
  if (protocol === 0) return EPROTONOSUPPORT;
  return isCapable(credentials, CAP_NET_RAW) ? protocol : EPERM;
}

/** ping_init_sock: one of the caller's groups is in net.ipv4.ping_group_range. */
function mayPing(credentials: Credentials, settings: Settings): boolean {
  const [first = 1, last = 0] = settings.text('net.ipv4.ping_group_range').split('\t').map(Number);
  return [credentials.egid, ...credentials.groups].some((group) => group >= first && group <= last);
}
