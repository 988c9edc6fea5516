// SPDX-License-Identifier: Apache-2.0
// The options of the levels IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP and IPPROTO_UDP as data: which values
// Linux takes, what an untouched socket has, and what the option does here. docs/socket-options.md is
// made from this table (tools/gen-socket-options.ts). Options that are no plain number (memberships,
// TCP_INFO, TCP_CONGESTION) have functions of their own beside their sockets.
import { EINVAL, ENOPROTOOPT } from '../../../abi/errno.ts';
import * as so from '../../../abi/socket.ts';

/** The kinds of sockets that know an option; every other one answers ENOPROTOOPT, or `elsewhere`. */
export type OptionUsers = 'all' | 'stream' | 'datagram' | 'raw';

export interface OptionRule {
  readonly level: number;
  readonly name: number;
  readonly label: string;
  readonly initial: number;
  /** Values outside of [least, most] are EINVAL. */
  readonly least: number;
  readonly most: number;
  /** Every value but 0 counts as 1. */
  readonly isFlag: boolean;
  /** -1 sets it back to `initial`. */
  readonly hasDefault: boolean;
  readonly users: OptionUsers;
  /** The answer of sockets of other kinds. */
  readonly elsewhere: number;
  /** CAP_NET_ADMIN or CAP_NET_RAW is needed. */
  readonly isPrivileged: boolean;
  readonly effect: string;
}

type Extra = Partial<Omit<OptionRule, 'level' | 'name' | 'label' | 'effect'>>;
type Builder = (name: number, label: string, effect: string, extra?: Extra) => OptionRule;

const MAX = 0x7fff_ffff;
const MIN = -0x8000_0000;
const remembered = 'remembered';

const rule =
  (level: number, defaults: Extra): Builder =>
  (name, label, effect, extra = {}) => ({
    level,
    name,
    label,
    effect,
    initial: 0,
    least: MIN,
    most: MAX,
    isFlag: false,
    hasDefault: false,
    users: 'all',
    elsewhere: ENOPROTOOPT,
    isPrivileged: false,
    ...defaults,
    ...extra,
  });

const ip = rule(so.SOL_IP, {});
const ipFlag = rule(so.SOL_IP, { isFlag: true });
const ip6 = rule(so.SOL_IPV6, {});
const ip6Flag = rule(so.SOL_IPV6, { isFlag: true });
const tcp = rule(so.SOL_TCP, { users: 'stream' });
const tcpFlag = rule(so.SOL_TCP, { users: 'stream', isFlag: true });
const udp = rule(so.SOL_UDP, { users: 'datagram' });
const udpFlag = rule(so.SOL_UDP, { users: 'datagram', isFlag: true });
const zeroOrOne: Extra = { least: 0, most: 1 };
const noStream: Extra = { users: 'datagram', elsewhere: EINVAL };

