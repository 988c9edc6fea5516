// SPDX-License-Identifier: Apache-2.0
// include/linux/socket.h, include/uapi/asm-generic/socket.h, linux/un.h, linux/in.h, linux/in6.h,
// linux/tcp.h.
import { O_CLOEXEC, O_NONBLOCK } from './fcntl.ts';

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_MAX = 46;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_RDM = 4;
export const SOCK_SEQPACKET = 5;
export const SOCK_PACKET = 10;
export const SOCK_TYPE_MASK = 0xf;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const SOCK_NONBLOCK = O_NONBLOCK;

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_DONTROUTE = 0x4;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_CONFIRM = 0x800;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_MORE = 0x8000;
export const MSG_WAITFORONE = 0x10000;
export const MSG_FASTOPEN = 0x2000_0000;
export const MSG_CMSG_CLOEXEC = 0x4000_0000;
export const MSG_CMSG_COMPAT = 0x8000_0000;

export const SOL_SOCKET = 1;
export const SOL_IP = 0;
export const SOL_TCP = 6;
export const SOL_UDP = 17;
export const SOL_IPV6 = 41;
export const SOL_NETLINK = 270;
export const SOL_ICMPV6 = 58;
export const SOL_RAW = 255;

export const SO_DEBUG = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_DONTROUTE = 5;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_NO_CHECK = 11;
export const SO_PRIORITY = 12;
export const SO_LINGER = 13;
export const SO_BSDCOMPAT = 14;
export const SO_REUSEPORT = 15;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const SO_BINDTODEVICE = 25;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
export const SO_TIMESTAMP = 29;
export const SO_ACCEPTCONN = 30;
export const SO_PEERSEC = 31;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_PASSSEC = 34;
export const SO_TIMESTAMPNS = 35;
export const SO_MARK = 36;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_PEERGROUPS = 59;

export const SCM_RIGHTS = 1;
export const SCM_CREDENTIALS = 2;
/** SCM_MAX_FD of include/net/scm.h. */
export const SCM_MAX_FD = 253;

/** sizeof(struct sockaddr_storage); sizeof(struct sockaddr_un) and where its path starts. */
export const SOCKADDR_STORAGE_BYTES = 128;
export const SOCKADDR_UN_BYTES = 110;
export const SUN_PATH_OFFSET = 2;
export const UNIX_PATH_MAX = 108;
/** sizeof(struct ucred). */
export const UCRED_BYTES = 12;

/** struct msghdr; struct mmsghdr is it with a u32 length (padded). */
export const msghdr = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  size: 56,
} as const;
export const mmsghdr = { length: 56, size: 64 } as const;
/** struct cmsghdr: u64 len, i32 level, i32 type; then the data, aligned to 8. */
export const cmsghdr = { length: 0, level: 8, type: 12, data: 16 } as const;

export const UIO_MAXIOV = 1024;

export const INADDR_ANY = 0;
export const INADDR_LOOPBACK = 0x7f00_0001;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
/** Shortest sockaddr_in6 that Linux takes (without scope id). */
export const SIN6_LEN_RFC2133 = 24;

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_MAX = 263;

export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_SYNCNT = 7;
export const TCP_LINGER2 = 8;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_USER_TIMEOUT = 18;
export const TCP_FASTOPEN = 23;

export const IP_TOS = 1;
export const IP_HDRINCL = 3;
export const IP_RECVOPTS = 6;
export const IP_RETOPTS = 7;
export const IP_CHECKSUM = 23;
export const IP_RECVFRAGSIZE = 25;
export const IP_RECVERR_RFC4884 = 26;
export const IP_TTL = 2;
export const IP_RECVERR = 11;
export const IP_MTU_DISCOVER = 10;
export const IP_PKTINFO = 8;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_MULTICAST_HOPS = 18;
export const IPV6_MULTICAST_LOOP = 19;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_TCLASS = 67;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_FREEBIND = 15;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_LOCAL_PORT_RANGE = 51;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_RECVTCLASS = 66;
export const IPV6_AUTOFLOWLABEL = 70;
export const TCP_THIN_LINEAR_TIMEOUTS = 16;
export const TCP_THIN_DUPACK = 17;
export const TCP_TIMESTAMP = 24;
export const TCP_NOTSENT_LOWAT = 25;
export const TCP_CC_INFO = 26;
export const TCP_SAVE_SYN = 27;
export const TCP_SAVED_SYN = 28;
export const TCP_FASTOPEN_CONNECT = 30;
export const TCP_FASTOPEN_NO_COOKIE = 34;
/** Also the type of the control message (TCP_CM_INQ). */
export const TCP_INQ = 36;
export const TCP_TX_DELAY = 37;
export const UDP_CORK = 1;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const SO_PEERNAME = 28;
export const SO_TIMESTAMPING = 37;
export const SO_RXQ_OVFL = 40;
export const SO_PEEK_OFF = 42;
export const SO_SELECT_ERR_QUEUE = 45;
export const SO_BPF_EXTENSIONS = 48;
export const SO_MEMINFO = 55;
export const SO_BINDTOIFINDEX = 62;
export const SO_TIMESTAMP_NEW = 63;
export const SO_TIMESTAMPNS_NEW = 64;
export const SO_TIMESTAMPING_NEW = 65;
export const SO_MAX_PACING_RATE = 47;
export const SO_INCOMING_CPU = 49;
export const SO_INCOMING_NAPI_ID = 56;
export const SO_COOKIE = 57;
/** Control messages with the time of arrival have the numbers of the options that ask for them. */
export const SCM_TIMESTAMP = 29;
export const SCM_TIMESTAMPNS = 35;
export const SCM_TIMESTAMPING = 37;
export const SCM_TIMESTAMPING_OPT_STATS = 54;
export const SCM_TIMESTAMPING_PKTINFO = 58;
export const SCM_TIMESTAMP_NEW = 63;
export const SCM_TIMESTAMPNS_NEW = 64;
export const SCM_TIMESTAMPING_NEW = 65;

