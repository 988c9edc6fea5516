// SPDX-License-Identifier: Apache-2.0
// The socket options and ioctl(2) requests that pass to the host (ip(7), ipv6(7), tcp(7), udp(7),
// socket(7), netdevice(7)). Every other option is ENOPROTOOPT: what attaches programs
// (SO_ATTACH_FILTER, TCP_ULP), opens other paths into the kernel (IP_OPTIONS, TCP_REPAIR,
// netfilter) or would let the host wait (SO_LINGER with a time). sentry/host/sentry-filter.ts holds
// the Sentry to this table.
import * as io from '../../../abi/ioctl.ts';
import * as so from '../../../abi/socket.ts';

interface PassedOptions {
  readonly level: number;
  readonly both: readonly number[];
  readonly getOnly: readonly number[];
  readonly setOnly: readonly number[];
}

const common: PassedOptions = {
  level: so.SOL_SOCKET,
  both: [
    so.SO_REUSEADDR,
    so.SO_DONTROUTE,
    so.SO_BROADCAST,
    so.SO_SNDBUF,
    so.SO_RCVBUF,
    so.SO_KEEPALIVE,
    so.SO_OOBINLINE,
    so.SO_NO_CHECK,
    so.SO_PRIORITY,
    so.SO_REUSEPORT,
    so.SO_RCVLOWAT,
    so.SO_BINDTODEVICE,
    so.SO_TIMESTAMP,
    so.SO_TIMESTAMPNS,
    so.SO_RXQ_OVFL,
    so.SO_MAX_PACING_RATE,
    so.SO_INCOMING_CPU,
    so.SO_TIMESTAMPING,
    so.SO_TIMESTAMP_NEW,
    so.SO_TIMESTAMPNS_NEW,
    so.SO_TIMESTAMPING_NEW,
    so.SO_PEEK_OFF,
    so.SO_SELECT_ERR_QUEUE,
    so.SO_BINDTOIFINDEX,
  ],
  getOnly: [
    so.SO_TYPE,
    so.SO_ERROR,
    so.SO_ACCEPTCONN,
    so.SO_PROTOCOL,
    so.SO_DOMAIN,
    so.SO_INCOMING_NAPI_ID,
    so.SO_COOKIE,
    so.SO_PEERNAME,
    so.SO_BPF_EXTENSIONS,
    so.SO_MEMINFO,
  ],
  // Only to reset a connection at once: HostInetSocket.setCommonOption.
  setOnly: [so.SO_LINGER],
};

const multicast = [
  so.MCAST_JOIN_GROUP,
  so.MCAST_BLOCK_SOURCE,
  so.MCAST_UNBLOCK_SOURCE,
  so.MCAST_LEAVE_GROUP,
  so.MCAST_JOIN_SOURCE_GROUP,
  so.MCAST_LEAVE_SOURCE_GROUP,
];

const ip: PassedOptions = {
  level: so.SOL_IP,
  both: [
    so.IP_TOS,
    so.IP_TTL,
    so.IP_PKTINFO,
    so.IP_MTU_DISCOVER,
    so.IP_RECVERR,
    so.IP_RECVTTL,
    so.IP_RECVTOS,
    so.IP_FREEBIND,
    so.IP_RECVORIGDSTADDR,
    so.IP_MINTTL,
    so.IP_BIND_ADDRESS_NO_PORT,
    so.IP_MULTICAST_IF,
    so.IP_MULTICAST_TTL,
    so.IP_MULTICAST_LOOP,
    so.IP_MULTICAST_ALL,
    so.IP_UNICAST_IF,
    so.IP_LOCAL_PORT_RANGE,
    so.IP_HDRINCL,
    so.IP_RECVOPTS,
    so.IP_RETOPTS,
    so.IP_CHECKSUM,
    so.IP_RECVFRAGSIZE,
    so.IP_RECVERR_RFC4884,
  ],
  getOnly: [so.IP_MTU, so.IP_PROTOCOL, so.SO_ORIGINAL_DST],
  setOnly: [
    so.IP_ADD_MEMBERSHIP,
    so.IP_DROP_MEMBERSHIP,
    so.IP_UNBLOCK_SOURCE,
    so.IP_BLOCK_SOURCE,
    so.IP_ADD_SOURCE_MEMBERSHIP,
    so.IP_DROP_SOURCE_MEMBERSHIP,
    ...multicast,
  ],
};

