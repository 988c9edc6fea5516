// SPDX-License-Identifier: Apache-2.0
// Files of the host's /proc/net that show the network which the guest shares: opened at boot, read
// when the guest reads its own. Of the host's Unix, netlink and packet sockets the guest sees
// nothing: those are the Sentry's.
import { AT_FDCWD, O_RDONLY } from '../../../abi/fcntl.ts';
import { native } from '../../../native/addon.ts';

const names = [
  'arp',
  'dev',
  'dev_mcast',
  'fib_trie',
  'icmp',
  'icmp6',
  'if_inet6',
  'igmp',
  'igmp6',
  'ipv6_route',
  'netstat',
  'protocols',
  'raw',
  'raw6',
  'route',
  'snmp',
  'snmp6',
  'sockstat',
  'sockstat6',
  'tcp',
  'tcp6',
  'udp',
  'udp6',
] as const;

const pieceBytes = 65_536;
/** A table of connections may be long; nothing is read past this. */
const mostBytes = 8_388_608;

/** -1: the host has none (no IPv6): the file is empty. */
export function openNetFiles(): ReadonlyMap<string, number> {
  const files = new Map<string, number>();
  for (const name of names) {
    files.set(name, native.openat2(AT_FDCWD, `/proc/self/net/${name}`, O_RDONLY, 0, 0));
  }
  return files;
}

export function readNetFile(hostFd: number): string {
  let text = '';
  if (hostFd < 0) return text;
  const piece = Buffer.alloc(pieceBytes);
  while (text.length < mostBytes) {
    const count = native.pread(hostFd, piece, 0, pieceBytes, text.length);
    if (count <= 0) break;
    text += piece.toString('latin1', 0, count);
  }
  return text;
}