export const IP_MTU = 14;
export const IP_RECVORIGDSTADDR = 20;
export const IP_MINTTL = 21;
export const IP_MULTICAST_IF = 32;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_DROP_MEMBERSHIP = 36;
export const IP_UNBLOCK_SOURCE = 37;
export const IP_BLOCK_SOURCE = 38;
export const IP_ADD_SOURCE_MEMBERSHIP = 39;
export const IP_DROP_SOURCE_MEMBERSHIP = 40;
export const MCAST_JOIN_GROUP = 42;
export const MCAST_BLOCK_SOURCE = 43;
export const MCAST_UNBLOCK_SOURCE = 44;
export const MCAST_LEAVE_GROUP = 45;
export const MCAST_JOIN_SOURCE_GROUP = 46;
export const MCAST_LEAVE_SOURCE_GROUP = 47;
export const IP_MULTICAST_ALL = 49;
export const IP_UNICAST_IF = 50;
export const IP_PROTOCOL = 52;
/** linux/netfilter_ipv4.h, netfilter_ipv6/ip6_tables.h: where a redirected connection was going. */
export const SO_ORIGINAL_DST = 80;

export const IPV6_2292PKTINFO = 2;
export const IPV6_CHECKSUM = 7;
export const IPV6_2292HOPLIMIT = 8;
export const IPV6_RECVERR_RFC4884 = 31;
export const IPV6_HDRINCL = 36;
/** linux/icmp.h (SOL_RAW) and linux/icmpv6.h (SOL_ICMPV6): types of messages that do not come. */
export const ICMP_FILTER = 1;
export const ICMPV6_FILTER = 1;
export const IPV6_MULTICAST_IF = 17;
export const IPV6_ADD_MEMBERSHIP = 20;
export const IPV6_DROP_MEMBERSHIP = 21;
export const IPV6_FLOWINFO = 11;
export const IPV6_MTU = 24;
export const IPV6_FLOWINFO_SEND = 33;
export const IPV6_RECVHOPOPTS = 53;
export const IPV6_HOPOPTS = 54;
export const IPV6_RECVRTHDR = 56;
export const IPV6_RTHDR = 57;
export const IPV6_RECVDSTOPTS = 58;
export const IPV6_DSTOPTS = 59;
export const IPV6_RECVPATHMTU = 60;
export const IPV6_PATHMTU = 61;
export const IPV6_MULTICAST_ALL = 29;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_DONTFRAG = 62;
export const IPV6_ADDR_PREFERENCES = 72;
export const IPV6_MINHOPCOUNT = 73;
export const IPV6_ORIGDSTADDR = 74;
export const IPV6_UNICAST_IF = 76;
export const IPV6_FREEBIND = 78;

export const IP_OPTIONS = 4;
export const IP_ROUTER_ALERT = 5;
export const IP_PKTOPTIONS = 9;
export const IP_PASSSEC = 18;
export const IP_TRANSPARENT = 19;
export const IP_NODEFRAG = 22;
export const IP_MSFILTER = 41;
export const MCAST_MSFILTER = 48;
export const IPV6_ADDRFORM = 1;
export const IPV6_NEXTHOP = 9;
export const IPV6_TRANSPARENT = 75;
export const IPV6_RECVFRAGSIZE = 77;
export const TCP_MD5SIG = 14;
export const TCP_REPAIR = 19;
export const TCP_ULP = 31;
export const UDP_ENCAP = 100;
export const UDP_NO_CHECK6_TX = 101;
export const UDP_NO_CHECK6_RX = 102;
export const SO_LOCK_FILTER = 44;
export const SO_NOFCS = 43;
export const SO_WIFI_STATUS = 41;
export const SO_BUSY_POLL = 46;
export const SO_ATTACH_BPF = 50;
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SO_ATTACH_REUSEPORT_EBPF = 52;
export const SO_ZEROCOPY = 60;
export const SO_TXTIME = 61;
export const SO_RCVTIMEO_NEW = 66;
export const SO_SNDTIMEO_NEW = 67;
export const SO_DETACH_REUSEPORT_BPF = 68;
export const SO_PREFER_BUSY_POLL = 69;
export const SO_BUSY_POLL_BUDGET = 70;
export const SO_NETNS_COOKIE = 71;
export const SO_BUF_LOCK = 72;
export const SO_TXREHASH = 74;
export const SO_RCVMARK = 75;
export const SO_PASSPIDFD = 76;
export const SO_PEERPIDFD = 77;
export const SCM_SECURITY = 3;
export const SCM_PIDFD = 4;