const ipv6: PassedOptions = {
  level: so.SOL_IPV6,
  both: [
    so.IPV6_UNICAST_HOPS,
    so.IPV6_MULTICAST_IF,
    so.IPV6_MULTICAST_HOPS,
    so.IPV6_MULTICAST_LOOP,
    so.IPV6_MTU_DISCOVER,
    so.IPV6_RECVERR,
    so.IPV6_V6ONLY,
    so.IPV6_MULTICAST_ALL,
    so.IPV6_RECVPKTINFO,
    so.IPV6_RECVHOPLIMIT,
    so.IPV6_DONTFRAG,
    so.IPV6_RECVTCLASS,
    so.IPV6_TCLASS,
    so.IPV6_AUTOFLOWLABEL,
    so.IPV6_ADDR_PREFERENCES,
    so.IPV6_MINHOPCOUNT,
    so.IPV6_ORIGDSTADDR,
    so.IPV6_UNICAST_IF,
    so.IPV6_FREEBIND,
    so.IPV6_2292PKTINFO,
    so.IPV6_2292HOPLIMIT,
    so.IPV6_CHECKSUM,
    so.IPV6_HDRINCL,
    so.IPV6_RECVERR_RFC4884,
    so.IPV6_RECVHOPOPTS,
    so.IPV6_RECVRTHDR,
    so.IPV6_RECVDSTOPTS,
    so.IPV6_RECVPATHMTU,
    so.IPV6_FLOWINFO,
    so.IPV6_FLOWINFO_SEND,
  ],
  getOnly: [so.IPV6_MTU, so.IPV6_PATHMTU, so.SO_ORIGINAL_DST],
  setOnly: [so.IPV6_ADD_MEMBERSHIP, so.IPV6_DROP_MEMBERSHIP, ...multicast],
};

const tcp: PassedOptions = {
  level: so.SOL_TCP,
  both: [
    so.TCP_NODELAY,
    so.TCP_MAXSEG,
    so.TCP_CORK,
    so.TCP_KEEPIDLE,
    so.TCP_KEEPINTVL,
    so.TCP_KEEPCNT,
    so.TCP_SYNCNT,
    so.TCP_LINGER2,
    so.TCP_DEFER_ACCEPT,
    so.TCP_WINDOW_CLAMP,
    so.TCP_QUICKACK,
    so.TCP_CONGESTION,
    so.TCP_USER_TIMEOUT,
    so.TCP_FASTOPEN,
    so.TCP_NOTSENT_LOWAT,
    so.TCP_THIN_LINEAR_TIMEOUTS,
    so.TCP_THIN_DUPACK,
    so.TCP_SAVE_SYN,
    so.TCP_FASTOPEN_CONNECT,
    so.TCP_FASTOPEN_NO_COOKIE,
    so.TCP_INQ,
    so.TCP_TX_DELAY,
  ],
  getOnly: [so.TCP_INFO, so.TCP_TIMESTAMP, so.TCP_CC_INFO, so.TCP_SAVED_SYN],
  setOnly: [],
};

const udp: PassedOptions = {
  level: so.SOL_UDP,
  both: [so.UDP_CORK, so.UDP_SEGMENT, so.UDP_GRO],
  getOnly: [],
  setOnly: [],
};

/** Options of raw sockets. */
const icmp: PassedOptions = {
  level: so.SOL_RAW,
  both: [so.ICMP_FILTER, so.IPV6_CHECKSUM],
  getOnly: [],
  setOnly: [],
};
const icmpv6: PassedOptions = {
  level: so.SOL_ICMPV6,
  both: [so.ICMPV6_FILTER],
  getOnly: [],
  setOnly: [],
};

const levels: readonly PassedOptions[] = [common, ip, ipv6, tcp, udp, icmp, icmpv6];

/** Names by level. */
export type OptionNames = ReadonlyMap<number, readonly number[]>;

export const gettableOptions: OptionNames = new Map(
  levels.map(({ level, both, getOnly }) => [level, [...both, ...getOnly]]),
);

export const settableOptions: OptionNames = new Map(
  levels.map(({ level, both, setOnly }) => [level, [...both, ...setOnly]]),
);

/** ioctl(2) requests that answer an int. */
export const intRequests: readonly number[] = [
  io.FIONREAD,
  io.SIOCOUTQ,
  io.SIOCOUTQNSD,
  io.SIOCATMARK,
];

/** Requests that answer a struct timeval or timespec. */
export const stampRequests: readonly number[] = [
  io.SIOCGSTAMP,
  io.SIOCGSTAMPNS,
  io.SIOCGSTAMP_NEW,
  io.SIOCGSTAMPNS_NEW,
];

/** Requests that answer a struct ifreq. */
export const interfaceRequests: readonly number[] = [
  io.SIOCGIFNAME,
  io.SIOCGIFFLAGS,
  io.SIOCGIFADDR,
  io.SIOCGIFDSTADDR,
  io.SIOCGIFBRDADDR,
  io.SIOCGIFNETMASK,
  io.SIOCGIFMETRIC,
  io.SIOCGIFMTU,
  io.SIOCGIFHWADDR,
  io.SIOCGIFINDEX,
  io.SIOCGIFTXQLEN,
  io.SIOCGIFMAP,
];

export const passedRequests: readonly number[] = [
  ...intRequests,
  ...stampRequests,
  io.SIOCGIFCONF,
  ...interfaceRequests,
];