export const optionRules: readonly OptionRule[] = [
  ip(so.IP_TOS, 'IP_TOS', 'sent with packets (IP_RECVTOS); of streams without the ECN bits'),
  ip(so.IP_TTL, 'IP_TTL', 'sent with packets (IP_RECVTTL)', {
    initial: 64,
    least: 1,
    most: 255,
    hasDefault: true,
  }),
  ip(so.IP_MINTTL, 'IP_MINTTL', 'packets with less are dropped', { least: 0, most: 255 }),
  ipFlag(so.IP_HDRINCL, 'IP_HDRINCL', 'raw packets come with their header', { users: 'raw' }),
  ipFlag(so.IP_RECVOPTS, 'IP_RECVOPTS', 'no packet here has options'),
  ipFlag(so.IP_RETOPTS, 'IP_RETOPTS', 'no packet here has options'),
  ipFlag(so.IP_PKTINFO, 'IP_PKTINFO', 'control messages with interface and address'),
  ipFlag(so.IP_RECVERR, 'IP_RECVERR', 'errors are queued (MSG_ERRQUEUE)'),
  ip(so.IP_RECVERR_RFC4884, 'IP_RECVERR_RFC4884', remembered, zeroOrOne),
  ip(so.IP_MTU_DISCOVER, 'IP_MTU_DISCOVER', remembered, { initial: 1, least: 0, most: 5 }),
  ipFlag(so.IP_RECVTTL, 'IP_RECVTTL', 'control messages with the TTL'),
  ipFlag(so.IP_RECVTOS, 'IP_RECVTOS', 'control messages with the TOS byte'),
  ipFlag(so.IP_PASSSEC, 'IP_PASSSEC', remembered),
  ipFlag(so.IP_TRANSPARENT, 'IP_TRANSPARENT', 'any address may be bound', { isPrivileged: true }),
  ipFlag(
    so.IP_RECVORIGDSTADDR,
    'IP_RECVORIGDSTADDR',
    'control messages with the address that a packet was sent to',
  ),
  ipFlag(so.IP_CHECKSUM, 'IP_CHECKSUM', remembered),
  ipFlag(so.IP_RECVFRAGSIZE, 'IP_RECVFRAGSIZE', 'no packet here is a fragment', noStream),
  ipFlag(so.IP_FREEBIND, 'IP_FREEBIND', 'any address may be bound'),
  ipFlag(so.IP_BIND_ADDRESS_NO_PORT, 'IP_BIND_ADDRESS_NO_PORT', 'the port is chosen by connect(2)'),
  ip(so.IP_LOCAL_PORT_RANGE, 'IP_LOCAL_PORT_RANGE', 'ports are chosen from it'),
  ip(so.IP_MULTICAST_TTL, 'IP_MULTICAST_TTL', 'sent with multicast packets', {
    initial: 1,
    least: 0,
    most: 255,
    hasDefault: true,
    ...noStream,
  }),
  ipFlag(so.IP_MULTICAST_LOOP, 'IP_MULTICAST_LOOP', 'without it nobody here gets what is sent', {
    initial: 1,
  }),
  ip(so.IP_MULTICAST_ALL, 'IP_MULTICAST_ALL', 'without it only the groups of the socket itself', {
    initial: 1,
    ...zeroOrOne,
  }),
  ipFlag(so.IP_NODEFRAG, 'IP_NODEFRAG', remembered, { users: 'raw' }),

  ip6(so.IPV6_UNICAST_HOPS, 'IPV6_UNICAST_HOPS', 'sent with packets (IPV6_RECVHOPLIMIT)', {
    initial: 64,
    least: 0,
    most: 255,
    hasDefault: true,
  }),
  ip6(so.IPV6_MULTICAST_HOPS, 'IPV6_MULTICAST_HOPS', 'sent with multicast packets', {
    initial: 1,
    least: 0,
    most: 255,
    hasDefault: true,
    users: 'datagram',
  }),
  ip6(so.IPV6_MULTICAST_LOOP, 'IPV6_MULTICAST_LOOP', 'without it nobody here gets what is sent', {
    initial: 1,
    ...zeroOrOne,
  }),
  ip6(
    so.IPV6_MULTICAST_ALL,
    'IPV6_MULTICAST_ALL',
    'without it only the groups of the socket itself',
    {
      initial: 1,
      ...zeroOrOne,
    },
  ),
  ip6(so.IPV6_TCLASS, 'IPV6_TCLASS', 'sent with packets (IPV6_RECVTCLASS)', {
    least: 0,
    most: 255,
    hasDefault: true,
  }),
  ip6(so.IPV6_MINHOPCOUNT, 'IPV6_MINHOPCOUNT', 'packets with less are dropped', {
    least: 0,
    most: 255,
  }),
  ip6(so.IPV6_MTU_DISCOVER, 'IPV6_MTU_DISCOVER', remembered, { initial: 1, least: 0, most: 5 }),
  ip6(so.IPV6_RECVERR_RFC4884, 'IPV6_RECVERR_RFC4884', remembered, zeroOrOne),
  ip6Flag(so.IPV6_V6ONLY, 'IPV6_V6ONLY', 'no IPv4 through this socket'),
  ip6Flag(so.IPV6_RECVERR, 'IPV6_RECVERR', 'errors are queued (MSG_ERRQUEUE)'),
  ip6Flag(so.IPV6_RECVPKTINFO, 'IPV6_RECVPKTINFO', 'control messages with interface and address'),
  ip6Flag(so.IPV6_2292PKTINFO, 'IPV6_2292PKTINFO', 'control messages with interface and address'),
  ip6Flag(so.IPV6_RECVHOPLIMIT, 'IPV6_RECVHOPLIMIT', 'control messages with the hop limit'),
  ip6Flag(so.IPV6_2292HOPLIMIT, 'IPV6_2292HOPLIMIT', 'control messages with the hop limit'),
  ip6Flag(so.IPV6_RECVTCLASS, 'IPV6_RECVTCLASS', 'control messages with the traffic class'),
  ip6Flag(
    so.IPV6_ORIGDSTADDR,
    'IPV6_ORIGDSTADDR',
    'control messages with the address that a packet was sent to',
  ),
  ip6Flag(so.IPV6_RECVRTHDR, 'IPV6_RECVRTHDR', 'no packet here has extension headers'),
  ip6Flag(so.IPV6_RECVHOPOPTS, 'IPV6_RECVHOPOPTS', 'no packet here has extension headers'),
  ip6Flag(so.IPV6_RECVDSTOPTS, 'IPV6_RECVDSTOPTS', 'no packet here has extension headers'),
  ip6Flag(so.IPV6_RECVPATHMTU, 'IPV6_RECVPATHMTU', 'the path of loopback never changes'),
  ip6Flag(so.IPV6_RECVFRAGSIZE, 'IPV6_RECVFRAGSIZE', 'no packet here is a fragment'),
  ip6Flag(so.IPV6_FLOWINFO, 'IPV6_FLOWINFO', remembered),
  ip6Flag(so.IPV6_FLOWINFO_SEND, 'IPV6_FLOWINFO_SEND', remembered),
  ip6Flag(so.IPV6_DONTFRAG, 'IPV6_DONTFRAG', remembered),
  ip6Flag(so.IPV6_FREEBIND, 'IPV6_FREEBIND', 'any address may be bound'),
  ip6Flag(so.IPV6_TRANSPARENT, 'IPV6_TRANSPARENT', 'any address may be bound', {
    isPrivileged: true,
  }),
  ip6Flag(so.IPV6_AUTOFLOWLABEL, 'IPV6_AUTOFLOWLABEL', remembered, { initial: 1 }),

  tcpFlag(so.TCP_NODELAY, 'TCP_NODELAY', 'sends what TCP_CORK holds; nothing is delayed otherwise'),
  tcp(so.TCP_MAXSEG, 'TCP_MAXSEG', 'length of segments, before the connection is made', {
    least: 88,
    most: 32_767,
  }),
  tcpFlag(so.TCP_CORK, 'TCP_CORK', 'holds partial segments back for at most 200 ms'),
  tcp(so.TCP_KEEPIDLE, 'TCP_KEEPIDLE', 'the other end of a loopback always answers', {
    initial: 7200,
    least: 1,
    most: 32_767,
  }),
  tcp(so.TCP_KEEPINTVL, 'TCP_KEEPINTVL', 'the other end of a loopback always answers', {
    initial: 75,
    least: 1,
    most: 32_767,
  }),
  tcp(so.TCP_KEEPCNT, 'TCP_KEEPCNT', 'the other end of a loopback always answers', {
    initial: 9,
    least: 1,
    most: 127,
  }),
  tcp(so.TCP_SYNCNT, 'TCP_SYNCNT', 'how long connect(2) waits for room in a backlog', {
    initial: 6,
    least: 1,
    most: 127,
  }),
  tcp(so.TCP_LINGER2, 'TCP_LINGER2', 'time in FIN_WAIT2 after close(2)', { initial: 60 }),
  tcp(
    so.TCP_DEFER_ACCEPT,
    'TCP_DEFER_ACCEPT',
    'accept(2) waits for data, as long as the option says',
  ),
  tcp(so.TCP_WINDOW_CLAMP, 'TCP_WINDOW_CLAMP', remembered),
  tcpFlag(so.TCP_QUICKACK, 'TCP_QUICKACK', remembered, { initial: 1 }),
  tcp(so.TCP_THIN_LINEAR_TIMEOUTS, 'TCP_THIN_LINEAR_TIMEOUTS', remembered, zeroOrOne),
  tcp(so.TCP_THIN_DUPACK, 'TCP_THIN_DUPACK', 'none', zeroOrOne),
  tcp(so.TCP_USER_TIMEOUT, 'TCP_USER_TIMEOUT', 'how long connect(2) waits for room in a backlog', {
    least: 0,
  }),
  tcp(so.TCP_FASTOPEN, 'TCP_FASTOPEN', remembered, { least: 0 }),
  tcp(
    so.TCP_FASTOPEN_CONNECT,
    'TCP_FASTOPEN_CONNECT',
    'connect(2) as without it: there are no cookies',
    zeroOrOne,
  ),
  tcp(so.TCP_FASTOPEN_NO_COOKIE, 'TCP_FASTOPEN_NO_COOKIE', remembered, zeroOrOne),
  tcp(
    so.TCP_NOTSENT_LOWAT,
    'TCP_NOTSENT_LOWAT',
    'a writer is told only when no more than so much waits to be sent',
  ),
  tcp(
    so.TCP_SAVE_SYN,
    'TCP_SAVE_SYN',
    'the headers of the SYN of accepted connections (TCP_SAVED_SYN)',
    {
      least: 0,
      most: 2,
    },
  ),
  tcp(so.TCP_INQ, 'TCP_INQ', 'control messages with what remains to be read', zeroOrOne),
  tcp(so.TCP_TX_DELAY, 'TCP_TX_DELAY', remembered, { least: 0 }),
  tcp(so.TCP_REPAIR, 'TCP_REPAIR', 'refused', { isPrivileged: true, least: 1, most: 0 }),

  udpFlag(so.UDP_CORK, 'UDP_CORK', 'datagrams are put together until it ends'),
  udp(so.UDP_SEGMENT, 'UDP_SEGMENT', 'one send makes several datagrams of that length', {
    least: 0,
    most: 65_535,
  }),
  udpFlag(so.UDP_GRO, 'UDP_GRO', remembered),
  udp(so.UDP_ENCAP, 'UDP_ENCAP', 'refused but for 0', { least: 0, most: 0 }),
  udpFlag(so.UDP_NO_CHECK6_TX, 'UDP_NO_CHECK6_TX', remembered),
  udpFlag(so.UDP_NO_CHECK6_RX, 'UDP_NO_CHECK6_RX', remembered),
];
